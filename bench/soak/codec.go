package soak

import (
	"bytes"
	"fmt"

	"example.com/wsecho/internal/deflate"
)

// A codec is the client's side of permessage-deflate (RFC 7692). It compresses each message
// independently.
type codec struct {
	out deflate.Compressor
	in  deflate.Decompressor
}

const offer = "permessage-deflate"

// negotiated returns the codec for the extensions that the server has chosen, or nil if it
// has chosen none.
func negotiated(extensions []string) (*codec, error) {
	if len(extensions) == 0 {
		return nil, nil
	}
	takeover, err := deflate.Agreed(extensions)
	return &codec{in: deflate.Decompressor{Takeover: takeover}}, err
}

// tail is the end of a compressed message that is not sent (section 7.2.1).
var tail = []byte{0, 0, 0xff, 0xff}

// deflate compresses a message, and splits the result into the same number of parts.
func (c *codec) deflate(parts [][]byte) [][]byte {
	var b bytes.Buffer
	c.out.Begin(&b)
	for _, p := range parts {
		c.out.Write(p)
	}
	c.out.End()
	rest := bytes.TrimSuffix(b.Bytes(), tail)
	out := make([][]byte, len(parts))
	for i := range out {
		n := len(rest) / (len(out) - i)
		out[i], rest = rest[:n], rest[n:]
	}
	return out
}

// inflate returns the payload of a message from the server.
func (c *codec) inflate(payload []byte, compressed bool) ([]byte, error) {
	if !compressed {
		return payload, nil
	}
	plain, err := c.in.Message(payload, 1<<30)
	if err != nil {
		return nil, fmt.Errorf("decompressing an echo: %w", err)
	}
	return plain, nil
}
