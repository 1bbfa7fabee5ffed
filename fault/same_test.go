package fault_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"example.com/wsecho/fault"
	"example.com/wsecho/server"
	"example.com/wsecho/wstest"
)

// wstestFaults returns the names of the functions of package wstest that return a Fault.
func wstestFaults(t *testing.T) (names []string) {
	b, err := os.ReadFile("../wstest/fault.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`(?m)^func ([A-Z]\w*)\(.*\) Fault \{`).FindAllSubmatch(b, -1) {
		names = append(names, string(m[1]))
	}
	if len(names) < 20 {
		t.Fatalf("got %d faults", len(names))
	}
	return names
}

// TestSameAsWstest compares each fault of a server with that of a wstest.EchoServer: a raw
// client sees the same. Each parameter and each fault of wstest occurs.
func TestSameAsWstest(t *testing.T) {
	t.Parallel()
	const ms, never = time.Millisecond, 100
	seen := make(map[string]bool)
	ts := serve(t, server.Options{HandshakeTimeout: time.Minute, PingInterval: -1})
	for _, tt := range []struct {
		query  string
		faults []wstest.Fault
		n      int // of observe
		idle   bool
	}{
		{"", nil, 0, false},
		{"close=4001&reason=bye&after=2", []wstest.Fault{wstest.CloseWith(4001, "bye").After(2)}, 0, false},
		{"close=1001", []wstest.Fault{wstest.CloseWith(1001, "")}, 0, false},
		{"close=1001&after=50ms", []wstest.Fault{wstest.CloseWith(1001, "").AfterTime(50 * ms)}, never, true},
		{"drop=fin&after=1", []wstest.Fault{wstest.DropFIN().After(1)}, 0, false},
		{"drop=rst&after=50ms", []wstest.Fault{wstest.DropRST().AfterTime(50 * ms)}, never, true},
		{"truncate=1&after=1", []wstest.Fault{wstest.Truncate().After(1)}, 0, false},
		{"garbage=1&utf8=bad&after=1&drop=fin", []wstest.Fault{wstest.Garbage().After(1), wstest.BadUTF8().After(1), wstest.DropFIN().After(1)}, 0, false},
		{"utf8=bad", []wstest.Fault{wstest.BadUTF8()}, 0, false},
		{"delay=100ms&jitter=20ms", []wstest.Fault{wstest.Delay(100 * ms), wstest.Jitter(20 * ms)}, 3, false},
		{"pong=off", []wstest.Fault{wstest.NoPong()}, 0, false},
		{"pong=1", []wstest.Fault{wstest.PongsThenNone(1)}, 0, false},
		{"pong=late:100ms", []wstest.Fault{wstest.LatePong(100 * ms)}, 3, false},
		{"pong=other", []wstest.Fault{wstest.WrongPong()}, 0, false},
		{"read=stall", []wstest.Fault{wstest.StallRead()}, -1, false},
		{"read=slow:5000B/s", []wstest.Fault{wstest.SlowRead(5000)}, 0, false},
		{"write=slow:5000B/s", []wstest.Fault{wstest.SlowWrite(5000)}, 0, false},
		{"fragment=2", []wstest.Fault{wstest.Fragment(2)}, 0, false},
		{"mask=1&fragment=3", []wstest.Fault{wstest.Mask(), wstest.Fragment(3)}, 0, false},
		{"status=503", []wstest.Fault{wstest.Status(503)}, 0, false},
		{"hold=10ms", []wstest.Fault{wstest.Hold(10 * ms)}, 0, false},
		{"accept=wrong", []wstest.Fault{wstest.WrongAccept()}, 0, false},
		{"hello=1", []wstest.Fault{wstest.Hello()}, 0, false},
		{"hello=all", []wstest.Fault{wstest.HelloAll()}, 0, false},
		{"ping=400ms", []wstest.Fault{wstest.PingEvery(400 * ms)}, 1, true},
		{"send=1&every=100ms", []wstest.Fault{wstest.Send(1, 100*ms)}, 1, true},
	} {
		query, err := url.ParseQuery(tt.query)
		if err != nil {
			t.Fatal(err)
		}
		for name := range query {
			seen[name] = true
		}
		for _, f := range tt.faults {
			name, _, _ := strings.Cut(f.String(), "(")
			seen[name] = true
		}
		t.Run(tt.query, func(t *testing.T) {
			t.Parallel()
			path := "/?" + tt.query // hello shows it
			want := observe(ts.url+path, tt.n, tt.idle)
			got := observe(wstest.NewServer(t, tt.faults...).URL+path, tt.n, tt.idle)
			if !slices.Equal(got, want) {
				t.Errorf("wstest:\n%s\nserver:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
		})
	}
	for _, p := range fault.Parameters() {
		if !seen[p.Name] {
			t.Errorf("no row has the parameter %s", p.Name)
		}
	}
	for _, f := range wstestFaults(t) {
		if !seen[f] {
			t.Errorf("no row has the fault %s of wstest", f)
		}
	}
}

// observe returns what a client receives, data frames before control frames. Unless it is
// idle, the client sends a ping and two texts. It sends a close frame when it has received
// n frames. If n is negative, it waits a short time for the first frame.
func observe(url string, n int, idle bool) (got []string) {
	p, err := wstest.Dial(url, wstest.DialOptions{Timeout: soon})
	if bad := (*wstest.HandshakeError)(nil); errors.As(err, &bad) {
		return []string{fmt.Sprint(bad.Response.StatusCode, " ", bad.Reason)}
	} else if err != nil {
		return []string{err.Error()}
	}
	defer p.Close()
	frames := []wstest.Frame{wstest.PingFrame("ping"), wstest.TextFrame("text 1"), wstest.TextFrame("text 2")}
	if n == 0 {
		frames = append(frames, wstest.CloseFrame(1000, "done"))
	}
	if !idle {
		_ = p.Send(frames...) // a drop may be earlier
	}
	if n < 0 {
		p.Timeout = 200 * time.Millisecond
		f, err := p.Recv()
		return []string{f.String(), fmt.Sprint(errors.Is(err, os.ErrDeadlineExceeded))}
	}
	var control []string
	end, err := p.Answer(context.Background(), wstest.AnswerOptions{Each: func(f wstest.Frame) {
		if n--; n == 0 {
			_ = p.Send(wstest.CloseFrame(1000, "done"))
		}
		switch line := f.String(); {
		case f.Opcode == wstest.Ping: // their payloads differ, and perhaps their number
			if !slices.Contains(control, "ping") {
				control = append(control, "ping")
			}
		case f.Opcode >= wstest.Close:
			control = append(control, line)
		case len(f.Payload) > 64: // hello
			got = append(got, varies.ReplaceAllString(string(f.Payload), "$1…"))
		default:
			got = append(got, line)
		}
	}})
	end.After, end.Frames = 0, 0
	return append(append(got, control...), fmt.Sprint(end, err))
}

// varies matches the parts of hello that differ from one connection to the next.
var varies = regexp.MustCompile(`(127\.0\.0\.1|"Sec-Websocket-Key":\[)[^],]*`)
