package transport

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"github.com/coder/websocket"

	"example.com/wsecho/ending"
	"example.com/wsecho/internal/inflate"
)

// Deflate are the parameters of permessage-deflate (RFC 7692) that were
// negotiated. The extension is done here, and coder sees plain frames: it would
// take a message whose compressed data is cut short for a whole one.
type Deflate struct {
	KeepIn  bool // the peer's messages may refer back to its earlier ones
	KeepOut bool // ours may; only where Bits is 15
	Bits    int  // ours refer back 2^Bits bytes at most, 8 to 15
}

// extension is what a connection has for it.
type extension struct {
	in  inflation
	out deflation
}

func newExtension(c *Conn, d Deflate) *extension {
	x := new(extension)
	x.in.keep = d.KeepIn
	x.out.o, x.out.keep = &c.out, d.KeepOut
	if d.Bits < 15 {
		x.out.most = 1 << d.Bits
	}
	return x
}

// inflation is the reading half, between the scanner and coder. It belongs to the
// input, whose lock guards it. Between messages it has no memory but, where the
// peer may refer back to it, the window.
type inflation struct {
	keep   bool
	window *inflate.Window
	z      *inflate.Inflater // of the message under way

	packed bool   // the message under way, or the last one, is compressed
	whole  bool   // all of it has been inflated
	size   int64  // what has been of it
	op     byte   // of the next frame for coder
	fin    bool   // the frame in hand is its message's last
	busy   bool   // it may give more
	src    []byte // what is left of it, in the input's buffer

	passing bool // the rest of a plain frame is on its way to coder

	out  *block // a frame for coder, in r to w
	r, w int
}

var (
	inflaters = sync.Pool{New: func() any { return new(inflate.Inflater) }}
	windows   = sync.Pool{New: func() any { return new(inflate.Window) }}
)

// readInflated is Read where messages may be compressed.
func (in *input) readInflated(x *inflation, p []byte) (int, error) {
	for {
		if x.r < x.w {
			n := copy(p, x.out.b[x.r:x.w])
			if x.r += n; x.r == x.w {
				in.freeInflated(x)
			}
			return n, nil
		}
		if x.busy {
			if err := in.inflate(x); err != nil {
				in.freeInflated(x)
				x.busy = false
				in.fail(err)
			}
			continue
		}
		if err := in.get(forInput); err != nil {
			return 0, err
		}
		if x.passing || !in.packed(x) {
			n := copy(p, in.buf.b[in.r:in.ready])
			in.r += n
			x.passing = in.r < in.ready
			return n, nil
		}
	}
}

// ready reports whether something can be read without waiting.
func (x *inflation) ready() bool { return x.r < x.w || x.busy }

// packed looks at the frame that is to be handed on. If it is one of a compressed
// message it is taken in hand; it stays in the buffer until it is done with.
func (in *input) packed(x *inflation) bool {
	f := in.buf.b[in.r:in.ready]
	op := f[0] & 0xf
	if op >= opClose {
		return false
	}
	if op != opContinuation {
		x.packed = f[0]&rsv1 != 0
		x.op, x.size, x.whole = op, 0, false
	}
	if !x.packed {
		return false
	}
	n := 2 + 4
	switch f[1] &^ maskBit {
	case 126:
		n += 2
	case 127:
		n += 8
	}
	x.src, x.fin, x.busy = f[n:], f[0]&finBit != 0, true
	unmask(x.src, binary.LittleEndian.Uint32(f[n-4:]))
	if x.z == nil {
		x.z = inflaters.Get().(*inflate.Inflater)
		if x.window == nil {
			x.window = windows.Get().(*inflate.Window)
			x.window.Reset()
		}
		x.z.Reset(x.window)
	}
	return true
}

// inflate makes a frame for coder of what is in hand, if that gives anything.
func (in *input) inflate(x *inflation) error {
	if in.turns++; in.turns >= maxTurns {
		in.yield()
	}
	if x.out == nil {
		x.out = in.c.opts.Read.get()
	}
	dst := x.out.b[headroom:]
	if left := in.limit - x.size; in.limit >= 0 && left < int64(len(dst)) {
		dst = dst[:left+1] // one byte too many is enough to know
	}
	n, used, err := x.z.Inflate(dst, x.src)
	x.src = x.src[used:]
	x.size += int64(n)
	switch {
	case in.limit >= 0 && x.size > in.limit:
		return tooBig(in.limit)
	case err != nil:
		return corrupt(err)
	}
	if n < len(dst) {
		x.busy, x.src = false, nil
		in.r = in.ready
	}
	first := x.op
	if x.fin && !x.busy {
		if !x.z.Whole() {
			return corrupt(nil)
		}
		x.whole = true
		x.free(!x.keep)
		first |= finBit
	}
	if n == 0 && !x.whole {
		in.freeInflated(x)
		return nil
	}
	x.op = opContinuation
	x.r, x.w = headroom-headerLen(int64(n)), headroom+n
	f := x.out.b[x.r:]
	f[0] = first
	putLen(f, int64(n))
	clear(x.out.b[headroom-4 : headroom]) // a mask that changes nothing
	return nil
}

// corrupt is the ending of a peer whose compressed data is wrong. RFC 7692 leaves
// the close code open. 1007 is for data that is not what its message says it is,
// and what most others send.
func corrupt(cause error) *ending.Error {
	reason := "compressed data is invalid"
	if cause == nil {
		reason = "compressed data ends before its message does"
	}
	return &ending.Error{Kind: ending.Protocol, Code: websocket.StatusInvalidFramePayloadData, Reason: reason, Cause: cause}
}

func tooBig(limit int64) *ending.Error {
	return &ending.Error{Kind: ending.TooBig, Reason: fmt.Sprintf("message over %d bytes", limit)}
}

// freeInflated gives the frame for coder back.
func (in *input) freeInflated(x *inflation) {
	if x.out != nil {
		in.c.opts.Read.put(x.out)
		x.out, x.r, x.w = nil, 0, 0
	}
}

// free gives the inflater back, and the window too if all is set.
func (x *inflation) free(all bool) {
	if x.z != nil {
		x.z.Reset(nil)
		inflaters.Put(x.z)
		x.z = nil
	}
	if all && x.window != nil {
		windows.Put(x.window)
		x.window = nil
	}
}

// end gives all back for good.
func (x *inflation) end(in *input) {
	in.freeInflated(x)
	x.free(true)
	x.busy, x.src = false, nil
}

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
		control := o.head[0]&0xf >= opClose
		if o.left > 0 {
			n := int(min(o.left, int64(len(p))))
			if x.packing && !control {
				x.compress(p[:n])
			} else {
				o.add(p[:n])
			}
			p = p[n:]
			if o.left -= int64(n); o.left > 0 {
				continue
			}
		} else {
			o.head[o.have] = p[0]
			o.have++
			p = p[1:]
			n := o.have
			if !o.begin() {
				continue
			}
			op := o.head[0] & 0xf
			control = op >= opClose
			if op == opText || op == opBinary {
				x.begin(op, o.left)
			}
			if control || !x.packing {
				o.add(o.head[:n])
				o.took(o.left)
			}
			if o.left > 0 {
				continue
			}
		}
		if x.packing && !control && o.head[0]&finBit != 0 {
			x.finish()
		}
		o.framer.end()
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
	x.first = op | rsv1
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
	h := appendHeader(head[:0], x.first|fin, n)
	x.o.add(h)
	x.o.add(x.buf.b[:n])
	x.o.took(int64(n))
	x.n = copy(x.buf.b, x.buf.b[n:x.n])
	x.first = opContinuation
}

// finish ends the message.
func (x *deflation) finish() {
	_ = x.z.Flush()
	if !bytes.HasSuffix(x.buf.b[:x.n], tail) {
		panic("transport: compress/flate ended a flush in another way")
	}
	x.frame(finBit)
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

// appendHeader appends the header of a server's frame.
func appendHeader(b []byte, first byte, n int) []byte {
	switch {
	case n <= 125:
		return append(b, first, byte(n))
	case n <= 0xffff:
		return binary.BigEndian.AppendUint16(append(b, first, 126), uint16(n))
	}
	return binary.BigEndian.AppendUint64(append(b, first, 127), uint64(n))
}
