package fault

import (
	"math/rand/v2"

	"example.com/wsecho/internal/frame"
)

// A rewriter changes the frames of a server: their size, and whether they are masked. It
// gets the frames in pieces of any size.
type rewriter struct {
	fragment int  // the most bytes of a data frame; 0: any
	mask     bool // all frames are masked

	head   []byte       // of a header that is incomplete
	frame  frame.Header // in progress
	begun  bool         // its first fragment was written
	left   uint64       // bytes of its payload that follow
	piece  uint64       // bytes of the fragment in progress that follow
	key    [4]byte
	masked int // bytes of the fragment that were masked
}

// most is the size at which next returns.
const most = 16 << 10

// atBoundary reports whether no frame is in progress.
func (w *rewriter) atBoundary() bool { return w.left == 0 && len(w.head) == 0 }

// next returns what to write for the first used bytes of p.
func (w *rewriter) next(p []byte) (out []byte, used int) {
	for used < len(p) && len(out) < most {
		if w.left == 0 {
			w.head = append(w.head, p[used])
			used++
			h, size := frame.ParseHeader(w.head)
			if len(w.head) < size {
				continue
			}
			w.head = w.head[:0]
			w.frame, w.begun, w.left, w.piece = h, false, h.Length, 0
			if w.left == 0 {
				out = w.header(out, 0)
			}
			continue
		}
		if w.piece == 0 {
			w.piece = w.left
			if w.fragment > 0 && w.frame.Opcode() < frame.Close {
				w.piece = min(w.left, uint64(w.fragment))
			}
			out = w.header(out, w.piece)
		}
		n := int(min(w.piece, uint64(len(p)-used), most))
		start := len(out)
		out = append(out, p[used:used+n]...)
		if w.mask {
			for i := range out[start:] {
				out[start+i] ^= w.key[w.masked%4]
				w.masked++
			}
		}
		used += n
		w.piece -= uint64(n)
		w.left -= uint64(n)
	}
	return out, used
}

// header appends the header of a fragment with n bytes of payload.
func (w *rewriter) header(out []byte, n uint64) []byte {
	first := w.frame.First
	if w.begun {
		first &= frame.Fin // a continuation frame, without the bit of a compressed message
	}
	if n < w.left {
		first &^= frame.Fin
	}
	w.begun, w.masked = true, 0
	h := frame.Header{First: first, Length: n}
	if w.mask {
		h.Masked = true
		k := rand.Uint32()
		w.key = [4]byte{byte(k), byte(k >> 8), byte(k >> 16), byte(k >> 24)}
		h.Key = w.key
	}
	return h.Append(out, 0)
}
