package deflate

// WindowSize is the size of a Window in bytes, and the largest distance of a reference.
const WindowSize = 1 << 15

// A Window contains the last output, to which later data can refer. The zero Window is
// empty. It must not be used concurrently.
type Window struct {
	b  [WindowSize]byte // a ring
	at uint64           // the number of bytes ever added; the next index, modulo WindowSize
}

// Reset empties w.
func (w *Window) Reset() { w.at = 0 }

func (w *Window) put(c byte) {
	w.b[w.at%WindowSize] = c
	w.at++
}

// append adds p, which has at most WindowSize bytes.
func (w *Window) append(p []byte) {
	n := copy(w.b[w.at%WindowSize:], p)
	copy(w.b[:], p[n:])
	w.at += uint64(len(p))
}

// repeat adds n bytes that start distance bytes before the end. n is at most WindowSize.
// The bytes repeat if n is greater than distance.
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
	default: // each copy doubles the length of the next one
		for end := to + n; to < end; {
			to += copy(w.b[to:end], w.b[from:to])
		}
	}
}
