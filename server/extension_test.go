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

// TestNegotiation offers extensions and compares the answer in both modes, or the
// status where the handshake fails.
func TestNegotiation(t *testing.T) {
	t.Parallel()
	const (
		pd    = "permessage-deflate"
		both  = pd + "; server_no_context_takeover; client_no_context_takeover"
		bad   = "400"
		alone = pd + "; server_no_context_takeover"
	)
	sites := make(map[websocket.CompressionMode]*site)
	for _, mode := range []websocket.CompressionMode{websocket.CompressionContextTakeover, websocket.CompressionNoContextTakeover, websocket.CompressionDisabled} {
		sites[mode] = serve(t, echoes, server.Options{Compression: mode, PingInterval: -1})
	}
	for _, tt := range []struct {
		offer    []string
		keep     string // the answer with context takeover
		separate string // the one without
	}{
		// Nothing of ours.
		{nil, "", ""},
		{[]string{""}, "", ""},
		{[]string{" , ,"}, "", ""},
		{[]string{"x"}, "", ""},
		{[]string{"x-webkit-deflate-frame"}, "", ""},
		{[]string{"permessage-bzip2; a=1; b=\"2\"; c"}, "", ""},
		{[]string{"Permessage-Deflate"}, "", ""},
		{[]string{"permessage-deflate2"}, "", ""},

		// Each parameter alone: RFC 7692, section 7.1.
		{[]string{pd}, pd, both},
		{[]string{"  " + pd + "\t"}, pd, both},
		{[]string{pd + "; server_no_context_takeover"}, alone, both},
		{[]string{pd + "; client_no_context_takeover"}, pd + "; client_no_context_takeover", both},
		{[]string{pd + "; client_max_window_bits"}, pd, both},
		{[]string{pd + "; client_max_window_bits=8"}, pd, both},
		{[]string{pd + "; client_max_window_bits=15"}, pd, both},
		{[]string{pd + "; server_max_window_bits=15"}, pd + "; server_max_window_bits=15", both + "; server_max_window_bits=15"},
		{[]string{pd + "; server_max_window_bits=14"}, alone + "; server_max_window_bits=14", both + "; server_max_window_bits=14"},
		{[]string{pd + "; server_max_window_bits=8"}, alone + "; server_max_window_bits=8", both + "; server_max_window_bits=8"},
		{[]string{pd + `; server_max_window_bits="10"`}, alone + "; server_max_window_bits=10", both + "; server_max_window_bits=10"},
		{[]string{pd + `; server_max_window_bits="\1\0"`}, alone + "; server_max_window_bits=10", both + "; server_max_window_bits=10"},

		// Together.
		{[]string{pd + ";client_max_window_bits;server_max_window_bits=10"}, alone + "; server_max_window_bits=10", both + "; server_max_window_bits=10"},
		{[]string{pd + " ; server_no_context_takeover ; client_no_context_takeover"}, both, both},
		{[]string{pd + "; client_no_context_takeover; server_max_window_bits = 15; client_max_window_bits = 9; server_no_context_takeover"},
			both + "; server_max_window_bits=15", both + "; server_max_window_bits=15"},

		// Offers to decline.
		{[]string{pd + "; unknown"}, "", ""},
		{[]string{pd + "; server_no_context_takeover; unknown=1"}, "", ""},
		{[]string{pd + "; server_no_context_takeover; server_no_context_takeover"}, "", ""},
		{[]string{pd + "; client_no_context_takeover; client_no_context_takeover"}, "", ""},
		{[]string{pd + "; client_max_window_bits; client_max_window_bits"}, "", ""},
		{[]string{pd + "; server_max_window_bits=9; server_max_window_bits=9"}, "", ""},
		{[]string{pd + "; server_max_window_bits"}, "", ""},
		{[]string{pd + "; server_max_window_bits=7"}, "", ""},
		{[]string{pd + "; server_max_window_bits=16"}, "", ""},
		{[]string{pd + "; server_max_window_bits=0"}, "", ""},
		{[]string{pd + "; server_max_window_bits=-8"}, "", ""},
		{[]string{pd + "; server_max_window_bits=+8"}, "", ""},
		{[]string{pd + "; server_max_window_bits=08"}, "", ""},
		{[]string{pd + "; server_max_window_bits=010"}, "", ""},
		{[]string{pd + "; server_max_window_bits=1e1"}, "", ""},
		{[]string{pd + "; server_max_window_bits=99999999999999999999"}, "", ""},
		{[]string{pd + "; client_max_window_bits=7"}, "", ""},
		{[]string{pd + "; client_max_window_bits=16"}, "", ""},
		{[]string{pd + "; client_max_window_bits=08"}, "", ""},
		{[]string{pd + "; client_max_window_bits=abc"}, "", ""},
		{[]string{pd + "; server_no_context_takeover=1"}, "", ""},
		{[]string{pd + "; client_no_context_takeover=true"}, "", ""},
		{[]string{pd + "; Server_No_Context_Takeover"}, "", ""},

		// Several: the first that is in order.
		{[]string{"x, " + pd}, pd, both},
		{[]string{"x;y=z," + pd + ",w"}, pd, both},
		{[]string{",," + pd + ",,"}, pd, both},
		{[]string{pd + "; server_max_window_bits=10, " + pd}, alone + "; server_max_window_bits=10", both + "; server_max_window_bits=10"},
		{[]string{pd + ", " + pd + "; server_max_window_bits=10"}, pd, both},
		{[]string{pd + "; unknown, " + pd + "; server_max_window_bits=16, " + pd + "; server_no_context_takeover"}, alone, both},
		{[]string{"x", pd + "; unknown", pd + "; client_no_context_takeover"}, pd + "; client_no_context_takeover", both},
		{[]string{`x; y="a", ` + pd}, pd, both},

		// What is no list of extensions.
		{[]string{";"}, bad, bad},
		{[]string{pd + ";"}, bad, bad},
		{[]string{pd + ";;server_no_context_takeover"}, bad, bad},
		{[]string{pd + " server_no_context_takeover"}, bad, bad},
		{[]string{pd + "; server_max_window_bits="}, bad, bad},
		{[]string{pd + "; =8"}, bad, bad},
		{[]string{pd + "=8"}, bad, bad},
		{[]string{pd + `; server_max_window_bits="10`}, bad, bad},
		{[]string{pd + `; server_max_window_bits="10\`}, bad, bad},
		{[]string{pd + `; server_max_window_bits=""`}, bad, bad},
		{[]string{pd + `; server_max_window_bits="1 0"`}, bad, bad},
		{[]string{pd + `; server_max_window_bits="10"0`}, bad, bad},
		{[]string{pd + `; server_max_window_bits=1"0"`}, bad, bad},
		{[]string{pd + "; server_max_window_bits=10=10"}, bad, bad},
		{[]string{`"` + pd + `"`}, bad, bad},
		{[]string{pd + ", (x)"}, bad, bad},
		{[]string{pd, "caf\xe9"}, bad, bad},
	} {
		for mode, s := range sites {
			want := map[websocket.CompressionMode]string{websocket.CompressionContextTakeover: tt.keep, websocket.CompressionNoContextTakeover: tt.separate}[mode]
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
