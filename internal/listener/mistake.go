package listener

import (
	"bytes"
	"crypto/tls"
	"errors"
	"net"
)

// A Mistake is a mistake of a client or a proxy. It is not reported by net/http, which
// answers with 400 or 431.
type Mistake int

const (
	TLS         Mistake = iota + 1 // a TLS handshake on a port without TLS
	PROXY                          // the header of the PROXY protocol, version 1 or 2
	LargeHeader                    // more headers than http.Server.MaxHeaderBytes allows
	Plain                          // an HTTP request without TLS on a port with TLS
)

// proxyHeaders are the beginnings of the header of the PROXY protocol.
var proxyHeaders = [][]byte{[]byte("PROXY "), []byte("\r\n\r\n\x00\r\nQUIT\n")}

// mistakeIn returns the mistake in the first bytes of a connection, 0 if there is none.
func mistakeIn(first []byte) Mistake {
	if len(first) > 1 && first[0] == 22 && first[1] == 3 { // a record of type handshake; RFC 8446, section 5.1
		return TLS
	}
	for _, h := range proxyHeaders {
		if bytes.HasPrefix(first, h) {
			return PROXY
		}
	}
	return 0
}

// mistakeUnderTLS is mistakeIn for a connection with TLS.
func mistakeUnderTLS(first []byte) Mistake {
	for _, method := range []string{"GET ", "HEAD ", "POST ", "PUT ", "DELETE ", "OPTIONS ", "PATCH ", "CONNECT ", "PRI "} {
		if bytes.HasPrefix(first, []byte(method)) {
			return Plain
		}
	}
	if m := mistakeIn(first); m != TLS {
		return m
	}
	return 0
}

// A HeaderConn is a connection of the inner listener. It may begin with a header for the
// server, such as that of the PROXY protocol. Its Read reads the header and returns the
// bytes behind it. Afterwards its RemoteAddr is the address that the header names.
type HeaderConn interface {
	net.Conn
	// NetConn returns the connection beneath. It has all bytes that Read has not returned.
	NetConn() net.Conn
	// OnBadHeader sets the function that Read calls for a header that it refuses. It must
	// be called before Read.
	OnBadHeader(func(reason error))
}

// watch returns c, or a connection that reports a Mistake of its peer.
func (l *Limiter) watch(c net.Conn) net.Conn {
	if l.OnMistake == nil {
		return c
	}
	switch c := c.(type) {
	case HeaderConn:
		l.watchHeader(c)
		return &plainConn{watchedConn{Conn: c, onMistake: l.OnMistake, mistakeIn: mistakeIn}}
	case *net.TCPConn, *net.UnixConn:
		return &plainConn{watchedConn{Conn: c, onMistake: l.OnMistake, mistakeIn: mistakeIn}}
	case *tls.Conn:
		if under, ok := c.NetConn().(*watchedConn); ok {
			under.onMistake = l.OnMistake // nothing has been read yet
			if h, ok := under.Conn.(HeaderConn); ok {
				l.watchHeader(h)
			}
		}
	}
	return c
}

func (l *Limiter) watchHeader(c HeaderConn) {
	if l.OnBadHeader != nil {
		c.OnBadHeader(func(reason error) { l.OnBadHeader(c.RemoteAddr(), reason) })
	}
}

// WithTLS returns a listener for TLS connections over those of inner. A Limiter reports
// their mistakes too. A listener of crypto/tls would hide the first bytes.
func WithTLS(inner net.Listener, config *tls.Config) net.Listener {
	return &tlsListener{inner, config}
}

type tlsListener struct {
	net.Listener
	config *tls.Config
}

func (l *tlsListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return tls.Server(&watchedConn{Conn: c, mistakeIn: mistakeUnderTLS}, l.config), nil
}

// A watchedConn reports a Mistake in the first bytes that it reads.
type watchedConn struct {
	net.Conn
	onMistake func(net.Addr, Mistake) // nil: not called
	mistakeIn func(first []byte) Mistake
	done      bool // the first bytes were read
}

// Read reads from the connection.
func (c *watchedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if !c.done && n > 0 {
		c.done = true
		if m := c.mistakeIn(p[:n]); m != 0 && c.onMistake != nil {
			c.onMistake(c.RemoteAddr(), m)
		}
	}
	return n, err
}

// CloseWrite ends the output. net/http and the transport call it if it exists.
func (c *watchedConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

// NetConn returns the connection beneath, as [tls.Conn.NetConn] does.
func (c *watchedConn) NetConn() net.Conn { return c.Conn }

// A plainConn is a watchedConn without TLS. It sees the answers of net/http.
type plainConn struct{ watchedConn }

// Write writes to the connection.
func (c *plainConn) Write(p []byte) (int, error) {
	if bytes.HasPrefix(p, tooLarge) {
		c.onMistake(c.RemoteAddr(), LargeHeader)
	}
	return c.Conn.Write(p)
}

// tooLarge is the beginning of net/http's own answer, which it writes in one piece. That of
// a handler has other headers, such as Date. TestLogLines of package server checks it.
var tooLarge = []byte("HTTP/1.1 431 Request Header Fields Too Large\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n")

// Unwrap returns the connection that serves a WebSocket: that of the system, or the TLS
// connection over it. It must not be called before the header of a HeaderConn was read.
func Unwrap(c net.Conn) net.Conn {
	if f, ok := c.(*plainConn); ok {
		c = f.Conn
	}
	if h, ok := c.(HeaderConn); ok {
		c = h.NetConn()
	}
	return c
}

// Base returns the connection of the system beneath c.
func Base(c net.Conn) net.Conn {
	for {
		above, ok := c.(interface{ NetConn() net.Conn })
		if !ok {
			return c
		}
		c = above.NetConn()
	}
}
