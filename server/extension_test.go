package server_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"example.com/wsecho/server"
	"example.com/wsecho/wstest"
)

// TestNegotiation shows that the handshake negotiates permessage-deflate. The table of
// all offers is in internal/deflate.
func TestNegotiation(t *testing.T) {
	t.Parallel()
	const (
		pd    = "permessage-deflate"
		both  = pd + "; server_no_context_takeover; client_no_context_takeover"
		bad   = "400"
		alone = pd + "; server_no_context_takeover"
	)
	sites := make(map[websocket.CompressionMode]*testServer)
	for _, mode := range []websocket.CompressionMode{websocket.CompressionContextTakeover, websocket.CompressionNoContextTakeover, websocket.CompressionDisabled} {
		sites[mode] = serve(t, echoes, server.Options{Compression: mode, PingInterval: -1})
	}
	for _, tt := range []struct {
		offer    []string
		takeover string // the answer with context takeover
		without  string // the answer without
	}{
		{nil, "", ""},
		{[]string{"x"}, "", ""},
		{[]string{pd}, pd, both},
		{[]string{pd + "; server_max_window_bits=10"}, alone + "; server_max_window_bits=10", both + "; server_max_window_bits=10"},
		{[]string{"x", pd + "; unknown", pd + "; client_no_context_takeover"}, pd + "; client_no_context_takeover", both},
		{[]string{pd + ";"}, bad, bad},
		{[]string{pd, "caf\xe9"}, bad, bad},
	} {
		for mode, s := range sites {
			want := map[websocket.CompressionMode]string{websocket.CompressionContextTakeover: tt.takeover, websocket.CompressionNoContextTakeover: tt.without}[mode]
			header := make(http.Header)
			if tt.offer != nil {
				header["Sec-WebSocket-Extensions"] = tt.offer
			}
			p, err := wstest.Dial(s.url, wstest.DialOptions{Header: header})
			var refused *wstest.HandshakeError
			got := ""
			switch {
			case errors.As(err, &refused):
				got = refused.Response.Status[:3]
			case err != nil:
				t.Fatal(err)
			default:
				got = strings.Join(p.Response.Header.Values("Sec-WebSocket-Extensions"), ", ")
				_ = p.Close()
				s.end(t)
			}
			if got != want {
				t.Errorf("%q in mode %d: got %q, want %q", tt.offer, mode, got, want)
			}
		}
	}
}
