package deflate

import (
	"errors"
	"fmt"
	"sync"
)

// Decompressor decompresses the messages of one connection, RFC 7692, section 7.2.2.
// It must not be used concurrently. Between messages it keeps memory only with context
// takeover: the window.
type Decompressor struct {
	// Takeover allows a message to refer back to earlier ones.
	Takeover bool

	window *Window
	z      *Inflater // of the message in progress
}

var (
	inflaters = sync.Pool{New: func() any { return new(Inflater) }}
	windows   = sync.Pool{New: func() any { return new(Window) }}
)

// Begin begins a message.
func (d *Decompressor) Begin() {
	if d.window == nil {
		d.window = windows.Get().(*Window)
		d.window.Reset()
	}
	if d.z == nil {
		d.z = inflaters.Get().(*Inflater)
	}
	d.z.Reset(d.window)
}

// Inflate decompresses payload of the message, as Inflater.Inflate does.
func (d *Decompressor) Inflate(dst, src []byte) (n, used int, err error) {
	return d.z.Inflate(dst, src)
}

// End ends the message. It reports whether the compressed data ended there too, so
// that the message is whole.
func (d *Decompressor) End() (whole bool) {
	whole = d.z.Whole()
	d.releaseInflater()
	if !d.Takeover {
		d.Release()
	}
	return whole
}

// Message decompresses a whole message, which has at most limit bytes of output.
func (d *Decompressor) Message(payload []byte, limit int) ([]byte, error) {
	d.Begin()
	var plain []byte
	for part := make([]byte, 32<<10); ; {
		n, used, err := d.Inflate(part, payload)
		if err != nil {
			return nil, err
		}
		if plain = append(plain, part[:n]...); len(plain) > limit {
			return nil, fmt.Errorf("message over %d bytes", limit)
		}
		if n < len(part) {
			break
		}
		payload = payload[used:]
	}
	if !d.End() {
		return nil, errors.New("the compressed data is incomplete")
	}
	return plain, nil
}

// Release frees all memory.
func (d *Decompressor) Release() {
	d.releaseInflater()
	if d.window != nil {
		windows.Put(d.window)
		d.window = nil
	}
}

func (d *Decompressor) releaseInflater() {
	if d.z != nil {
		d.z.Reset(nil)
		inflaters.Put(d.z)
		d.z = nil
	}
}
