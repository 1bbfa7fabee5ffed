package server_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"example.com/wsecho/ending"
	"example.com/wsecho/server"
	"example.com/wsecho/wstest"
)

// longestLine is the maximum length of a line that a peer can cause, in bytes. It does not
// include the stack of a panic.
const longestLine = 2 << 10

// checkLines checks each line of a log. At least this many lines must have a shortened
// value.
func checkLines(t *testing.T, format, text string, cuts int) {
	t.Helper()
	longest := 0
	for line := range strings.Lines(text) {
		if format == "JSON" && !json.Valid([]byte(line)) || format == "text" && !strings.HasPrefix(line, "time=") {
			t.Errorf("%s: a broken line: %.300q", format, line)
		}
		// The quotation marks of peer data are escaped.
		line, _, _ = strings.Cut(line, ` stack="`)
		line, _, _ = strings.Cut(line, `,"stack":"`)
		longest = max(longest, len(line))
		if len(line) > longestLine {
			t.Errorf("%s: a line of %d bytes: %.300q", format, len(line), line)
		}
		if strings.Contains(line, " bytes)") {
			cuts--
		}
	}
	if cuts > 0 {
		t.Errorf("%s: %d lines with a truncated value are missing", format, cuts)
	}
	t.Logf("%s: the longest line has %d bytes", format, longest)
}

// sendLast sends the peer's last data, answers the close frame and compares its code. A FIN
// before that would end the connection if the handler does not read for a while.
func sendLast(t *testing.T, p *wstest.Peer, code uint16, last ...wstest.Frame) {
	t.Helper()
	send(t, p, last...)
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	if e, err := p.Answer(ctx, wstest.AnswerOptions{}); err != nil || e.Code != code || !e.FIN {
		t.Errorf("the peer got %v, %v, want code %d and FIN", e, err, code)
	}
	_ = p.FIN() // for which the server waits
}

// handshakeRequest returns the request for a WebSocket with this first line and these headers. It
// has no Host.
func handshakeRequest(first, fields string) string {
	r := first + " HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" + fields
	for field, value := range map[string]string{"Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": wstest.SampleKey} {
		if !strings.Contains(fields, field) {
			r += field + ": " + value + "\r\n"
		}
	}
	return r + "\r\n"
}

// TestLogCut sends every value that a peer can choose at its maximum length, on
// accepted and refused connections. No line of the log exceeds the limit.
func TestLogCut(t *testing.T) {
	t.Parallel()
	for format, handler := range logFormats {
		var log logBuffer
		s := serve(t, func(ctx context.Context, c *server.Conn) error {
			_, p, err := c.Read(ctx)
			if err != nil {
				return err
			}
			if c.Info().URI == "/panic" {
				panic(string(p))
			}
			return errors.New(string(p))
		}, server.Options{Logger: slog.New(handler(&log)), Compression: websocket.CompressionNoContextTakeover, CloseTimeout: server.MaxCloseTimeout})
		cuts := 0
		// Characters that slog prints unchanged, doubles, and escapes.
		for _, piece := range []string{"a", `"`, `\`, "\u00e9", "\xff", "\u202e", "\u202e\""} {
			long := func(bytes int) string { return strings.Repeat(piece, bytes/len(piece)) }
			host := "Host: " + strings.Repeat("a", 4<<10) + "\r\n"
			for _, path := range []string{"/" + long(6<<10), "/", "/panic"} {
				p := s.raw(t)
				if r, body := roundTrip(t, p, handshakeRequest("GET "+path, host+"User-Agent: "+long(1<<10)+"\r\n")); r.StatusCode != http.StatusSwitchingProtocols {
					t.Fatalf("%.20q: got %d %.200s", path, r.StatusCode, body)
				}
				if path == "/" || path == "/panic" {
					sendLast(t, p, 1011, wstest.BinaryFrame([]byte(long(1<<20))))
				} else {
					sendLast(t, p, 4000, wstest.CloseFrame(4000, strings.ToValidUTF8(long(123), "\x01")))
				}
				cuts += 2 // the lines of the connection's beginning and end
				if o := s.end(t); len(path) < 100 && o.URI != path || len(o.URI) > 300 || len(o.Host) > 300 {
					t.Errorf("%.20q: the outcome has %.300q and %.300q", path, o.URI, o.Host)
				}
			}
			for request, status := range map[string]int{
				handshakeRequest("GET /", host+"Origin: http://"+long(6<<10)+"\r\n"):                    403,
				handshakeRequest("GET /", "Host: x\r\nOrigin: "+long(10<<10)+"\r\n"):                    403,
				handshakeRequest("GET /", "Host: x\r\nSec-WebSocket-Version: "+long(10<<10)+"\r\n"):     400,
				handshakeRequest("GET /", "Host: x\r\nSec-WebSocket-Key: "+long(10<<10)+"\r\n"):         400,
				handshakeRequest(strings.Repeat("a", 10<<10)+" /", "Host: x\r\n"):                       405,
				handshakeRequest("GET /", "Host: x\r\nSec-WebSocket-Extensions: "+long(10<<10)+"=\r\n"): 400,
				"GET /" + long(10<<10) + " HTTP/1.1\r\n" + host + "\r\n":                                426,
				handshakeRequest("GET /"+long(17<<10), "Host: x\r\n"):                                   431,
			} {
				if r, _ := roundTrip(t, s.raw(t), request); r.StatusCode != status {
					t.Errorf("%.60q: got %d, want %d", request, r.StatusCode, status)
				} else if status == 403 || status == 405 {
					cuts++
				}
			}
		}
		_ = s.stop()
		checkLines(t, format, log.String(), cuts)
	}
}

// TestLogCutHTTP makes net/http log data of a peer.
func TestLogCutHTTP(t *testing.T) {
	t.Parallel()
	const turned = "\u202e"
	long := strings.Repeat("a\u202e\ngoroutine ", 500)
	for format, handler := range logFormats {
		var log logBuffer
		config, client := wstest.TLS()
		config.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			if len(hello.ServerName) > 100 {
				return nil, fmt.Errorf("there is no host %s", hello.ServerName)
			}
			return nil, nil
		}
		s := serveOn(t, tls.NewListener(listen(t), config), echoes, server.Options{
			Logger: slog.New(handler(&log)),
			Admit: func(r *http.Request) (any, error) {
				panic(r.Header.Get("X-Who") + long)
			},
		})
		s.url = "wss" + s.url[len("ws"):]
		strange := client.Clone()
		strange.InsecureSkipVerify, strange.ServerName = true, strings.Repeat(turned, 3000)
		if _, err := wstest.RawDial(s.url, wstest.DialOptions{TLS: strange}); err == nil {
			t.Error("there is such a host")
		}
		if _, err := wstest.Dial(s.url, wstest.DialOptions{TLS: client, Header: http.Header{"X-Who": {strings.Repeat("x", 8<<10)}}}); err == nil {
			t.Error("Admit has not panicked")
		}
		_ = s.stop()
		text := log.String()
		checkLines(t, format, text, 2)
		if strings.Contains(text, turned) {
			t.Errorf("%s: not quoted: %.300q", format, text)
		}
		for _, want := range []string{"TLS handshake error", "there is no host", "panic serving", "stack", "logged_test.go"} {
			if !strings.Contains(text, want) {
				t.Errorf("%s: nothing has %q: %s", format, want, text)
			}
		}
	}
}

// TestLogCutRemote uses middleware that sets the address from a header, as behind a
// proxy.
func TestLogCutRemote(t *testing.T) {
	t.Parallel()
	for format, handler := range logFormats {
		var log logBuffer
		ends := make(chan server.Outcome, 1)
		s, err := server.New(func(_ context.Context, c *server.Conn) error { panic("oh") }, server.Options{
			CloseTimeout: server.MaxCloseTimeout, Logger: slog.New(handler(&log)), OnEnd: func(o server.Outcome) { ends <- o },
		})
		if err != nil {
			t.Fatal(err)
		}
		ts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.RemoteAddr = r.Header.Get("X-Real-Ip")
			s.ServeHTTP(w, r)
		}))
		defer ts.Close()
		for _, origin := range [][]string{{}, {"http://elsewhere"}} {
			p, err := wstest.Dial("ws"+ts.URL[len("http"):], wstest.DialOptions{Header: http.Header{"X-Real-Ip": {strings.Repeat("\u202ea", 50<<10)}, "Origin": origin}})
			if (err == nil) != (len(origin) == 0) {
				t.Fatal(err)
			}
			if err == nil {
				sendLast(t, p, 1011)
				_ = p.Close()
			}
		}
		wantKind(t, <-ends, ending.Panicked)
		checkLines(t, format, log.String(), 4) // lines for began, panicked, ended and refused
		if strings.Contains(log.String(), "\u202e") {
			t.Errorf("%s: not quoted", format)
		}
	}
}

// TestLogCutWhere checks the position and the mark of a shortened string.
func TestLogCutWhere(t *testing.T) {
	t.Parallel()
	var log logBuffer
	s := serve(t, echoes, server.Options{Logger: slog.New(logFormats["JSON"](&log)), CloseTimeout: server.MaxCloseTimeout})
	for _, tt := range []struct{ uri, want string }{
		{"/" + strings.Repeat("a", 255), "/" + strings.Repeat("a", 255)},
		{"/" + strings.Repeat("a", 256), "/" + strings.Repeat("a", 255) + "…(+1 bytes)"},
		{"/" + strings.Repeat("a", 10_000), "/" + strings.Repeat("a", 255) + "…(+9745 bytes)"},
		{"/" + strings.Repeat("é", 200), "/" + strings.Repeat("é", 127) + "…(+146 bytes)"},
		{"/" + strings.Repeat("\xff", 63), "/" + strings.Repeat(`\xff`, 63)},
		{"/" + strings.Repeat("\xff", 100), "/" + strings.Repeat(`\xff`, 63) + "…(+37 bytes)"},
		{"/e\u0301\u034f\ufe0f\u3164", `/e\u0301\u034f\ufe0f\u3164`},
		{"/" + strings.Repeat("\u202e", 100), "/" + strings.Repeat(`\u202e`, 42) + "…(+174 bytes)"},
	} {
		p := s.raw(t)
		if r, body := roundTrip(t, p, handshakeRequest("GET "+tt.uri, "Host: x\r\n")); r.StatusCode != http.StatusSwitchingProtocols {
			t.Fatalf("%.20q: got %d %s", tt.uri, r.StatusCode, body)
		}
		sendLast(t, p, 1000, wstest.CloseFrame(1000, ""))
		if o := s.end(t); o.URI != tt.want {
			t.Errorf("the outcome has %q, want %q", o.URI, tt.want)
		}
		found := 0
		for line := range strings.Lines(log.String()) {
			var fields struct{ Msg, URI string }
			if err := json.Unmarshal([]byte(line), &fields); err != nil {
				t.Fatal(err)
			}
			if fields.URI == tt.want && (fields.Msg == "began" || fields.Msg == "ended") {
				found++
			}
		}
		if found != 2 {
			t.Errorf("%d lines have %q: %s", found, tt.want, log.String())
		}
	}
}
