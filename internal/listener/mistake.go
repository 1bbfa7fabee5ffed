package listener

import (
	"bytes"
	"net"
)

// A Mistake is a mistake of a client or a proxy. It is not reported by net/http, which
// answers with 400 or 431.
type Mistake int

const (
	TLS         Mistake = iota + 1 // a TLS handshake on a port without TLS
	PROXY                          // the header of the PROXY protocol, version 1 or 2
	LargeHeader                    // more headers than http.Server.MaxHeaderBytes allows
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

// A watchedConn is a TCP connection that reports a Mistake.
type watchedConn struct {
	*net.TCPConn
	l    *Listener
	done bool // the first bytes were read
}

// Read reads from the connection.
func (c *watchedConn) Read(p []byte) (int, error) {
	n, err := c.TCPConn.Read(p)
	if !c.done && n > 0 {
		c.done = true
		if m := mistakeIn(p[:n]); m != 0 {
			c.l.OnMistake(c.RemoteAddr(), m)
		}
	}
	return n, err
}

// Write writes to the connection.
func (c *watchedConn) Write(p []byte) (int, error) {
	if bytes.HasPrefix(p, tooLarge) {
		c.l.OnMistake(c.RemoteAddr(), LargeHeader)
	}
	return c.TCPConn.Write(p)
}

// tooLarge is the beginning of net/http's own answer, which it writes in one piece. That of
// a handler has other headers, such as Date. TestLogLines of package server checks it.
var tooLarge = []byte("HTTP/1.1 431 Request Header Fields Too Large\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n")

// Unwrap returns the connection that the inner listener has accepted.
func Unwrap(c net.Conn) net.Conn {
	if f, ok := c.(*watchedConn); ok {
		return f.TCPConn
	}
	return c
}
