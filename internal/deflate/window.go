package deflate

// WindowSize is the farthest that data can refer back, and the bytes in a Window.
const WindowSize = 1 << 15

// A Window is the data that came last, which what comes next can refer to. The
// zero Window is empty. While an Inflater uses it, nobody else may.
type Window struct {
	b  [WindowSize]byte // a ring
	at uint64           // bytes ever put there: the next goes to this, modulo WindowSize
}

// Reset empties w.
func (w *Window) Reset() { w.at = 0 }

func (w *Window) put(c byte) {
	w.b[w.at%WindowSize] = c
	w.at++
}

// append puts p, of at most WindowSize bytes, at the end.
func (w *Window) append(p []byte) {
	n := copy(w.b[w.at%WindowSize:], p)
	copy(w.b[:], p[n:])
	w.at += uint64(len(p))
}

// repeat puts n bytes, at most WindowSize, from distance back at the end. They may
// overlap.
func (w *Window) repeat(distance uint64, n int) {
	to, from := int(w.at%WindowSize), int((w.at-distance)%WindowSize)
	w.at += uint64(n)
	switch {
	case max(to, from)+n > WindowSize:
		for range n {
			w.b[to%WindowSize] = w.b[from%WindowSize]
			to, from = to+1, from+1
		}
	case from >= to || to-from >= n:
		copy(w.b[to:to+n], w.b[from:from+n])
	default: // each copy makes the next one longer
		for end := to + n; to < end; {
			to += copy(w.b[to:end], w.b[from:to])
		}
	}
}
