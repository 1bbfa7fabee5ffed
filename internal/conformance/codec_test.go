package conformance_test

import (
	"bytes"
	"cmp"
	"compress/flate"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"example.com/wsecho/wstest"
)

// params are the parameters of permessage-deflate from the server's answer (RFC 7692,
// section 7.1).
type params struct {
	serverFresh, clientFresh bool // no context takeover
	serverBits, clientBits   int  // windows; 0: the parameter is absent
}

// answered parses the answer to an offer. It accepts at most one extension, and each
// known parameter once with a legal value. It returns nil if there is no extension.
func answered(h http.Header) (*params, error) {
	values := h.Values("Sec-WebSocket-Extensions")
	if len(values) == 0 {
		return nil, nil
	}
	answer := strings.Join(values, ", ")
	bad := fmt.Errorf("the server answered with extensions %q", answer)
	var p params
	var seen []string
	for i, part := range strings.Split(answer, ";") {
		name, value, valued := strings.Cut(strings.TrimSpace(part), "=")
		if slices.Contains(seen, name) {
			return nil, bad
		}
		seen = append(seen, name)
		bits := 0
		if valued {
			n, err := strconv.Atoi(value)
			if err != nil || n < 8 || n > 15 || strconv.Itoa(n) != value {
				return nil, bad
			}
			bits = n
		}
		switch {
		case i == 0 && part == "permessage-deflate":
		case i > 0 && name == "server_no_context_takeover" && !valued:
			p.serverFresh = true
		case i > 0 && name == "client_no_context_takeover" && !valued:
			p.clientFresh = true
		case i > 0 && name == "server_max_window_bits" && valued:
			p.serverBits = bits
		case i > 0 && name == "client_max_window_bits" && valued:
			p.clientBits = bits
		default:
			return nil, bad
		}
	}
	return &p, nil
}

// A codec is the client's half of permessage-deflate, over compress/flate.
type codec struct {
	params
	out *flate.Writer
	buf bytes.Buffer
	in  io.ReadCloser
	// window is the end of the server's data, as much as a reference may reach.
	window []byte

	exact bool // unpack checks every bit from the server
	reach int  // if exact, the farthest distance of a reference
}

func newCodec(p params) (*codec, error) {
	c := &codec{params: p, in: flate.NewReader(nil)}
	var err error
	c.out, err = flate.NewWriter(&c.buf, flate.DefaultCompression)
	return c, err
}

// syncTail ends a message's deflate stream at a byte boundary. It is not sent (RFC 7692,
// section 7.2.1). The reader needs finalTail, an empty final block.
const (
	syncTail  = "\x00\x00\xff\xff"
	finalTail = "\x01\x00\x00\xff\xff"
)

// pack compresses the payload of a message. compress/flate has only a window of 15 bits.
// For a smaller window, pack compresses pieces of the window's size independently.
func (c *codec) pack(p []byte) []byte {
	c.buf.Reset()
	piece, fresh := max(1, len(p)), c.clientFresh
	if c.clientBits > 0 && c.clientBits < 15 {
		piece, fresh = 1<<c.clientBits, true
	}
	for first := true; first || len(p) > 0; first = false {
		if fresh {
			c.out.Reset(&c.buf)
		}
		n := min(piece, len(p))
		_, _ = c.out.Write(p[:n]) // a bytes.Buffer never fails
		_ = c.out.Flush()
		p = p[n:]
	}
	return bytes.Clone(bytes.TrimSuffix(c.buf.Bytes(), []byte(syncTail)))
}

// unpack returns the payload of a whole message from the server.
func (c *codec) unpack(m wstest.Frame) ([]byte, error) {
	if m.Rsv == 0 {
		return m.Payload, nil
	}
	if c.serverFresh {
		c.window = nil
	}
	inflate := c.inflate
	if c.exact {
		inflate = c.inflateExactly
	}
	p, err := inflate(m.Payload)
	if !c.serverFresh {
		c.window = append(c.window, p...)
		c.window = slices.Clone(c.window[max(0, len(c.window)-1<<cmp.Or(c.serverBits, 15)):])
	}
	return p, err
}

func (c *codec) inflate(b []byte) ([]byte, error) {
	r := bytes.NewReader(append(b, syncTail+finalTail...))
	if err := c.in.(flate.Resetter).Reset(r, c.window); err != nil {
		return nil, err
	}
	p, err := io.ReadAll(c.in)
	if err == nil && r.Len() > 0 {
		err = errors.New("there is a final block inside the message")
	}
	return p, err
}

func (c *codec) inflateExactly(b []byte) ([]byte, error) {
	p, reach, err := inflate(b, c.window)
	c.reach = max(c.reach, reach)
	return p, err
}
