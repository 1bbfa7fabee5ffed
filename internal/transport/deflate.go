package transport

import (
	"bytes"
	"compress/flate"
	"io"
	"sync"
	"sync/atomic"

	"example.com/wsecho/internal/frame"
)

// deflation is the writing half, between coder and the buffer. It belongs to the
// output, whose lock guards it.
type deflation struct {
	o    *output
	keep bool
	most int // bytes to be compressed by themselves, so that nothing refers further back; 0: any

	z       *flate.Writer
	kept    bool // z is counted in keptDeflaters
	since   int  // bytes that z has taken since it was reset
	packing bool // the message under way is compressed
	first   byte // of the next frame
	buf     *block
	n       int // bytes in buf, which are not in a frame yet
}

var deflaters = sync.Pool{New: func() any {
	z, _ := flate.NewWriter(io.Discard, flate.BestSpeed) // the level is a legal one
	return z
}}

// A compressor that remembers the messages before takes 1.2 MB. So there are no
// more than maxKept; connections beyond have each message compressed by itself,
// which a peer need not be told.
const maxKept = 128

var keptDeflaters atomic.Int64

// Messages, or first fragments, that are smaller are not compressed: it would
// gain nothing, or next to nothing.
const (
	worthKept = 128 // where messages refer back to earlier ones
	worth     = 512
)

// tail is what ends a flush, and is not sent where that ends a message.
var tail = []byte{0, 0, 0xff, 0xff}

// pack takes the next bytes of coder's frames, which are plain, and puts those
// into the buffer that go over the wire in their place.
func (o *output) pack(x *deflation, p []byte) {
	for len(p) > 0 && o.err == nil {
		control := frame.Opcode(o.First()) >= frame.Close
		if o.Left > 0 {
			n := int(min(o.Left, int64(len(p))))
			if x.packing && !control {
				x.compress(p[:n])
			} else {
				o.add(p[:n])
			}
			o.Pass(p[:n])
			if p = p[n:]; o.Left > 0 {
				continue
			}
		} else {
			header := o.Header(p[0])
			p = p[1:]
			if header == nil {
				continue
			}
			op := frame.Opcode(header[0])
			control = op >= frame.Close
			if op == frame.Text || op == frame.Binary {
				x.begin(op, o.Left)
			}
			if control || !x.packing {
				o.add(header)
				o.Took(o.Left)
			}
			if o.Left > 0 {
				continue
			}
		}
		if x.packing && !control && o.First()&frame.Fin != 0 {
			x.finish()
		}
		o.Ended()
	}
}

// begin begins a message whose first frame has size bytes.
func (x *deflation) begin(op byte, size int64) {
	enough := int64(worth)
	if x.keep {
		enough = worthKept
	}
	if x.packing = size >= enough; !x.packing {
		return
	}
	x.first = op | frame.RSV1
	x.buf = x.o.c.opts.Write.get()
	if x.z == nil {
		x.z = deflaters.Get().(*flate.Writer)
		x.z.Reset(x)
		x.since = 0
		if x.keep {
			if x.kept = keptDeflaters.Add(1) <= maxKept; !x.kept {
				keptDeflaters.Add(-1)
			}
		}
	}
}

// compress takes payload. Its errors are those of Write, which has none.
func (x *deflation) compress(p []byte) {
	for len(p) > 0 {
		n := len(p)
		if x.most > 0 {
			if x.since == x.most {
				_ = x.z.Flush()
				x.z.Reset(x)
				x.since = 0
			}
			n = min(n, x.most-x.since)
			x.since += n
		}
		_, _ = x.z.Write(p[:n])
		p = p[n:]
	}
}

// Write takes what the compressor gives.
func (x *deflation) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		if x.n == len(x.buf.b) {
			x.frame(0)
		}
		n := copy(x.buf.b[x.n:], rest)
		x.n += n
		rest = rest[n:]
	}
	return len(p), nil
}

// frame makes a frame of what the compressor has given, but for four bytes, which
// may be those to be removed.
func (x *deflation) frame(fin byte) {
	n := x.n - len(tail)
	var head [10]byte
	h := frame.AppendHeader(head[:0], x.first|fin, n)
	x.o.add(h)
	x.o.add(x.buf.b[:n])
	x.o.Took(int64(n))
	x.n = copy(x.buf.b, x.buf.b[n:x.n])
	x.first = frame.Continuation
}

// finish ends the message.
func (x *deflation) finish() {
	_ = x.z.Flush()
	if !bytes.HasSuffix(x.buf.b[:x.n], tail) {
		panic("transport: compress/flate ended a flush in another way")
	}
	x.frame(frame.Fin)
	x.packing = false
	x.o.c.opts.Write.put(x.buf)
	x.buf, x.n = nil, 0
	if !x.kept {
		x.free()
	}
}

// free gives the compressor back.
func (x *deflation) free() {
	if x.z != nil {
		x.z.Reset(io.Discard)
		deflaters.Put(x.z)
		x.z = nil
	}
	if x.kept {
		x.kept = false
		keptDeflaters.Add(-1)
	}
}

// rest gives up the messages that later ones could have referred back to. They
// need not, and a connection that rests is for holding little.
func (x *deflation) rest() {
	if x.o.mu.TryLock() { // a write under way needs it, and is not for long
		if !x.packing {
			x.free()
		}
		x.o.unlock()
	}
}

// end gives all back for good.
func (x *deflation) end() {
	x.free()
	if x.buf != nil {
		x.o.c.opts.Write.put(x.buf)
		x.buf, x.n = nil, 0
	}
	x.packing = false
}
