package server_test

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"example.com/wsecho/server"
)

// TestServePlain: an Options.HTTP that calls ServePlain changes no answer, and no refusal
// that is reported.
func TestServePlain(t *testing.T) {
	t.Parallel()
	var reported [2]atomic.Value
	var called atomic.Int64
	options := func(i int) server.Options {
		reported[i].Store("")
		return server.Options{OnRefuse: func(r *http.Request, status int, reason error) {
			reported[i].Store(fmt.Sprint(r.Method, status, reason))
		}}
	}
	without := serve(t, echoes, options(0))
	o := options(1)
	o.HTTP = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		called.Add(1)
		server.ServePlain(w, r)
	})
	with := serve(t, echoes, o)
	fields := []string{"", "Sec-WebSocket-Key: x\r\n", "Upgrade: h2c\r\n", "Content-Length: 1\r\n", "Transfer-Encoding: chunked\r\n"}
	requests := 0
	for _, method := range []string{"GET", "HEAD", "POST", "PUT", "OPTIONS", "DELETE", "NONE"} {
		for _, path := range []string{"/", "/?x", "/ws", "/healthz", "/readyz", "/healthz/", "*"} {
			for _, field := range fields {
				if path == "*" && method != "OPTIONS" {
					continue
				}
				body := map[string]string{fields[3]: "x", fields[4]: "1\r\nx\r\n0\r\n\r\n"}[field]
				request := method + " " + path + " HTTP/1.1\r\nHost: x\r\n" + field + "\r\n" + body
				requests++
				var got [2]string
				for i, s := range []*testServer{without, with} {
					got[i] = answerOf(t, s, method, request) + reported[i].Swap("").(string)
				}
				if got[0] != got[1] {
					t.Errorf("%q: without HTTP the answer is\n%s, and with it\n%s", request, got[0], got[1])
				}
			}
		}
	}
	if n := int(called.Load()); n < requests/3 {
		t.Errorf("HTTP was called for %d of %d requests", n, requests)
	}
}

// TestBodyAfterAnswer: the body of a request, or the end of the stream, may arrive after
// the answer. Options.HTTP may also read the body.
func TestBodyAfterAnswer(t *testing.T) {
	t.Parallel()
	var log lockedBuffer
	s := serve(t, echoes, server.Options{
		Logger: slog.New(slog.NewTextHandler(&log, nil)),
		HTTP: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/reads" {
				if p, err := io.ReadAll(r.Body); string(p) != "hello" {
					t.Errorf("the handler read %q, %v", p, err)
				}
			}
			_, _ = w.Write(make([]byte, 64<<10))
		}),
	})
	const request = " HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n"
	for _, tt := range []struct{ before, after string }{
		{"GET /" + request + "\r\n", "hello"},
		{"GET /" + request + "\r\n", ""},
		{"POST /" + request + "\r\nhel", "lo"},
		{"POST /" + request + "Expect: 100-continue\r\n\r\n", "hello"},
		{"POST /reads" + request + "\r\nhello", ""},
		{"PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", "5\r\nhello\r\n0\r\n\r\n"},
	} {
		p := s.raw(t)
		r, body := roundTrip(t, p, tt.before)
		if r.StatusCode != http.StatusOK || len(body) != 64<<10 || !r.Close {
			t.Errorf("%q: got %s, %d bytes, close: %v", tt.before, r.Status, len(body), r.Close)
		}
		// On a slow machine the server may have closed the connection already.
		_ = p.SendRaw([]byte(tt.after))
		_ = p.FIN()
		_, _ = io.Copy(io.Discard, p.NetConn())
	}
	if err := s.stop(); err != nil {
		t.Error(err)
	}
	if log.count("panic") > 0 {
		t.Errorf("got the log %s", log.b.String())
	}
}

// answerOf returns the answer to a request, without its date.
func answerOf(t *testing.T, s *testServer, method, request string) string {
	t.Helper()
	p := s.raw(t)
	if method != http.MethodHead {
		r, body := roundTrip(t, p, request)
		r.Header.Del("Date")
		return fmt.Sprintln(r.Status, r.Close, r.Header, body)
	}
	if err := p.SendRaw([]byte(request)); err != nil {
		t.Fatal(err)
	}
	r, err := p.ReadResponse() // which does not know that there is no body
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Del("Date")
	return fmt.Sprintln(r.Status, r.Close, r.Header)
}

// TestServePlainElsewhere: ServePlain answers no request that a Server has not passed on.
func TestServePlainElsewhere(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	server.ServePlain(w, httptest.NewRequest(http.MethodGet, "/", nil))
	if w.Code != http.StatusNotFound {
		t.Errorf("got %d", w.Code)
	}
}
