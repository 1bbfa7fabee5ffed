package server_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/coder/websocket"

	"example.com/wsecho/server"
	"example.com/wsecho/wstest"
)

const hostile = "a\n\x1b[31m\u202eb"

// logFormats lists the formats of the log, at level debug.
var logFormats = map[string]func(io.Writer) slog.Handler{
	"text": func(w io.Writer) slog.Handler {
		return slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: noDuration})
	},
	"JSON": func(w io.Writer) slog.Handler {
		return slog.NewJSONHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: noDuration})
	},
}

// noDuration panics if a line of the log has a Duration. In JSON, slog prints it in
// nanoseconds without a unit.
func noDuration(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindDuration {
		panic(fmt.Sprintf("the log has the duration %v: write it in seconds, with the unit in the key", a))
	}
	return a
}

// TestLogSeconds checks that durations are in seconds.
func TestLogSeconds(t *testing.T) {
	t.Parallel()
	var log logBuffer
	s := serve(t, echoes, server.Options{Logger: slog.New(logFormats["JSON"](&log)), PingInterval: 3 * time.Second, PingTimeout: 3 * time.Second, DrainTimeout: 1500 * time.Millisecond, CloseTimeout: time.Second})
	p := s.dial(t, wstest.DialOptions{})
	f, err := p.Recv()
	if err != nil || f.Opcode != wstest.Ping {
		t.Fatalf("got %v, %v, want a ping", f, err)
	}
	send(t, p, wstest.PongFrame(string(f.Payload)))
	sendLast(t, p, 1000, wstest.CloseFrame(1000, ""))
	o := s.end(t)
	_ = s.stop()
	// Not d.Seconds, whose result may be another float64.
	round := func(d, unit time.Duration) float64 { return float64(d.Round(unit)/unit) / float64(time.Second/unit) }
	age, silent := round(o.Ended.Sub(o.Since), time.Millisecond), round(max(0, o.Ended.Sub(o.LastReceived)), time.Millisecond)
	rtt := round(o.Heartbeat.RTT.Last, time.Microsecond)
	found := 0
	for line := range strings.Lines(log.String()) {
		var fields struct {
			Msg     string
			Age     float64 `json:"age_seconds"`
			Silent  float64 `json:"silent_seconds"`
			RTT     float64 `json:"rtt_seconds"`
			Timeout float64 `json:"timeout_seconds"`
		}
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			t.Fatal(err)
		}
		switch fields.Msg {
		case "ended":
			found++
			if fields.Age != age || fields.Silent != silent || fields.RTT != rtt || rtt <= 0 {
				t.Errorf("want age_seconds of %v, silent_seconds of %v, rtt_seconds of %v: %s", age, silent, rtt, line)
			}
		case "draining":
			found++
			if fields.Timeout != 1.5 {
				t.Errorf("want timeout_seconds of 1.5: %s", line)
			}
		}
	}
	if found != 2 {
		t.Errorf("want lines for ended and draining: %s", log.String())
	}
}

// TestLogQuotes sends data that could break or forge a line of the log.
func TestLogQuotes(t *testing.T) {
	t.Parallel()
	for name, handler := range logFormats {
		var log logBuffer
		s := serve(t, echoes, server.Options{Logger: slog.New(handler(&log)), Hosts: []string{"good"}})
		p, err := wstest.Dial(s.url, wstest.DialOptions{Header: http.Header{"Host": {"good"}}})
		if err != nil {
			t.Fatal(err)
		}
		send(t, p, wstest.CloseFrame(4000, hostile))
		finish(t, p, 4000)
		_ = p.Close()
		if o := s.end(t); o.Reason != hostile {
			t.Errorf("%s: the outcome has %q", name, o.Reason)
		}
		for _, request := range []string{
			"GET /\u202e\xff HTTP/1.1\r\nHost: good\r\n",
			"GET / HTTP/1.1\r\nHost: \u202ebad\r\n",
			"GET / HTTP/1.1\r\nHost: good\r\nOrigin: http://\u202e\xff\r\n",
		} {
			c := s.raw(t)
			_ = c.SendRaw([]byte(request + "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + wstest.SampleKey + "\r\n\r\n"))
			if r, err := c.ReadResponse(); err == nil {
				_ = r.Body.Close()
			}
			_ = c.Close()
		}
		_ = s.stop()
		text := log.String()
		if strings.ContainsAny(text, "\x1b\u202e") || !utf8.ValidString(text) {
			t.Errorf("%s: not quoted: %q", name, text)
		}
		for line := range strings.Lines(text) {
			if name == "JSON" && !json.Valid([]byte(line)) || name == "text" && !strings.HasPrefix(line, "time=") {
				t.Errorf("%s: a broken line: %q", name, line)
			}
		}
		if !strings.Contains(text, "31m") || strings.Count(text, "msg=ended")+strings.Count(text, `"msg":"ended"`) < 1 {
			t.Errorf("%s: got %s", name, text)
		}
	}
}

// TestLogLines counts the lines that a peer can cause at level info and above. Each ended
// connection has one. Each kind of refusal has five at once and the last one.
func TestLogLines(t *testing.T) {
	t.Parallel()
	var log logBuffer
	s := serve(t, echoes, server.Options{Logger: log.logger(), MaxConns: 5})
	garbage := []string{
		"", "\x00\x01\x02", "GET", "GET / HTTP/9.9\r\n\r\n", "GET / HTTP/1.1\r\n\r\n", "\x16\x03\x01\x02\x00\x01",
		"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
		"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
	}
	refused := map[string]int{ // by a part of the reason
		"protocol version": 1, "a WebSocket handshake has no body": 20, "TLS": 21, "PROXY": 1, "more than 16 KiB of headers": 1,
	}
	began := time.Now()
	const handshake = "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
	for range 20 {
		garbage = append(garbage, "\x16\x03\x01\x02\x00\x01", handshake+"Content-Length: 5\r\n\r\n", "\x16\x04", "GET /wp-login.php HTTP/1.1\r\nHost: x\r\n\r\n")
	}
	garbage = append(garbage, handshake+"Cookie: "+strings.Repeat("x", 17<<10)+"\r\n\r\n")
	garbage = append(garbage, "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n"+handshake+"\r\n")
	for _, b := range garbage {
		c := s.raw(t)
		_ = c.SendRaw([]byte(b))
		_ = c.FIN()
		_, _ = c.End(soon)
		_ = c.Close()
	}
	const conns = 6
	for i := range conns {
		p := s.dial(t, wstest.DialOptions{})
		for range 50 {
			_ = p.Send(wstest.PingFrame("x"), wstest.PongFrame("y"), wstest.TextFrame("z"))
		}
		if i%2 == 0 {
			_ = p.SendRaw([]byte("\xff\xff\xff"))
		}
		_ = p.RST()
		s.end(t)
	}
	_ = s.stop()
	counts := make(map[string]int)
	for line := range strings.Lines(log.String()) {
		_, msg, _ := strings.Cut(line, "msg=")
		counts[strings.Fields(msg)[0]]++
		for reason := range refused {
			if !strings.Contains(line, "level=WARN msg=refused") || !strings.Contains(line, reason) {
				continue
			}
			_, number, _ := strings.Cut(line, "suppressed=")
			suppressed, _ := strconv.Atoi(strings.TrimSpace(number)) // the first lines have none
			refused[reason] -= 1 + suppressed
			counts["refused"]--
			counts[reason]++
		}
	}
	if counts["ended"] != conns || counts["draining"] != 1 || counts["drained"] != 1 || counts["refused"] != 0 {
		t.Errorf("got %v, want %d ended, draining, drained: %s", counts, conns, log.String())
	}
	for reason, left := range refused {
		if most := 6 + int(time.Since(began)/(10*time.Second)); left != 0 || counts[reason] > most {
			t.Errorf("%s: %d lines and %d requests too few, want at most %d lines: %s", reason, counts[reason], left, most, log.String())
		}
		delete(counts, reason)
	}
	if len(counts) != 4 {
		t.Errorf("other lines: %v", counts)
	}
}

// TestLogGone compares the field gone with gorilla's IsCloseError(err, 1001, 1006). The
// endings of bench/endings compare the same verdict for each scenario.
func TestLogGone(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		end  func(p *wstest.Peer) error
		gone string
	}{
		"close 1000":    {func(p *wstest.Peer) error { return p.Send(wstest.CloseFrame(1000, "")) }, "false"},
		"close 1001":    {func(p *wstest.Peer) error { return p.Send(wstest.CloseFrame(1001, "")) }, "true"},
		"close 1011":    {func(p *wstest.Peer) error { return p.Send(wstest.CloseFrame(1011, "")) }, "false"},
		"end of stream": {(*wstest.Peer).FIN, "true"},
		"reset":         {(*wstest.Peer).RST, "false"},
		"violation":     {func(p *wstest.Peer) error { return p.SendRaw([]byte{0x83, 0x80}) }, "false"},
	} {
		var log logBuffer
		s := serve(t, echoes, server.Options{Logger: log.logger()})
		p := s.dial(t, wstest.DialOptions{})
		if err := tt.end(p); err != nil {
			t.Fatal(err)
		}
		s.end(t)
		_ = p.Close()
		_ = s.stop()
		if text := log.String(); !strings.Contains(text, "msg=ended") || strings.Count(text, " gone="+tt.gone+" ") != 1 {
			t.Errorf("%s: want gone=%s in %s", name, tt.gone, text)
		}
	}
}

// TestLogPanic: the server logs a panic and continues. Peers cannot cause more lines than
// those of a refusal.
func TestLogPanic(t *testing.T) {
	t.Parallel()
	var log logBuffer
	s := serve(t, func(ctx context.Context, c *server.Conn) error {
		_, p, err := c.Read(ctx)
		if err != nil {
			return err
		}
		panic(string(p))
	}, server.Options{Logger: log.logger()})
	ctx, cancel := context.WithTimeout(context.Background(), soon)
	defer cancel()
	for range 8 { // five lines at once, and one when the server stops
		c, _, err := websocket.Dial(ctx, s.url, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Write(ctx, websocket.MessageText, []byte("oh "+hostile)); err != nil {
			t.Fatal(err)
		}
		if _, _, err := c.Read(ctx); websocket.CloseStatus(err) != 1011 {
			t.Errorf("got %v", err)
		}
		s.end(t)
	}
	_ = s.stop()
	if text := log.String(); strings.Count(text, "level=ERROR") != 6 || strings.Count(text, "suppressed=2") != 1 || strings.ContainsAny(text, "\x1b\u202e") || !strings.Contains(text, "log_test.go") {
		t.Errorf("got %s", text)
	}
}

// TestRefusalKinds: many handshakes with one fault do not hide the warning about another.
func TestRefusalKinds(t *testing.T) {
	t.Parallel()
	var log lockedBuffer
	s := serve(t, echoes, server.Options{Logger: slog.New(slog.NewTextHandler(&log, nil)), Compression: websocket.CompressionNoContextTakeover})
	wrongKey := func(from, to int) {
		for i := from; i < to; i++ {
			if status, _ := s.status(t, http.Header{"Sec-WebSocket-Key": {fmt.Sprint("short", i)}}); status != http.StatusBadRequest {
				t.Errorf("got %d, want 400", status)
			}
		}
	}
	wrongKey(0, 8)
	s.status(t, http.Header{"Sec-WebSocket-Version": {"8"}})
	s.status(t, http.Header{"Sec-WebSocket-Extensions": {"?"}})
	wrongKey(8, 10)
	for range 8 {
		s.status(t, http.Header{"Origin": {"null"}})
	}
	s.status(t, http.Header{"Origin": {"https://example.com"}})
	for text, want := range map[string]int{"invalid Sec-WebSocket-Key": 5, "protocol version": 1, "Sec-WebSocket-Extensions": 1,
		"only AllowAnyOrigin": 5, "OriginPatterns (--origin=example.com)": 1} {
		if n := log.count(text); n != want {
			t.Errorf("got %d lines with %q, want %d: %s", n, text, want, log.b.String())
		}
	}
}
