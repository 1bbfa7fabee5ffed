package transport

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
