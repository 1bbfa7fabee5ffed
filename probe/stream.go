package probe

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"

	"example.com/wsecho/ending"
)

// An opener is a RoundTripper that opens the WebSocket over an open connection. It writes
// the request of package handshake, with the key of the given one.
type opener struct{ p *probing }

func (o opener) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := o.p.open(r.Header.Get("Sec-WebSocket-Key"))
	if err != nil {
		return nil, err
	}
	response.Body = &body{in: o.p.conn.br, conn: o.p.conn.Conn}
	return response, nil
}

// A body is the byte stream under a WebSocket. The kernel reports a reset once. If a write
// gets it, the next read gets the end of the stream. So the read reports the reset.
type body struct {
	in   *bufio.Reader
	conn net.Conn

	frames  follower
	refused error // what the server has sent; no read follows

	writing sync.Mutex
	reset   error // of a write
}

func (b *body) Read(p []byte) (int, error) {
	if b.refused != nil {
		return 0, b.refused
	}
	n, err := b.in.Read(p)
	if n, b.refused = b.frames.next(p[:n]); b.refused != nil {
		return n, b.refused
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		b.writing.Lock()
		defer b.writing.Unlock()
		switch {
		case b.reset != nil:
			err = b.reset
		case errors.Is(err, io.EOF) && b.frames.inside():
			err = errInside
		}
	}
	return n, err
}

func (b *body) Write(p []byte) (int, error) {
	b.writing.Lock()
	defer b.writing.Unlock()
	n, err := b.conn.Write(p)
	if ending.IsReset(err) {
		b.reset = err
	}
	return n, err
}

func (b *body) Close() error { return b.conn.Close() }
