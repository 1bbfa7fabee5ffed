package deflate

import (
	"compress/flate"
	"io"
	"sync"
	"sync/atomic"
)

// Compressor compresses the messages of one connection, RFC 7692, section 7.2.1. It
// must not be used concurrently. Between messages it keeps memory only with context
// takeover. A compressor with context needs 1.2 MB, so at most 128 of them keep one. The
// others compress each message on its own, which a peer with context takeover can read.
type Compressor struct {
	// Takeover allows a message to refer back to earlier ones. It needs Window 0.
	Takeover bool
	// Window is the farthest that data refers back, in bytes. 0: WindowSize.
	Window int

	z       *flate.Writer // nil: released
	w       io.Writer     // z's destination
	counted bool          // in contexts, and keeps its context
	used    int           // bytes since the last reset, where Window limits them
}

// NewCompressor returns the compressor of a server with these parameters.
func NewCompressor(p Params) Compressor {
	c := Compressor{Takeover: p.ServerTakeover}
	if p.ServerBits < 15 {
		c.Window = 1 << p.ServerBits
	}
	return c
}

var (
	compressors = sync.Pool{New: func() any {
		z, _ := flate.NewWriter(io.Discard, flate.BestSpeed) // fails only for an unknown level
		return z
	}}
	contexts atomic.Int64
)

const maxContexts = 128

// Smaller messages gain next to nothing from compression.
const (
	minSize        = 512
	minSizeContext = 128 // with context takeover
)

// Pays reports whether a message should be compressed whose first frame has size bytes.
func (c *Compressor) Pays(size int64) bool {
	if c.Takeover {
		return size >= minSizeContext
	}
	return size >= minSize
}

// Begin begins a message. Its compressed data goes to w, which must be the same for all
// messages and must not fail.
func (c *Compressor) Begin(w io.Writer) {
	if c.z != nil {
		return
	}
	c.z = compressors.Get().(*flate.Writer)
	c.w = w
	c.z.Reset(w)
	if c.Takeover {
		if c.counted = contexts.Add(1) <= maxContexts; !c.counted {
			contexts.Add(-1)
		}
	}
}

// Write compresses payload of the message. There is no option for a smaller window in
// compress/flate. So each window of data is compressed on its own.
func (c *Compressor) Write(p []byte) {
	for len(p) > 0 {
		n := len(p)
		if c.Window > 0 {
			if c.used == c.Window {
				_ = c.z.Flush()
				c.z.Reset(c.w)
				c.used = 0
			}
			n = min(n, c.Window-c.used)
			c.used += n
		}
		_, _ = c.z.Write(p[:n])
		p = p[n:]
	}
}

// End ends the message. The compressed data ends with 00 00 ff ff, which must not be
// sent (section 7.2.1).
func (c *Compressor) End() {
	_ = c.z.Flush()
	if !c.counted {
		c.Release()
	}
}

// Release frees all memory. The next message refers back to nothing.
func (c *Compressor) Release() {
	if c.z != nil {
		c.z.Reset(io.Discard)
		compressors.Put(c.z)
		c.z, c.w, c.used = nil, nil, 0
	}
	if c.counted {
		c.counted = false
		contexts.Add(-1)
	}
}
