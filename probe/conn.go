package probe

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"net"
	"time"

	"example.com/wsecho/internal/client"
)

// A conn is the connection to the server.
type conn struct {
	tcp      net.Conn
	net.Conn // tcp, or TLS over it
	br       *bufio.Reader
	in       *io.LimitedReader // beneath br

	stop    func() bool // of what ends it with the context
	open    bool        // a WebSocket
	closing bool        // our close frame was sent
	budget  *budget     // nil: none
	message message     // that has begun
}

var past = time.Unix(1, 0)

// connect finds the host and opens TCP to it. The deadline that it sets there is
// that of all steps, and nobody sets it again while they last.
func (p *probing) connect(ctx context.Context) error {
	tcp, err := new(net.Dialer).DialContext(ctx, "tcp", client.Address(p.url))
	if err != nil {
		return err
	}
	p.conn = &conn{tcp: tcp}
	p.conn.over(tcp)
	p.report.Remote = tcp.RemoteAddr().String()
	err = tcp.SetDeadline(p.deadline)
	p.conn.stop = context.AfterFunc(ctx, func() { _ = tcp.SetDeadline(past) })
	return err
}

// over reads and writes through c from now on.
func (c *conn) over(through net.Conn) {
	c.Conn = through
	c.in = &io.LimitedReader{R: through, N: unlimited}
	c.br = bufio.NewReader(c.in)
}

// secure begins TLS. It needs no context: the socket has the deadline.
func (p *probing) secure(context.Context) error {
	config := p.o.TLS.Clone()
	if config == nil {
		config = new(tls.Config)
	}
	if config.ServerName == "" {
		config.ServerName = p.url.Hostname()
	}
	config.NextProtos = []string{"http/1.1"}
	secure := tls.Client(p.conn.tcp, config)
	if err := secure.Handshake(); err != nil {
		return err
	}
	state := secure.ConnectionState()
	p.report.TLS = &state
	p.conn.over(secure)
	return nil
}

// leave ends the connection. After a goodbye the server ends TCP first (RFC 6455,
// section 7.1.1); it has a second for that.
func (p *probing) leave(ctx context.Context, goodbye bool) {
	c := p.conn
	if c == nil {
		return
	}
	if goodbye {
		until := time.Now().Add(time.Second)
		if until.After(p.deadline) {
			until = p.deadline
		}
		_ = c.tcp.SetDeadline(until)
		if ctx.Err() == nil { // or else what it has set may have been overwritten
			_, _ = io.CopyN(io.Discard, c.br, 64<<10)
		}
	}
	if c.open && !c.closing { // and it has failed
		_ = c.write(opClose, []byte{1000 >> 8, 1000 & 0xff})
	}
	c.stop()
	_ = c.tcp.Close() // that of TLS would wait for room for its alert
}
