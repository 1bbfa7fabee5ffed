package wstest

import (
	"cmp"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"example.com/wsecho/internal/handshake"
)

// DialOptions configure [Dial] and [RawDial]. The zero value has the defaults.
type DialOptions struct {
	// Header is sent with the handshake. A field replaces the correct one of the same
	// name, Host included. A field without values removes it.
	Header http.Header

	// Subprotocols and Extensions are offered if they are not empty. The caller must
	// implement an extension that the server accepts.
	Subprotocols []string
	Extensions   string

	// TLS is for wss. [TLS] returns one for the servers of tests. Nil: the zero
	// tls.Config, which trusts the system's roots. Without a ServerName it is the host of
	// the URL, and without NextProtos http/1.1.
	TLS *tls.Config

	// RcvBuf is SO_RCVBUF, set before connecting, so that it bounds the TCP window from
	// the start. If it is small, a peer that does not read soon stalls the other side. It
	// applies on Unix and without Dial. 0: the system decides.
	RcvBuf int

	// Timeout bounds each step: connecting, TLS, sending the request, reading the
	// response. It is also the Timeout of the Peer. 0: DefaultTimeout; negative: none.
	Timeout time.Duration

	// Dial makes the connection, without the Timeout. Nil: net.Dialer does.
	Dial func(network, addr string) (net.Conn, error)
}

// Dial connects to a ws or wss URL and makes a correct opening handshake. The error for a
// wrong response is a *HandshakeError. The caller must close the Peer.
func Dial(url string, o DialOptions) (*Peer, error) {
	p, err := RawDial(url, o)
	if err != nil {
		return nil, err
	}
	if err := p.handshake(url, o); err != nil {
		p.RST()
		return nil, err
	}
	return p, nil
}

// RawDial connects to a ws or wss URL and makes the TLS handshake, but no opening
// handshake. The caller may write a [Request] or anything else, and call ReadResponse. The
// caller must close the Peer.
func RawDial(rawURL string, o DialOptions) (*Peer, error) {
	u, err := handshake.ParseURL(rawURL)
	if err != nil {
		return nil, err
	}
	timeout := cmp.Or(o.Timeout, DefaultTimeout)
	if o.Dial == nil {
		dialer := net.Dialer{Timeout: max(timeout, 0)}
		if o.RcvBuf > 0 {
			dialer.Control = setRcvBuf(o.RcvBuf)
		}
		o.Dial = dialer.Dial
	}
	c, err := o.Dial("tcp", handshake.Address(u))
	if err != nil {
		return nil, err
	}
	var secure func(net.Conn) *tls.Conn
	if u.Scheme == "wss" {
		config := handshake.TLSConfig(o.TLS, u)
		if o.TLS != nil && len(o.TLS.NextProtos) > 0 {
			config.NextProtos = o.TLS.NextProtos
		}
		secure = func(c net.Conn) *tls.Conn { return tls.Client(c, config) }
	}
	p := newPeer(c, secure, false)
	p.Timeout = timeout
	if err := p.handshakeTLS(); err != nil {
		p.RST()
		return nil, err
	}
	return p, nil
}

// As the RFC spells them, which http.Header.Add would not.
const (
	subprotocolField = "Sec-WebSocket-Protocol"
	extensionsField  = "Sec-WebSocket-Extensions"
)

// handshake makes the client's opening handshake.
func (p *Peer) handshake(url string, o DialOptions) error {
	header := o.Header.Clone()
	if header == nil {
		header = make(http.Header)
	}
	if len(o.Subprotocols) > 0 {
		header[subprotocolField] = append(header[subprotocolField], strings.Join(o.Subprotocols, ", "))
	}
	if o.Extensions != "" {
		header[extensionsField] = append(header[extensionsField], o.Extensions)
	}
	key := NewKey()
	if err := p.SendRaw(Request(url, key, header)); err != nil {
		return err
	}
	p.conn.SetReadDeadline(p.deadline())
	r, err := handshake.ReadResponse(p.br, nil)
	if err != nil {
		return fmt.Errorf("reading the answer to the handshake: %w", err)
	}
	p.Response = r
	return checkResponse(r, key)
}
