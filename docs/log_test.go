package docs

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"example.com/wsecho/echo"
	"example.com/wsecho/internal/testcert"
	"example.com/wsecho/server"
	"example.com/wsecho/wstest"
)

// TestLogFields compares the fields of a connection's log line with endings.md. The peer
// has a certificate and comes through a trusted proxy. It answers a ping and then ends the
// stream. So no field is missing.
func TestLogFields(t *testing.T) {
	var log bytes.Buffer
	ended := make(chan struct{})
	s, err := server.New(func(ctx context.Context, c *server.Conn) error { return echo.Serve(ctx, c) }, server.Options{
		PingInterval:   100 * time.Millisecond,
		MaxMissed:      1000, // a busy machine may answer late
		Subprotocols:   []string{"chat"},
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")},
		PerConn: func(*http.Request) (*server.ConnOptions, error) {
			return &server.ConnOptions{Fault: "ping=100ms"}, nil
		},
		Logger: slog.New(slog.NewJSONHandler(&log, nil)),
		OnEnd:  func(server.Outcome) { close(ended) },
	})
	if err != nil {
		t.Fatal(err)
	}
	root := testcert.NewAuthority(t, "root")
	serverTLS, clientTLS := wstest.TLS()
	serverTLS.ClientAuth, serverTLS.ClientCAs = tls.RequireAndVerifyClientCert, root.Pool()
	clientTLS.Certificates = []tls.Certificate{root.Issue(t, "client", -time.Hour, time.Hour).TLS}
	srv := httptest.NewUnstartedServer(s)
	srv.TLS = serverTLS
	srv.StartTLS()
	defer srv.Close()
	p, err := wstest.Dial("ws"+strings.TrimPrefix(srv.URL, "http"), wstest.DialOptions{
		TLS: clientTLS, Subprotocols: []string{"chat"},
		Header: http.Header{"X-Request-Id": {"1"}, "X-Forwarded-For": {"192.0.2.1"}, "X-Forwarded-Proto": {"https"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	for range 2 { // the second ping follows the read of the first pong
		ping, err := p.Recv()
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Send(wstest.PongFrame(string(ping.Payload))); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.FIN(); err != nil {
		t.Fatal(err)
	}
	<-ended

	var got []string
	line := json.NewDecoder(&log)
	for depth, key := 0, true; line.More() || depth > 0; {
		token, err := line.Token()
		if err != nil {
			t.Fatal(err)
		}
		switch token {
		case json.Delim('{'):
			depth++
		case json.Delim('}'):
			depth--
		default:
			if key {
				got = append(got, token.(string))
			}
			key = !key
		}
	}
	var want []string
	for _, row := range table(t, read(t, "endings.md"), "| field | meaning |") {
		for _, name := range regexp.MustCompile("`([a-z_]+)`").FindAllStringSubmatch(row[0], -1) {
			want = append(want, name[1])
		}
	}
	want = append([]string{"time", "level", "msg"}, want...)
	if !slices.Equal(got, want) {
		t.Errorf("got  fields %q\nwant fields %q", got, want)
	}
}
