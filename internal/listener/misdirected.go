package listener

import (
	"bytes"
	"net"
)

// A Protocol is one that a client may speak by mistake.
type Protocol int

const (
	TLS   Protocol = iota + 1 // a TLS handshake on a port without TLS
	PROXY                     // the header of the PROXY protocol, version 1 or 2
)

// proxyHeaders are the beginnings of the header of the PROXY protocol.
var proxyHeaders = [][]byte{[]byte("PROXY "), []byte("\r\n\r\n\x00\r\nQUIT\n")}

// protocolOf returns the protocol that a connection begins with, 0 for any other.
func protocolOf(first []byte) Protocol {
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

// A firstRead is a TCP connection whose first bytes are compared with other protocols.
// net/http would answer them with 400 and report nothing.
type firstRead struct {
	*net.TCPConn
	l    *Listener
	done bool
}

// Read reads from the connection.
func (c *firstRead) Read(p []byte) (int, error) {
	n, err := c.TCPConn.Read(p)
	if !c.done && n > 0 {
		c.done = true
		if protocol := protocolOf(p[:n]); protocol != 0 {
			c.l.OnMisdirected(c.RemoteAddr(), protocol)
		}
	}
	return n, err
}

// Unwrap returns the connection that the inner listener has accepted.
func Unwrap(c net.Conn) net.Conn {
	if f, ok := c.(*firstRead); ok {
		return f.TCPConn
	}
	return c
}
