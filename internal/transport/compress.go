package transport

import (
	"bytes"
	"sync/atomic"

	"example.com/wsecho/internal/deflate"
	"example.com/wsecho/internal/frame"
)

// extension is the state of permessage-deflate. coder sees only uncompressed frames,
// because coder does not detect truncated compressed data.
type extension struct {
	in  decompression
	out compression
}

func newExtension(c *Conn, p deflate.Params) *extension {
	x := new(extension)
	x.in.Takeover = p.ClientTakeover
	x.out.o, x.out.Compressor = &c.out, deflate.NewCompressor(p)
	return x
}

// compression compresses the frames that coder writes. out.mu guards it.
type compression struct {
	deflate.Compressor
	o      *output
	active bool // the message in progress is compressed
	first  byte // the first byte of the next frame
	buf    *block
	n      int // bytes in buf, which belong to the next frame

	work atomic.Int64 // bytes compressed since the last yield, or since the reader has waited
}

// compressQuantum is how many bytes of one connection are compressed before it yields. A
// byte needs up to 15 ns.
const compressQuantum = 16 << 10

// addWork counts n compressed bytes, and yields to other connections after compressQuantum.
func (x *compression) addWork(n int) {
	if x.work.Add(int64(n)) < compressQuantum {
		return
	}
	x.work.Store(0)
	if x.o.batching() { // the batch does not wait for other connections
		x.o.flush()
	}
	x.o.c.yielder.Yield()
}

// tail is the end of a message's compressed data. It is not sent.
var tail = []byte{0, 0, 0xff, 0xff}

// compress compresses the next bytes of coder's frames and buffers compressed frames.
func (o *output) compress(x *compression, p []byte) {
	for len(p) > 0 && o.err == nil {
		control := frame.Opcode(o.First()) >= frame.Close
		if o.Remaining > 0 {
			n := int(min(o.Remaining, int64(len(p))))
			if x.active && !control {
				n = min(n, compressQuantum)
				x.Compressor.Write(p[:n])
				x.addWork(n)
			} else {
				o.buffer(p[:n])
			}
			o.Consume(p[:n])
			if p = p[n:]; o.Remaining > 0 {
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
				x.begin(op, o.Remaining)
			}
			if control || !x.active {
				o.buffer(header)
				o.AddPayload(o.Remaining)
			}
			if o.Remaining > 0 {
				continue
			}
		}
		if x.active && !control && o.First()&frame.Fin != 0 {
			x.endMessage()
		}
		o.EndFrame()
	}
}

// begin starts a message whose first frame has size bytes.
func (x *compression) begin(op byte, size int64) {
	if x.active = x.Pays(size); !x.active {
		return
	}
	x.first = op | frame.RSV1
	x.buf = x.o.c.opts.Write.get()
	x.Begin(compressed{x})
}

// compressed is the destination of the compressor.
type compressed struct{ x *compression }

func (c compressed) Write(p []byte) (int, error) {
	x := c.x
	for left := p; len(left) > 0; {
		if x.n == len(x.buf.b) {
			x.frame(0)
		}
		n := copy(x.buf.b[x.n:], left)
		x.n += n
		left = left[n:]
	}
	return len(p), nil
}

// frame buffers a frame of the compressed data. It keeps the last four bytes, because
// they may be the tail.
func (x *compression) frame(fin byte) {
	n := x.n - len(tail)
	var head [10]byte
	h := frame.Header{First: x.first | fin, Length: uint64(n)}.Append(head[:0], 0)
	x.o.buffer(h)
	x.o.buffer(x.buf.b[:n])
	x.o.AddPayload(int64(n))
	x.n = copy(x.buf.b, x.buf.b[n:x.n])
	x.first = frame.Continuation
}

// endMessage ends the message.
func (x *compression) endMessage() {
	x.End()
	if !bytes.HasSuffix(x.buf.b[:x.n], tail) {
		panic("transport: compress/flate ended a flush without an empty stored block")
	}
	x.frame(frame.Fin)
	x.active = false
	x.o.c.opts.Write.put(x.buf)
	x.buf, x.n = nil, 0
}

// park releases the compressor of a parked connection. The next message does not refer
// to earlier ones. A message in progress keeps the compressor.
//
// TryLock: a writer that holds the lock needs the compressor. Without park it only uses
// memory until end.
func (x *compression) park() {
	if x.o.mu.TryLock() {
		if !x.active {
			x.Release()
		}
		x.o.unlock()
	}
}

// end releases all memory. Nothing is compressed afterwards.
func (x *compression) end() {
	x.Release()
	if x.buf != nil {
		x.o.c.opts.Write.put(x.buf)
		x.buf, x.n = nil, 0
	}
	x.active = false
}
