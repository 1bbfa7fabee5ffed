package conformance_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"example.com/wsecho/server"
	"example.com/wsecho/wstest"
)

// TestHandshake sends legal and illegal forms of a handshake (RFC 6455, section 4.2.1).
// TestBadHandshakes of package server has more illegal forms.
func TestHandshake(t *testing.T) {
	t.Parallel()
	key := func(n int, c string) string { // the base64 encoding of n bytes
		return strings.Repeat(c, (n*8+5)/6) + strings.Repeat("=", (3-n%3)%3)
	}
	type row struct {
		name   string
		status int
		line   string // "": GET / HTTP/1.1
		header http.Header
	}
	rows := []row{
		{"as the RFC has it", 101, "", nil},
		{"a query", 101, "GET /chat?room=1&x=%20 HTTP/1.1", nil},
		{"a whole URL", 101, "GET http://example.com/chat HTTP/1.1", nil},
		{"HTTP/1.0", 426, "GET / HTTP/1.0", nil},
		{"POST", 405, "POST / HTTP/1.1", http.Header{"Content-Length": {"0"}}},
		{"PUT", 405, "PUT / HTTP/1.1", http.Header{"Content-Length": {"0"}}},
		{"HEAD", 405, "HEAD / HTTP/1.1", nil},
		{"get", 405, "get / HTTP/1.1", nil},
		{"no Host", 400, "", http.Header{"Host": {}}},
		{"key of no bytes", 400, "", http.Header{"Sec-WebSocket-Key": {""}}},
		{"key of 15 bytes", 400, "", http.Header{"Sec-WebSocket-Key": {key(15, "A")}}},
		{"key of 16 zeros", 101, "", http.Header{"Sec-WebSocket-Key": {key(16, "A")}}},
		{"key of 17 bytes", 400, "", http.Header{"Sec-WebSocket-Key": {key(17, "A")}}},
		{"key that is no base64", 400, "", http.Header{"Sec-WebSocket-Key": {"!!!!!!!!!!!!!!!!!!!!!!=="}}},
		{"key without padding", 400, "", http.Header{"Sec-WebSocket-Key": {key(16, "A")[:22]}}},
		{"two keys", 400, "", http.Header{"Sec-WebSocket-Key": {key(16, "A"), key(16, "A")}}},
		{"no key", 400, "", http.Header{"Sec-WebSocket-Key": {}}},
		{"an unknown extension", 101, "", http.Header{"Sec-WebSocket-Extensions": {"x-unknown; a=1; b=\"2\""}}},
	}
	for _, v := range []string{"Upgrade", "upgrade", "UPGRADE", "keep-alive, Upgrade", "Upgrade, keep-alive", "a,upgrade,b", ", ,Upgrade,", "\tUpgrade\t"} {
		rows = append(rows, row{"Connection " + v, 101, "", http.Header{"Connection": {v}}})
	}
	for _, v := range []string{"websocket", "WebSocket", "WEBSOCKET", "h2c, websocket", "websocket, h2c", "websocket\t", ",websocket"} {
		rows = append(rows, row{"Upgrade " + v, 101, "", http.Header{"Upgrade": {v}}})
	}
	rows = append(rows,
		row{"Connection on two lines", 101, "", http.Header{"Connection": {"keep-alive", "Upgrade"}}},
		row{"Upgrade on two lines", 101, "", http.Header{"Upgrade": {"h2c", "websocket"}}},
	)
	// Without these headers the request is an ordinary HTTP request.
	for _, v := range []string{"", "Upgrades", "Up grade", "upgrade/1", "\"Upgrade\"", "keep-alive"} {
		rows = append(rows, row{"Connection " + v, 426, "GET /ws HTTP/1.1", http.Header{"Connection": {v}}})
	}
	for _, v := range []string{"", "websockets", "web socket", "h2c", "\"websocket\""} {
		rows = append(rows, row{"Upgrade " + v, 426, "GET /ws HTTP/1.1", http.Header{"Upgrade": {v}}})
	}
	for _, v := range []string{"", "0", "7", "8", "12", "14", "013", "13.0", "+13", "-13", "256", "x", "13, 8", "8, 13"} {
		rows = append(rows, row{"version " + v, 400, "", http.Header{"Sec-WebSocket-Version": {v}}})
	}
	url := serve(t, server.Options{})
	sweep(t, rows, func(r row) error {
		request := string(wstest.Request(url, "", r.header))
		if r.line != "" {
			request = strings.Replace(request, "GET / HTTP/1.1", r.line, 1)
		}
		if err := handshake(url, request, r.status); err != nil {
			return fmt.Errorf("%s: %w", r.name, err)
		}
		return nil
	})
}

// handshake sends a request and checks the status and the headers of the answer. After
// 101 it checks that the server echoes.
func handshake(url, request string, status int) error {
	p, err := wstest.RawDial(url, wstest.DialOptions{Timeout: soon})
	if err != nil {
		return err
	}
	defer p.Close()
	if err := p.SendRaw([]byte(request)); err != nil {
		return err
	}
	r, err := p.ReadResponse()
	if err != nil {
		return err
	}
	h := r.Header
	if r.StatusCode != status {
		return fmt.Errorf("got %d, want %d", r.StatusCode, status)
	}
	if status != http.StatusSwitchingProtocols {
		// Section 4.4: the answer names the supported version.
		if strings.Contains(request, "Upgrade") && status == 426 && h.Get("Sec-WebSocket-Version") != "13" {
			return fmt.Errorf("the answer has no Sec-WebSocket-Version: 13: %v", h)
		}
		return nil
	}
	key := ""
	for line := range strings.Lines(request) {
		if v, ok := strings.CutPrefix(line, "Sec-WebSocket-Key: "); ok {
			key = strings.TrimSpace(v)
		}
	}
	switch {
	case h.Get("Sec-WebSocket-Accept") != wstest.AcceptKey(key):
		return fmt.Errorf("Sec-WebSocket-Accept is %q", h.Get("Sec-WebSocket-Accept"))
	case !strings.EqualFold(h.Get("Upgrade"), "websocket"), !strings.EqualFold(h.Get("Connection"), "upgrade"):
		return fmt.Errorf("the answer has %v, want Upgrade: websocket and Connection: Upgrade", h)
	case h.Get("Sec-WebSocket-Extensions") != "", h.Get("Sec-WebSocket-Protocol") != "":
		return fmt.Errorf("the answer has a header that the client did not ask for: %v", h)
	}
	return echoed(wstest.Text, hello, together(text(hello))).on(&clientConn{Peer: p})
}

// TestSubprotocol checks that the server chooses one of its subprotocols that the client
// offered, or none (RFC 6455, section 4.2.2).
func TestSubprotocol(t *testing.T) {
	t.Parallel()
	url := serve(t, server.Options{Subprotocols: []string{"b", "a"}})
	type row struct {
		offers []string
		want   string
	}
	sweep(t, []row{
		{nil, ""},
		{[]string{"c"}, ""},
		{[]string{"a"}, "a"},
		{[]string{"c, a"}, "a"},
		{[]string{"a, b"}, "b"}, // in the server's order
		{[]string{"a", "b"}, "b"},
		{[]string{"ab"}, ""},
		{[]string{"a b"}, ""},
		{[]string{""}, ""},
		{[]string{",,a,,"}, "a"},
	}, func(r row) error {
		header := http.Header{}
		if r.offers != nil {
			header["Sec-WebSocket-Protocol"] = r.offers
		}
		p, err := wstest.Dial(url, wstest.DialOptions{Header: header, Timeout: soon})
		if err != nil {
			return fmt.Errorf("%q: %w", r.offers, err)
		}
		defer p.Close()
		if got := p.Response.Header.Values("Sec-WebSocket-Protocol"); strings.Join(got, "|") != r.want || len(got) > 1 {
			return fmt.Errorf("%q: got %q, want %q", r.offers, got, r.want)
		}
		return nil
	})
}
