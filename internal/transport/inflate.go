package transport

import (
	"sync"

	"github.com/coder/websocket"

	"example.com/wsecho/ending"
	"example.com/wsecho/internal/deflate"
	"example.com/wsecho/internal/frame"
)

// inflation is the reading half, between the scanner and coder. It belongs to the
// input, whose lock guards it. Between messages it has no memory but, where the
// peer may refer back to it, the window.
type inflation struct {
	keep   bool
	window *deflate.Window
	z      *deflate.Inflater // of the message under way

	packed bool   // the message under way, or the last one, is compressed
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
	inflaters = sync.Pool{New: func() any { return new(deflate.Inflater) }}
	windows   = sync.Pool{New: func() any { return new(deflate.Window) }}

	// A peer need not send much to have something inflated: what it gets for that
	// at a time is a quarter of a read buffer, of memory as of the processor.
	inflated = NewPool(16 << 10)
)

// readInflated is Read where messages may be compressed.
func (in *input) readInflated(x *inflation, p []byte) (int, error) {
	for {
		if x.r < x.w {
			n := copy(p, x.out.b[x.r:x.w])
			if x.r += n; x.r == x.w {
				x.freeOut()
			}
			return n, nil
		}
		if x.busy {
			err := in.c.Err() // when reading is over, what little has come could still be very much
			if err == nil {
				err = in.inflate(x)
			}
			if err != nil {
				x.freeOut()
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
	x.src, x.fin, x.busy = frame.Payload(f), f[0]&frame.Fin != 0, true
	if x.z == nil {
		x.z = inflaters.Get().(*deflate.Inflater)
		if x.window == nil {
			x.window = windows.Get().(*deflate.Window)
			x.window.Reset()
		}
		x.z.Reset(x.window)
	}
	return true
}

// inflate makes a frame for coder of what is in hand, if that gives anything.
func (in *input) inflate(x *inflation) error {
	if in.turns >= maxTurns {
		in.yield()
	}
	if x.out == nil {
		x.out = inflated.get()
	}
	dst := x.out.b[headroom:]
	if left := in.Limit - x.size; in.Limit >= 0 && left < int64(len(dst)) {
		dst = dst[:left+1] // one byte too many is enough to know
	}
	n, used, err := x.z.Inflate(dst, x.src)
	x.src = x.src[used:]
	x.size += int64(n)
	in.turns += turnsOf(n)
	switch {
	case in.Limit >= 0 && x.size > in.Limit:
		return frame.TooBig(in.Limit)
	case err != nil:
		return corrupt(err)
	}
	if n < len(dst) {
		x.busy, x.src = false, nil
		in.r = in.ready
	}
	first := x.op
	last := x.fin && !x.busy
	if last {
		if !x.z.Whole() {
			return corrupt(nil)
		}
		x.free(!x.keep)
		first |= frame.Fin
	}
	if n == 0 && !last {
		x.freeOut()
		return nil
	}
	x.op = frame.Continuation
	x.r, x.w = frame.PutHeader(x.out.b, headroom, first, int64(n), 0), headroom+n
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

// freeOut gives the frame for coder back.
func (x *inflation) freeOut() {
	if x.out != nil {
		inflated.put(x.out)
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
func (x *inflation) end() {
	x.freeOut()
	x.free(true)
	x.busy, x.src = false, nil
}
