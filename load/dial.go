package load

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/url"
	"os"
	"time"

	"example.com/wsecho/internal/deflate"
	"example.com/wsecho/internal/handshake"
)

// An opened is a connection whose opening handshake is complete.
type opened struct {
	net.Conn
	buffered []byte // arrived behind the response
	takeover bool   // the server's compressed messages refer to earlier ones
}

// open connects to u, at addr, and performs the opening handshake. Its errors are
// faults.
func open(ctx context.Context, p *Plan, u *url.URL, addr string) (*opened, error) {
	ctx, cancel := context.WithTimeout(ctx, p.Timeout)
	defer cancel()
	tcp, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, openFault(err, p, cannotConnect)
	}
	o := &opened{Conn: tcp}
	if u.Scheme == tcpScheme {
		return o, nil
	}
	if u.Scheme == "wss" {
		secure := tls.Client(tcp, handshake.TLSConfig(p.TLS, u))
		if err := secure.HandshakeContext(ctx); err != nil {
			tcp.Close()
			return nil, openFault(err, p, badTLS)
		}
		o.Conn = secure
	}
	// The deadline is for the handshake alone.
	deadline, _ := ctx.Deadline()
	_ = tcp.SetDeadline(deadline)
	stop := context.AfterFunc(ctx, func() { _ = tcp.SetDeadline(time.Unix(1, 0)) })
	err = o.handshake(p, u, deadline)
	if !stop() && err == nil {
		err = faultf(noWebSocket, "no answer to the handshake in %v", p.Timeout)
	}
	if err != nil {
		tcp.Close()
		return nil, openFault(err, p, noWebSocket)
	}
	_ = tcp.SetDeadline(time.Time{})
	return o, nil
}

// openFault returns the fault for err, an error of connecting. what is the kind of the
// fault.
func openFault(err error, p *Plan, what string) error {
	var f fault
	var refused *handshake.Error
	var timeout net.Error
	switch {
	case errors.As(err, &f):
		return f
	case errors.As(err, &refused):
		return fault{what, refused.Text}
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded),
		errors.As(err, &timeout) && timeout.Timeout():
		return faultf(what, "no answer in %v", p.Timeout)
	case what == badTLS && !errors.Is(err, io.EOF):
		return fault{what, handshake.Printable(err.Error())} // the innermost error alone has no context
	}
	switch f = faultOf(err); f.what {
	case ended:
		return fault{what, "it ended the connection"}
	case reset:
		return fault{what, "it reset the connection"}
	}
	return fault{what, f.detail}
}

func (o *opened) handshake(p *Plan, u *url.URL, deadline time.Time) error {
	offer := handshake.Offer{URL: u, Header: p.Header, UserAgent: "wsecho-bench", Subprotocols: p.Subprotocols}
	if p.Compression {
		offer.Extensions = "permessage-deflate; client_no_context_takeover; server_no_context_takeover"
	}
	in, response, err := handshake.Open(o.Conn, offer, deadline)
	if err != nil {
		return err
	}
	if p.Compression {
		if o.takeover, err = deflate.Agreed(response.Header.Values("Sec-WebSocket-Extensions")); err != nil {
			return fault{noWebSocket, err.Error()}
		}
	}
	o.buffered, err = in.Peek(in.Buffered())
	return err
}
