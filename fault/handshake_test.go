package fault_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"example.com/wsecho/ending"
	"example.com/wsecho/fault"
	"example.com/wsecho/server"
	"example.com/wsecho/wstest"
)

// refused returns the status and the text of a refused handshake.
func (ts *testServer) refused(t *testing.T, path string) (status int, text string) {
	t.Helper()
	p, err := wstest.Dial(ts.url+path, wstest.DialOptions{Timeout: soon})
	var e *wstest.HandshakeError
	if !errors.As(err, &e) {
		if err == nil {
			_ = p.Close()
		}
		t.Errorf("%s: got %v, want a refusal", path, err)
		return 0, ""
	}
	return e.Response.StatusCode, string(e.Body)
}

// TestWrong: a wrong value is refused with 400 and the values that are right.
func TestWrong(t *testing.T) {
	t.Parallel()
	s := serve(t, server.Options{})
	for _, tt := range []struct{ path, want string }{
		{"/?close=1005", `the fault close="1005" is wrong; right is a close code: 1000 to 1003, 1007 to 1014, or 3000 to 4999`},
		{"/?close=1006", `close="1006"`},
		{"/?close=", `close=""`},
		{"/close/5000", `close="5000"`},
		{"/close/", `close=""`},
		{"/?close=4000&reason=" + strings.Repeat("x", 124), "at most 123 bytes"},
		{"/?close=4000&reason=%ff", "UTF-8"},
		{"/?reason=x", "needs close"},
		{"/?drop=x", "right is fin or rst"},
		{"/?close=1000&drop=fin", "neither drop nor truncate"},
		{"/?close=1000&truncate=1", "neither drop nor truncate"},
		{"/?drop=fin&drop=rst", "the fault drop has 2 values"},
		{"/close/4001?close=4001", "the fault close has 2 values"},
		{"/?truncate=0", "right is 1"},
		{"/?garbage=yes", "right is 1"},
		{"/?utf8=1", "right is bad"},
		{"/?drop=fin&after=0", "right is 1 to 1000000 messages, or a time from 1ms to 1h"},
		{"/?drop=fin&after=1000001", "1 to 1000000"},
		{"/?drop=fin&after=61m", "1h"},
		{"/?drop=fin&after=-1", "1 to"},
		{"/?drop=fin&after=%2B1", "1 to"},
		{"/?after=1", "needs close, drop"},
		{"/?delay=61m", "right is 1ms to 1h"},
		{"/?delay=1", "right is 1ms to 1h"},
		{"/?jitter=-1s", "right is 1ms to 1h"},
		{"/?pong=0", "right is off, other, 1 to 1000000, or late:"},
		{"/?pong=late:2h", "late"},
		{"/?read=slow", "right is stall, or slow: and 1B/s to 1GiB/s"},
		{"/?read=slow:0B/s", "1B/s"},
		{"/?write=stall", "right is slow: and 1B/s"},
		{"/?write=slow:2GiB/s", "1GiB/s"},
		{"/?write=slow:1KiB", "slow:"},
		{"/?fragment=0", "right is 1 to 16777216"},
		{"/?fragment=16777217", "right is 1 to 16777216"},
		{"/?mask=on", "right is 1"},
		{"/?status=199", "right is 200 to 599"},
		{"/status/600", "right is 200 to 599"},
		{"/?hold=6s", "the fault hold is at most 4.5s here; --handshake-timeout changes it"},
		{"/?hold=2m", "at most 1m"},
		{"/?accept=1", "right is wrong"},
		{"/?hello=2", "right is 1 or all"},
		{"/?ping=1ms", "right is 10ms to 1h"},
		{"/?send=0", "right is 1 to 1000000"},
		{"/?send=1&every=1ms", "right is 10ms to 1h"},
		{"/?every=1s", "needs send"},
		{"/?drop=fin&after=" + strings.Repeat("0", 32) + "1", "right is 1 to"},
		{"/?drop=fin&x=%zz", "cannot be parsed"},
		{"/?drop=%zz", "cannot be parsed"},
		{"/?drop=fin;after=1", "separate parameters by &"},
		{"/?delay=%2B1s", "right is 1ms to 1h"},
		{"/?drop=" + strings.Repeat("%00", 1000), `right is fin or rst`},
	} {
		status, text := s.refused(t, tt.path)
		if status != http.StatusBadRequest || !strings.Contains(text, tt.want) || len(text) > 400 {
			t.Errorf("%.60s: got %d %q, want 400 and %q", tt.path, status, text, tt.want)
		}
	}
}

// TestMistyped: a parameter whose name is nearly that of a fault is refused. Any other
// parameter is allowed, and has no effect.
func TestMistyped(t *testing.T) {
	t.Parallel()
	s := serve(t, server.Options{})
	for query, meant := range map[string]string{
		"clsoe=1001": "close", "colse=x": "close", "lcose=1001": "close", "clos=4001": "close", "cloose=4001": "close", "CLOSE=x": "close",
		"token=x&dealy=1s": "delay", "delya=": "delay", "Delay=1s": "delay", "delays=1s": "delay", "drp=fin": "drop", "drop=rst&afetr=3": "after",
		"drop=rst&aftr=3": "after", "send=3&evry=1s": "every", "sned=3": "send", "maks=1": "mask", "utf-8=bad": "utf8", "pon=off": "pong",
		"reed=stall": "read", "wrte=slow:1KiB/s": "write", "fragments=1": "fragment", "acept=wrong": "accept", "hallo=1": "hello",
		"clo%00e=1001": "close", "clsoe=1&pign=1s": "close", "resaon=x": "reason", "garbage=1&reasons=x": "reason",
	} {
		status, text := s.refused(t, "/?"+query)
		if want := "is no fault; did you mean " + meant + "? --no-faults allows any name\n"; status != http.StatusBadRequest || !strings.HasSuffix(text, want) {
			t.Errorf("%s: got %d %q, want %q", query, status, text, want)
		}
	}
	for _, query := range []string{
		"token=close", "t=1001", "_=1700000000000", "seed=42", "sent=1", "end=3", "pin=1234", "pin=1", "task=1", "mark=1", "head=1", "song=5", "old=3s",
		"relay=1s", "season=2", "alter=42", "reasons=x", "every1=no", "stats=1", "state=200", "status2=ok", "closed=yes", "clone=1", "page=2",
		"delay2=", "rate=1", "id=1&user=x&room=y", "readOnly=1", "=1", "d=1s",
	} {
		p := s.dial(t, "/?"+query)
		exchange(t, p, "x")
		_ = p.Close()
		if o := s.outcome(t); o.Fault != "" {
			t.Errorf("%s: got the fault %q", query, o.Fault)
		}
	}
}

// TestHandshake: status, hold and accept=wrong change the handshake.
func TestHandshake(t *testing.T) {
	t.Parallel()
	s := serve(t, server.Options{})
	for _, path := range []string{"/?status=503", "/status/503"} {
		if status, text := s.refused(t, path); status != 503 || text != "the fault status=503 was requested\n" {
			t.Errorf("%s: got %d %q", path, status, text)
		}
	}
	for _, status := range []string{"200", "204", "205", "304", "599"} { // some of these have no body
		if got, _ := s.refused(t, "/status/"+status); strconv.Itoa(got) != status {
			t.Errorf("got %d, want %s", got, status)
		}
	}
	if log := s.log.String(); !strings.Contains(log, "the fault status=503 was requested") {
		t.Errorf("got the log\n%s", log)
	}
	start := time.Now()
	p := s.dial(t, "/?hold=100ms")
	exchange(t, p, "x")
	if took := time.Since(start); took < 100*time.Millisecond {
		t.Errorf("the handshake took %v", took)
	}

	raw, err := wstest.RawDial(s.url, wstest.DialOptions{Timeout: soon})
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	if err := raw.SendRaw(wstest.Request(s.url+"/?accept=wrong", "", nil)); err != nil {
		t.Fatal(err)
	}
	r, err := raw.ReadResponse()
	if err != nil || r.StatusCode != 101 {
		t.Fatalf("got %v, %v", r, err)
	}
	if got := r.Header.Get("Sec-WebSocket-Accept"); got == wstest.AcceptKey(wstest.SampleKey) || len(got) != 28 {
		t.Errorf("got %q", got)
	}
	if _, _, err := websocket.Dial(t.Context(), s.url+"/?accept=wrong", nil); err == nil {
		t.Error("coder accepts the wrong answer")
	}
}

// TestManyStatuses: a client that requests every status causes no more warnings than any
// other.
func TestManyStatuses(t *testing.T) {
	t.Parallel()
	s := serve(t, server.Options{})
	for status := 200; status < 300; status++ {
		s.refused(t, "/status/"+strconv.Itoa(status))
	}
	if n := strings.Count(s.log.String(), "level=WARN"); n < 5 || n > 20 {
		t.Errorf("got %d warnings, want about 5", n)
	}
}

// TestHoldGone: a client that disconnects during hold ends it.
func TestHoldGone(t *testing.T) {
	t.Parallel()
	gone := make(chan error, 1)
	s := serve(t, server.Options{OnRefuse: func(_ *http.Request, _ int, reason error) { gone <- reason }})
	p, err := wstest.RawDial(s.url, wstest.DialOptions{Timeout: soon})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.SendRaw(wstest.Request(s.url+"/?hold=4.4s", "", nil)); err != nil {
		t.Fatal(err)
	}
	_ = p.Close()
	select {
	case err := <-gone:
		if !strings.Contains(err.Error(), "disconnected during the fault hold=4.4s") {
			t.Errorf("got %v", err)
		}
	case <-time.After(soon):
		t.Error("the handshake is still held")
	}
}

// TestHello: the first message has what the server sees. Only hello=all has credentials.
func TestHello(t *testing.T) {
	t.Parallel()
	s := serve(t, server.Options{Subprotocols: []string{"chat"}, Compression: websocket.CompressionContextTakeover})
	for _, value := range []string{"1", "all"} {
		c, _, err := websocket.Dial(t.Context(), s.url+"/a?hello="+value, &websocket.DialOptions{
			HTTPHeader:      http.Header{"Cookie": {"a=b"}, "Authorization": {"Basic x"}, "Proxy-Authorization": {"y"}, "X-Test": {"1", "2"}},
			Subprotocols:    []string{"chat"},
			CompressionMode: websocket.CompressionContextTakeover,
		})
		if err != nil {
			t.Fatal(err)
		}
		typ, b, err := c.Read(t.Context())
		if err != nil || typ != websocket.MessageText {
			t.Fatalf("got %d, %v", typ, err)
		}
		var got struct {
			Server, Remote, Host, URI, Subprotocol, Extensions string
			Header                                             http.Header
			TLS                                                *struct{}
		}
		if err := json.Unmarshal(b, &got); err != nil {
			t.Fatalf("%s: %v", b, err)
		}
		if !strings.HasPrefix(got.Remote, "127.0.0.1:") || got.Server == "" || got.URI != "/a?hello="+value || "ws://"+got.Host != s.url ||
			got.Subprotocol != "chat" || !strings.HasPrefix(got.Extensions, "permessage-deflate") || got.TLS != nil || len(got.Header["X-Test"]) != 2 {
			t.Errorf("got %s", b)
		}
		for _, name := range []string{"Cookie", "Authorization", "Proxy-Authorization"} {
			if has := got.Header.Get(name) != ""; has != (value == "all") {
				t.Errorf("hello=%s: the message has %s: %v", value, name, has)
			}
		}
		_ = c.CloseNow()
	}
}

// TestUnsolicited checks the pings and messages that the client has not requested.
func TestUnsolicited(t *testing.T) {
	t.Parallel()
	s := serve(t, server.Options{PingInterval: -1})
	p := s.dial(t, "/?send=3&every=10ms")
	for _, text := range []string{"message 1 of 3", "message 2 of 3", "message 3 of 3"} {
		receive(t, p, wstest.TextFrame(text))
	}
	exchange(t, p, "x")
	p = s.dial(t, "/?ping=10ms")
	for range 3 {
		f, err := p.Recv()
		if err != nil || f.Opcode != wstest.Ping {
			t.Fatalf("got %v, %v, want a ping", f, err)
		}
	}
	send(t, p, wstest.CloseFrame(1000, ""))
	if code, _, err := p.Await(soon); code != 1000 || err != nil {
		t.Errorf("got %d, %v", code, err)
	}
	if o := s.outcome(t); o.Kind != ending.Normal || o.Fault != "ping=10ms" {
		t.Errorf("got %+v", o)
	}
}

// TestMaxHold: MaxHold bounds hold, and itself.
func TestMaxHold(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		most time.Duration
		hold string
		ok   bool
	}{{0, "6s", false}, {time.Second, "2s", false}, {-1, "61s", false}, {time.Hour, "61s", false}} {
		r, _ := http.NewRequestWithContext(t.Context(), "GET", "/?hold="+tt.hold, nil)
		if _, err := fault.PerConn(nil, fault.Options{MaxHold: tt.most})(r); (err == nil) != tt.ok {
			t.Errorf("%v, hold=%s: got %v", tt.most, tt.hold, err)
		}
	}
}

// TestHoldDone: Done ends a hold, so that no client can prolong a drain.
func TestHoldDone(t *testing.T) {
	t.Parallel()
	done := make(chan struct{})
	perConn := fault.PerConn(nil, fault.Options{MaxHold: time.Minute, Done: done})
	held := make(chan error, 1)
	go func() {
		r, _ := http.NewRequestWithContext(t.Context(), "GET", "/?hold=1m", nil)
		_, err := perConn(r)
		held <- err
	}()
	close(done)
	select {
	case err := <-held:
		var refused *server.AdmitError
		if !errors.As(err, &refused) || refused.Status != http.StatusServiceUnavailable || err.Error() != "the server shuts down during the fault hold=1m" {
			t.Errorf("got %v", err)
		}
	case <-time.After(soon):
		t.Error("the handshake is still held")
	}
}
