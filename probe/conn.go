package probe

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"time"

	"example.com/wsecho/internal/frame"
	"example.com/wsecho/internal/handshake"
)

// A conn is the connection to the server.
type conn struct {
	tcp      net.Conn
	net.Conn               // tcp, or TLS over it
	br       *bufio.Reader // nil before the handshake

	stop    func() bool // stops the function that ends tcp with the context
	open    bool        // the handshake is complete
	closing bool        // our close frame was sent
	budget  *budget     // nil: none
	message message     // the fragments so far
}

var past = time.Unix(1, 0)

// connect resolves the host and opens TCP, or calls Options.DialContext. The deadline
// that it sets is that of all steps: no later step moves it.
func (p *probing) connect(ctx context.Context) error {
	dial := p.o.DialContext
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	var phases phases
	tcp, err := dial(phases.trace(ctx), "tcp", handshake.Address(p.url))
	p.report.DNS, p.report.TCP = phases.result()
	if err != nil {
		return err
	}
	p.conn = &conn{tcp: tcp, Conn: tcp}
	p.report.Remote = tcp.RemoteAddr().String()
	err = tcp.SetDeadline(p.deadline)
	p.conn.stop = context.AfterFunc(ctx, func() { _ = tcp.SetDeadline(past) })
	return err
}

// secure performs the handshake of TLS. It needs no context: the socket has the
// deadline.
func (p *probing) secure(context.Context) error {
	secure := tls.Client(p.conn.tcp, handshake.TLSConfig(p.o.TLS, p.url))
	if err := secure.Handshake(); err != nil {
		return err
	}
	state := secure.ConnectionState()
	p.report.TLS = &state
	p.conn.Conn = secure
	return nil
}

// handshake opens the WebSocket.
func (p *probing) handshake(context.Context) error {
	_, err := p.open("")
	return err
}

// open opens the WebSocket with this key, or with a random one.
func (p *probing) open(key string) (*http.Response, error) {
	in, response, err := handshake.Open(p.conn, handshake.Offer{
		URL: p.url, Header: p.o.Header, UserAgent: "wsecho-probe", Subprotocols: p.o.Subprotocols, Key: key,
	}, p.deadline)
	if response != nil {
		p.report.Status = response.StatusCode
	}
	if err != nil {
		return nil, err
	}
	p.report.Subprotocol = response.Header.Get("Sec-WebSocket-Protocol")
	p.conn.br, p.conn.open = in, true
	return response, nil
}

// teardown closes the connection. After a closing handshake the server closes TCP first
// (RFC 6455, section 7.1.1). teardown waits up to a second for that.
func (p *probing) teardown(ctx context.Context, closed bool) {
	c := p.conn
	if c == nil {
		return
	}
	if closed {
		until := time.Now().Add(time.Second)
		if until.After(p.deadline) {
			until = p.deadline
		}
		_ = c.tcp.SetDeadline(until)
		if ctx.Err() == nil { // otherwise this deadline may have replaced that of stop
			_, _ = io.CopyN(io.Discard, c.br, 64<<10)
		}
	}
	if c.open && !c.closing { // a step has failed
		_ = c.write(frame.Close, normalClosure)
	}
	c.stop()
	_ = c.tcp.Close() // tls.Conn.Close would wait for room for its alert
}
