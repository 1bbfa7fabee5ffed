package server_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"

	"example.com/wsecho/server"
	"example.com/wsecho/wstest"
)

// logLines returns the lines with these messages, without the fields that differ.
func logLines(t *testing.T, log *logBuffer, messages ...string) (lines []map[string]any) {
	t.Helper()
	for line := range strings.Lines(log.String()) {
		fields := make(map[string]any)
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			t.Fatal(err)
		}
		if slices.Contains(messages, fields["msg"].(string)) {
			lines = append(lines, fields)
		}
	}
	return lines
}

// TestLogQuery checks that the log has no query, which may be a token, unless LogQuery is
// set. The Outcome has it.
func TestLogQuery(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ uri, want string }{
		{"/", "/"},
		{"/chat?token=secret", "/chat?…"},
		{"/chat?token=secret?b=secret", "/chat?…"},
		{"/chat?", "/chat?…"},
		{"/%3Ftoken", "/%3Ftoken"},
		{"/a://user:pass@b", "/a://user:pass@b"},
		{"http://user:secret@x/chat?token=secret", "http://…@x/chat?…"},
		{"http://x/chat?token=http://a@b", "http://x/chat?…"},
		{"/" + strings.Repeat("a", 300) + "?token=secret", "/" + strings.Repeat("a", 255) + "…(+58 bytes)"},
		{"http://user:" + strings.Repeat("secret", 50) + "@x/", "http://…"},
	} {
		for _, withQuery := range []bool{false, true} {
			want := tt.want
			kept := tt.uri
			if len(kept) > 256 {
				kept = fmt.Sprintf("%s…(+%d bytes)", kept[:256], len(kept)-256)
			}
			if withQuery {
				want = kept
			}
			var log logBuffer
			s := serve(t, echoes, server.Options{Logger: slog.New(logFormats["JSON"](&log)), LogQuery: withQuery, CloseTimeout: server.MaxCloseTimeout})
			p := s.raw(t)
			if r, body := roundTrip(t, p, handshakeRequest("GET "+tt.uri, "Host: x\r\n")); r.StatusCode != http.StatusSwitchingProtocols {
				t.Fatalf("%s: got %d %s", tt.uri, r.StatusCode, body)
			}
			sendLast(t, p, 1000, wstest.CloseFrame(1000, ""))
			if o := s.end(t); o.URI != kept {
				t.Errorf("%s: the outcome has %q, want %q", tt.uri, o.URI, kept)
			}
			_ = s.stop()
			lines := logLines(t, &log, "began", "ended")
			for _, line := range lines {
				if line["uri"] != want {
					t.Errorf("LogQuery %t, %s: got %v, want uri %s", withQuery, tt.uri, line, want)
				}
			}
			if len(lines) != 2 || !withQuery && strings.Contains(log.String(), "secret") {
				t.Errorf("LogQuery %t, %s: got %s", withQuery, tt.uri, log.String())
			}
		}
	}
}

// TestSubprotocols checks the choice of a subprotocol, and its line in the log.
func TestSubprotocols(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 60)
	for name, tt := range map[string]struct {
		supported []string
		requested []string // headers
		want      string
		logged    string // "": nothing is requested
		flag      string // in the warning; "": there is none
	}{
		"none requested":   {[]string{"a"}, nil, "", "", ""},
		"none at all":      {nil, nil, "", "", ""},
		"one":              {[]string{"a"}, []string{"a"}, "a", "a", ""},
		"server's first":   {[]string{"b", "a"}, []string{"a, b"}, "b", "a, b", ""},
		"unknown":          {[]string{"a"}, []string{"graphql-transport-ws, x"}, "", "graphql-transport-ws, x", "(--subprotocol=graphql-transport-ws)"},
		"none supported":   {nil, []string{"soap"}, "", "soap", "(--subprotocol=soap)"},
		"any":              {[]string{"*"}, []string{"x,y"}, "x", "x, y", ""},
		"any, two headers": {[]string{"*"}, []string{"x", "y"}, "x", "x, y", ""},
		"any, after one":   {[]string{"b", "*"}, []string{"a, b"}, "b", "a, b", ""},
		"any, before one":  {[]string{"*", "b"}, []string{"a, b"}, "a", "a, b", ""},
		"any, without":     {[]string{"*"}, nil, "", "", ""},
		"any, no token":    {[]string{"*"}, []string{"a b, , c\"d, e"}, "e", "e", ""},
		"no token at all":  {nil, []string{"a b"}, "", "", ""},
		"an asterisk":      {[]string{"a"}, []string{"*"}, "", "*", "(--subprotocol)"},
		"long":             {nil, []string{long + "," + long}, "", long + ", xx…(+58 bytes)", "(--subprotocol=" + long + ")"},
	} {
		t.Run(name, func(t *testing.T) {
			var log logBuffer
			s := serve(t, echoes, server.Options{Logger: slog.New(logFormats["JSON"](&log)), Subprotocols: tt.supported, CloseTimeout: server.MaxCloseTimeout})
			var fields strings.Builder
			for _, v := range tt.requested {
				fields.WriteString("Sec-WebSocket-Protocol: " + v + "\r\n")
			}
			p := s.raw(t)
			r, body := roundTrip(t, p, handshakeRequest("GET /", "Host: x\r\n"+fields.String()))
			if r.StatusCode != http.StatusSwitchingProtocols || r.Header.Get("Sec-WebSocket-Protocol") != tt.want {
				t.Fatalf("got %d %q %s, want subprotocol %q", r.StatusCode, r.Header["Sec-Websocket-Protocol"], body, tt.want)
			}
			sendLast(t, p, 1000, wstest.CloseFrame(1000, ""))
			if o := s.end(t); o.Subprotocol != tt.want {
				t.Errorf("the outcome has %q, want %q", o.Subprotocol, tt.want)
			}
			_ = s.stop()
			for _, line := range logLines(t, &log, "began", "ended") {
				got, requested := line["subprotocol"], line["requested_subprotocols"]
				if tt.logged == "" && (got != nil || requested != nil) || tt.logged != "" && (got != tt.want || requested != tt.logged) {
					t.Errorf("got %v, want the subprotocols %q and %q", line, tt.want, tt.logged)
				}
			}
			warnings := logLines(t, &log, "no subprotocol selected")
			if (tt.flag == "") != (len(warnings) == 0) {
				t.Fatalf("got the warnings %v, want the flag %q", warnings, tt.flag)
			}
			for _, line := range warnings {
				if reason := line["reason"].(string); line["level"] != "WARN" || line["requested_subprotocols"] != tt.logged || !strings.Contains(reason, tt.flag) {
					t.Errorf("got %v, want the flag %s", line, tt.flag)
				}
			}
		})
	}
}

// TestLogHeader checks that a header of the request is in each line about it.
func TestLogHeader(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 70)
	for name, tt := range map[string]struct {
		header string // Options.LogHeader
		fields string
		want   any
	}{
		"absent":        {"", "", nil},
		"default":       {"", "x-request-id: 7f-1\r\n", "7f-1"},
		"two":           {"", "X-Request-Id: 1\r\nX-Request-Id: 2\r\n", "1, 2"},
		"named":         {"traceparent", "Traceparent: 00-4b\r\nX-Request-Id: 1\r\n", "00-4b"},
		"named, absent": {"Traceparent", "X-Request-Id: 1\r\n", nil},
		"long":          {"", "X-Request-Id: " + long + "\r\n", long[:64] + "…(+6 bytes)"},
		"quoted":        {"", "X-Request-Id: \u202e\xff\r\n", `\u202e\xff`},
	} {
		t.Run(name, func(t *testing.T) {
			var log logBuffer
			s := serve(t, echoes, server.Options{Logger: slog.New(logFormats["JSON"](&log)), LogHeader: tt.header, CloseTimeout: server.MaxCloseTimeout})
			p := s.raw(t)
			if r, body := roundTrip(t, p, handshakeRequest("GET /", "Host: x\r\n"+tt.fields)); r.StatusCode != http.StatusSwitchingProtocols {
				t.Fatalf("got %d %s", r.StatusCode, body)
			}
			sendLast(t, p, 1000, wstest.CloseFrame(1000, ""))
			s.end(t)
			if r, _ := roundTrip(t, s.raw(t), handshakeRequest("GET /", "Host: x\r\nOrigin: http://a.example\r\n"+tt.fields)); r.StatusCode != http.StatusForbidden {
				t.Errorf("got %d, want 403", r.StatusCode)
			}
			_ = s.stop()
			lines := logLines(t, &log, "began", "ended", "refused")
			for _, line := range lines {
				if line["request_id"] != tt.want {
					t.Errorf("got %v, want request_id %v", line, tt.want)
				}
			}
			if len(lines) != 3 {
				t.Errorf("got %s", log.String())
			}
		})
	}
	if _, err := server.New(echoes, server.Options{LogHeader: "a b"}); err == nil || !strings.Contains(err.Error(), "LogHeader") {
		t.Errorf("got %v, want an error about LogHeader", err)
	}
}
