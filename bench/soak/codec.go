package soak

import (
	"bytes"
	"compress/flate"
	"fmt"
	"io"
	"strings"
	"sync"
)

// A codec is the client's side of permessage-deflate, RFC 7692. It compresses
// each message by itself, and keeps what the server may refer back to.
type codec struct {
	window []byte // nil: the server starts anew with each message
	keep   bool
}

const offer = "permessage-deflate"

// negotiated returns the codec for the extension that the server has chosen, nil
// for none.
func negotiated(extensions string) *codec {
	if !strings.HasPrefix(extensions, offer) {
		return nil
	}
	return &codec{keep: !strings.Contains(extensions, "server_no_context_takeover")}
}

// writers are used again: to make one costs more than most messages.
var writers = sync.Pool{New: func() any {
	w, _ := flate.NewWriter(nil, flate.BestSpeed) // the level is a legal one
	return w
}}

// tail ends a message, and is not sent (section 7.2.1).
var tail = []byte{0, 0, 0xff, 0xff}

// deflate compresses a message, and cuts it into as many parts as it had.
func (c *codec) deflate(parts [][]byte) [][]byte {
	var b bytes.Buffer
	w := writers.Get().(*flate.Writer)
	defer writers.Put(w)
	w.Reset(&b)
	for _, p := range parts {
		_, _ = w.Write(p) // a bytes.Buffer takes all
	}
	_ = w.Flush()
	rest := bytes.TrimSuffix(b.Bytes(), tail)
	out := make([][]byte, len(parts))
	for i := range out {
		n := len(rest) / (len(out) - i)
		out[i], rest = rest[:n], rest[n:]
	}
	return out
}

// inflate is the payload of a message from the server.
func (c *codec) inflate(payload []byte, compressed bool) ([]byte, error) {
	if !compressed {
		return payload, nil
	}
	// After the tail, a final block that is empty ends the stream for the reader.
	in := io.MultiReader(bytes.NewReader(payload), bytes.NewReader(tail), bytes.NewReader([]byte{1, 0, 0, 0xff, 0xff}))
	p, err := io.ReadAll(flate.NewReaderDict(in, c.window))
	if err != nil {
		return nil, fmt.Errorf("inflating an echo of %d bytes: %w", len(payload), err)
	}
	if c.keep {
		const size = 32 << 10
		c.window = append(c.window, p...)
		c.window = c.window[max(0, len(c.window)-size):]
	}
	return p, nil
}
