package wstest

import (
	"fmt"
	"net/http"

	"example.com/wsecho/internal/handshake"
)

// ReadResponse reads an HTTP response, sets Response to it and returns it. The caller
// reads the body, within the Timeout that began with this call.
func (p *Peer) ReadResponse() (*http.Response, error) {
	p.conn.SetReadDeadline(p.deadline())
	// Without a request, net/http assumes GET.
	r, err := http.ReadResponse(p.br, nil)
	if err != nil {
		return nil, err
	}
	p.Response = r
	return r, nil
}

// ReadRequest reads an HTTP request, sets Request to it and returns it. The caller reads
// the body, within the Timeout that began with this call.
func (p *Peer) ReadRequest() (*http.Request, error) {
	p.conn.SetReadDeadline(p.deadline())
	r, err := http.ReadRequest(p.br)
	if err != nil {
		return nil, err
	}
	p.Request = r
	return r, nil
}

// Accept reads the client's opening handshake and writes a [Response] with header. The
// response has a subprotocol and extensions only if header has them. A request that is no
// handshake gets 400, and Accept returns an error.
func (p *Peer) Accept(header http.Header) error {
	key, err := p.readHandshake()
	if err != nil {
		return err
	}
	return p.SendRaw(Response(key, header))
}

// readHandshake reads the client's opening handshake and returns its key. It answers a
// request that is none.
func (p *Peer) readHandshake() (key string, err error) {
	r, err := p.ReadRequest()
	if err != nil {
		return "", fmt.Errorf("reading the handshake: %w", err)
	}
	key = r.Header.Get("Sec-WebSocket-Key")
	if r.Method != http.MethodGet ||
		!handshake.HasToken(r.Header["Upgrade"], "websocket") ||
		!handshake.HasToken(r.Header["Connection"], "upgrade") ||
		r.Header.Get("Sec-WebSocket-Version") != "13" ||
		key == "" {
		p.SendRaw([]byte("HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"))
		return "", fmt.Errorf("%s %s is no opening handshake", r.Method, r.RequestURI)
	}
	return key, nil
}
