package command

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"example.com/wsecho/ending"
	"example.com/wsecho/server"
	"example.com/wsecho/wstest"
)

// post sends a body to the admin listener. Each header is NAME:VALUE; "Host" is one too.
func post(t *testing.T, addr, path, body string, headers ...string) (status int, answer string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+addr+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ":")
		switch name {
		case "":
		case "Host":
			r.Host = value
		default:
			r.Header.Set(name, value)
		}
	}
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	b, err := io.ReadAll(a.Body)
	if err != nil {
		t.Fatal(err)
	}
	return a.StatusCode, string(b)
}

// TestCloseConnection closes a connection that runs and one that is parked.
func TestCloseConnection(t *testing.T) {
	t.Parallel()
	for _, parkAfter := range []time.Duration{0, 5 * time.Millisecond} {
		for _, tt := range []struct {
			body   string
			code   int
			reason string
		}{
			{"{}", 1001, "closed by an operator"},
			{`{"code":1012,"reason":"maintenance"}`, 1012, "maintenance"},
			{`{"reason":""}`, 1001, ""},
		} {
			ended := make(chan server.Outcome, 1)
			_, url, addr := startAdmin(t, server.Options{PingInterval: -1, ParkAfter: parkAfter, OnEnd: func(o server.Outcome) { ended <- o }})
			p := dialPeer(t, url)
			echoed(t, p, 1)
			if parkAfter > 0 {
				listUntil(t, addr, "it is idle", func(l listing) bool { return l.Connections[0].MessagesOut == 1 && l.Connections[0].State != "open" })
			}
			answered := make(chan error, 1)
			go func() { _, err := p.Answer(t.Context(), wstest.AnswerOptions{}); answered <- err }()
			if status, answer := post(t, addr, "/connections/1/close", tt.body); status != http.StatusNoContent || answer != "" {
				t.Errorf("got %d, %q", status, answer)
			}
			o := <-ended
			if o.Kind != ending.Closed || o.By != ending.Local || int(o.Code) != tt.code || int(o.Sent) != tt.code || int(o.Received) != tt.code || o.Reason != tt.reason {
				t.Errorf("ParkAfter %v: got %+v, want %+v", parkAfter, o, tt)
			}
			<-answered
			listUntil(t, addr, "the ending is counted", func(l listing) bool { return l.Open == 0 && l.Endings["closed"] == 1 })
		}
	}
}

// TestCloseConnectionRefused: a request that is wrong, or that a page of another origin can
// cause, closes nothing.
func TestCloseConnectionRefused(t *testing.T) {
	t.Parallel()
	_, url, addr := startAdmin(t, server.Options{PingInterval: -1, CloseTimeout: 5 * time.Second})
	p := dialPeer(t, url)
	echoed(t, p, 1) // then the list has it
	const path = "/connections/1/close"
	for _, tt := range []struct {
		path, body, header string
		status             int
		want               string
	}{
		// A page of another site, by what its browser sends.
		{path, "{}", "Sec-Fetch-Site:cross-site", 403, "a page of another site"},
		{path, "{}", "Sec-Fetch-Site:same-site", 403, "a page of another site"},
		{path, "{}", "Origin:http://evil.example", 403, "a page of another site"},
		{path, "{}", "Origin:http://localhost:1", 403, "a page of another site"}, // another port
		{path, "{}", "Origin:null", 403, "a page of another site"},
		// A form, or fetch without a preflight.
		{path, "code=1000", "Content-Type:application/x-www-form-urlencoded", 415, "Content-Type: application/json"},
		{path, "{}", "Content-Type:text/plain", 415, "Content-Type: application/json"},
		{path, "{}", "Content-Type:", 415, "Content-Type: application/json"},
		// DNS rebinding: the page has the origin of the request.
		{path, "{}", "Host:evil.example", 403, "DNS rebinding"},
		{path, "{}", "Host:evil.example:9090", 403, "DNS rebinding"},

		{"/connections/7/close", "{}", "", 404, `no connection "7"`},
		{"/connections/x%0Ay/close", "{}", "", 404, `no connection "x\ny"`},
		{"/connections/-1/close", "{}", "", 404, `no connection "-1"`},
		{path, `{"code":1005}`, "", 400, "code: server: close code 1005 may not be sent"},
		{path, `{"code":-1}`, "", 400, "close code -1 may not be sent"},
		{path, `{"code":"x"}`, "", 400, "the body cannot be used"},
		{path, `{"cod":1000}`, "", 400, `unknown field "cod"`},
		{path, `{} {}`, "", 400, "more than one value"},
		{path, "", "", 400, "the body cannot be used: EOF"},
		{path, fmt.Sprintf(`{"reason":%q}`, strings.Repeat("x", 124)), "", 400, "it has 124 bytes"},
		{path, strings.Repeat(" ", closeRequestBytes+1), "", 413, "the body is longer than 4096 bytes"},
	} {
		if status, answer := post(t, addr, tt.path, tt.body, tt.header); status != tt.status || !strings.Contains(answer, tt.want) {
			t.Errorf("%+v: got %d, %q", tt, status, answer)
		}
	}
	for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodOptions} { // OPTIONS: a preflight gets no permission
		r, _ := http.NewRequestWithContext(t.Context(), method, "http://"+addr+path, nil)
		a, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		a.Body.Close()
		if a.StatusCode != http.StatusMethodNotAllowed || a.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: got %d, %v", method, a.StatusCode, a.Header)
		}
	}
	echoed(t, p, 1) // the connection is still open

	// While it closes it cannot be closed again. The page itself may close it.
	first := make(chan int, 1)
	go func() {
		status, _ := post(t, addr, path, "{}", "Origin:http://"+addr)
		first <- status
	}()
	listUntil(t, addr, "it is closing", func(l listing) bool { return l.Connections[0].State == "closing" })
	if status, answer := post(t, addr, path, "{}"); status != http.StatusConflict || answer != "the connection 1 is closing already\n" {
		t.Errorf("got %d, %q", status, answer)
	}
	_, _ = p.Answer(t.Context(), wstest.AnswerOptions{})
	if status := <-first; status != http.StatusNoContent {
		t.Errorf("got %d", status)
	}
}

// TestCloseConnectionRemote: a request over another address than a loopback address closes
// nothing, whatever its Host header is.
func TestCloseConnectionRemote(t *testing.T) {
	t.Parallel()
	s, url, _ := startAdmin(t, server.Options{PingInterval: -1})
	p := dialPeer(t, url)
	echoed(t, p, 1)
	h := protect(adminHandler(s, nil, nil, slog.New(slog.DiscardHandler)))
	for _, host := range []string{"192.0.2.1:9090", "localhost", "evil.example"} {
		r := httptest.NewRequest(http.MethodPost, "/connections/1/close", strings.NewReader("{}"))
		r.Host = host
		r.Header.Set("Content-Type", "application/json")
		local := &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 9090}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, local)))
		if w.Code != http.StatusForbidden || !strings.Contains(w.Body.String(), "only through a loopback address") {
			t.Errorf("%s: got %d, %q", host, w.Code, w.Body)
		}
	}
	echoed(t, p, 1)
}
