package transport

import (
	"github.com/coder/websocket"

	"example.com/wsecho/ending"
	"example.com/wsecho/internal/deflate"
	"example.com/wsecho/internal/frame"
)

// decompression decompresses messages between the scanner and coder. in.mu guards it.
type decompression struct {
	deflate.Decompressor

	packed bool   // the message in progress, or the last one, is compressed
	size   int64  // its decompressed bytes so far
	op     byte   // the opcode of the next frame for coder
	fin    bool   // the current frame is the last of its message
	busy   bool   // the current frame may give more output
	src    []byte // the remaining bytes of the current frame, in the input's buffer

	inPlain bool // coder has read a part of an uncompressed frame

	out  *block // a frame for coder, in r to w
	r, w int
}

// decompressed is the pool of buffers for output. They are small, because few bytes of a
// peer can decompress to many.
var decompressed = NewPool(16 << 10)

// readInflated is Read for a connection with permessage-deflate.
func (in *input) readInflated(x *decompression, p []byte) (int, error) {
	for {
		if x.r < x.w {
			n := copy(p, x.out.b[x.r:x.w])
			if x.r += n; x.r == x.w {
				x.releaseOutput()
			}
			return n, nil
		}
		if x.busy {
			err := in.c.Err() // buffered input can still give much output after the end of reading
			if err == nil {
				err = in.inflate(x)
			}
			if err != nil {
				x.releaseOutput()
				x.busy = false
				in.fail(err)
			}
			continue
		}
		if err := in.get(forInput); err != nil {
			return 0, err
		}
		if x.inPlain || !in.packed(x) {
			n := copy(p, in.buf.b[in.r:in.ready])
			in.r += n
			x.inPlain = in.r < in.ready
			return n, nil
		}
	}
}

// ready reports whether something can be read without waiting.
func (x *decompression) ready() bool { return x.r < x.w || x.busy }

// packed reports whether the next frame is compressed, and starts to decompress it. The
// frame stays in the input's buffer until all of it is decompressed.
func (in *input) packed(x *decompression) bool {
	f := in.buf.b[in.r:in.ready]
	op := frame.Opcode(f[0])
	if op >= frame.Close {
		return false
	}
	if op != frame.Continuation {
		x.packed = f[0]&frame.RSV1 != 0
		x.op, x.size = op, 0
	}
	if !x.packed {
		return false
	}
	if op != frame.Continuation {
		x.Begin()
	}
	x.src, x.fin, x.busy = frame.Payload(f), f[0]&frame.Fin != 0, true
	return true
}

// A byte of input can cost 70 ns although it gives no output: blocks may be empty. So
// inflateUnit bytes of input count as one work unit. One call uses inflatePiece bytes.
const (
	inflateUnit  = 64
	inflatePiece = 1 << 10
)

// inflate decompresses a part of the current frame into a frame for coder, if there is
// any output.
func (in *input) inflate(x *decompression) error {
	if in.workUnits >= maxWorkUnits {
		in.yield()
	}
	if x.out == nil {
		x.out = decompressed.get()
	}
	dst := x.out.b[headroom:]
	if left := in.Limit - x.size; in.Limit >= 0 && left < int64(len(dst)) {
		dst = dst[:left+1] // one byte over the limit proves that the message is too big
	}
	var n int
	var err error
	for more := true; more; {
		var made, used int
		made, used, err = x.Inflate(dst[n:], x.src[:min(len(x.src), inflatePiece)])
		n += made
		x.src = x.src[used:]
		in.workUnits += made>>12 + used/inflateUnit
		more = err == nil && n < len(dst) && len(x.src) > 0 && in.workUnits < maxWorkUnits
	}
	in.workUnits++
	x.size += int64(n)
	switch {
	case in.Limit >= 0 && x.size > in.Limit:
		return frame.TooBig(in.Limit)
	case err != nil:
		return corrupt(err)
	}
	if n < len(dst) && len(x.src) == 0 {
		x.busy, x.src = false, nil
		in.r = in.ready
	}
	first := x.op
	last := x.fin && !x.busy
	if last {
		if !x.End() {
			return corrupt(nil)
		}
		first |= frame.Fin
	}
	if n == 0 && !last {
		x.releaseOutput()
		return nil
	}
	x.op = frame.Continuation
	x.r, x.w = frame.PutHeader(x.out.b, headroom, first, int64(n), 0), headroom+n
	return nil
}

// corrupt returns the ending of invalid compressed data. RFC 7692 names no close code for
// it. Most servers send 1007.
func corrupt(cause error) *ending.Error {
	reason := "compressed data is invalid"
	if cause == nil {
		reason = "compressed data ends before its message does"
	}
	return &ending.Error{Kind: ending.Protocol, Code: websocket.StatusInvalidFramePayloadData, Reason: reason, Cause: cause}
}

// releaseOutput releases the buffer of the frame for coder.
func (x *decompression) releaseOutput() {
	if x.out != nil {
		decompressed.put(x.out)
		x.out, x.r, x.w = nil, 0, 0
	}
}

// end releases all memory. Nothing is decompressed afterwards.
func (x *decompression) end() {
	x.releaseOutput()
	x.Release()
	x.busy, x.src = false, nil
}
