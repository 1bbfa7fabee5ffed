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

// DialOptions are the options of [Dial] and [RawDial]. The zero value is good.
type DialOptions struct {
	// Header is sent with the handshake. A field takes the place of the honest
	// one of the same name, Host included; one without values removes it.
	Header http.Header

	// Subprotocols and Extensions are offered if not empty. An extension that
	// the server accepts is the caller's to speak.
	Subprotocols []string
	Extensions   string

	// TLS is for wss. Nil is the zero tls.Config, which trusts the system's
	// roots; [TLS] has one for the servers of tests. An empty ServerName is the
	// host of the URL and an empty NextProtos is http/1.1.
	TLS *tls.Config

	// RcvBuf is SO_RCVBUF, set before connecting so that it bounds the window
	// of TCP from the start: with a small one, a peer that does not read stalls
	// the other side early. Zero leaves it to the system. It is ignored where
	// the system is no Unix, and with Dial.
	RcvBuf int

	// Timeout bounds each step, which are connecting, the handshake of TLS and
	// the two halves of the opening handshake, and becomes the Timeout of the
	// Peer. Zero is DefaultTimeout, negative is no bound.
	Timeout time.Duration

	// Dial makes the connection; nil is net.Dialer. Timeout does not bound it.
	Dial func(network, addr string) (net.Conn, error)
}

// Dial connects to a ws or wss URL and makes an honest opening handshake. A
// wrong answer to it is a *HandshakeError. The caller must close the Peer.
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

// RawDial connects to a ws or wss URL, including the handshake of TLS, and sends
// nothing of the opening handshake: write a [Request], or what you like, and
// call ReadResponse. The caller must close the Peer.
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
	if p.tls != nil {
		p.conn.SetDeadline(p.deadline())
		if err := p.tls.Handshake(); err != nil {
			p.RST()
			return nil, err
		}
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
