package load_test

import (
	"context"
	"net/http"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"example.com/wsecho/load"
	"example.com/wsecho/server"
	"example.com/wsecho/wstest"
)

// TestFaults checks that each fault of a server after the handshake is reported and counted.
func TestFaults(t *testing.T) {
	t.Parallel()
	text := func(f func(string) []wstest.Frame) func(*wstest.Peer, wstest.Frame) {
		return func(p *wstest.Peer, got wstest.Frame) { _ = p.Send(f(string(got.Payload))...) }
	}
	for name, test := range map[string]struct {
		then func(*wstest.Peer, wstest.Frame)
		want string
	}{
		"a byte": {text(func(s string) []wstest.Frame { return []wstest.Frame{wstest.TextFrame(s[:20] + "\xff" + s[21:])} }),
			`a message did not come back as it was sent: byte 21 of 64 is 0xff instead of 0x`},
		"a byte, in a fragment": {text(func(s string) []wstest.Frame {
			return wstest.Fragments(wstest.Text, s[:30], s[30:63]+"\x01")
		}), `byte 64 of 64 is 0x01 instead of 0x`},
		"a constant":        {text(func(s string) []wstest.Frame { return []wstest.Frame{wstest.TextFrame(strings.Repeat("x", 64))} }), `byte 1 of 64 is 0x78`},
		"shorter":           {text(func(s string) []wstest.Frame { return []wstest.Frame{wstest.TextFrame(s[:63])} }), `63 of 64 bytes came back$`},
		"nothing":           {text(func(s string) []wstest.Frame { return []wstest.Frame{wstest.TextFrame("")} }), `0 of 64 bytes came back$`},
		"longer":            {text(func(s string) []wstest.Frame { return []wstest.Frame{wstest.TextFrame(s + "!")} }), `it came back longer than the 64 bytes that were sent$`},
		"longer and longer": {text(func(s string) []wstest.Frame { return wstest.Fragments(wstest.Text, s, "", "!") }), `it came back longer than the 64 bytes`},
		"announced": {func(p *wstest.Peer, f wstest.Frame) {
			_ = p.SendRaw(wstest.Header(0x80|wstest.Text, false, [4]byte{}, 1<<63+1, 64))
		}, `broke the protocol: the length of a frame has its top bit set$`},
		"announced, 2^62": {func(p *wstest.Peer, f wstest.Frame) {
			_ = p.SendRaw(wstest.Header(0x80|wstest.Text, false, [4]byte{}, 1<<62, 64))
		}, `it came back longer than the 64 bytes`},
		"binary": {text(func(s string) []wstest.Frame { return []wstest.Frame{wstest.BinaryFrame([]byte(s))} }),
			`a text came back as a binary message$`},
		"twice":     {text(func(s string) []wstest.Frame { return []wstest.Frame{wstest.TextFrame(s), wstest.TextFrame(s)} }), `sent a message that is no echo|did not come back as it was sent`},
		"masked":    {text(func(s string) []wstest.Frame { return []wstest.Frame{wstest.TextFrame(s).WithKey([4]byte{1, 2, 3, 4})} }), `broke the protocol: a server's frame has a mask$`},
		"reserved":  {text(func(s string) []wstest.Frame { return []wstest.Frame{wstest.TextFrame(s).WithRsv(wstest.RSV2)} }), `broke the protocol: a reserved bit is set without an extension for it$`},
		"packed":    {text(func(s string) []wstest.Frame { return []wstest.Frame{wstest.TextFrame(s).WithRsv(wstest.RSV1)} }), `broke the protocol: a reserved bit is set`},
		"opcode":    {text(func(s string) []wstest.Frame { return []wstest.Frame{{Fin: true, Opcode: 3}} }), `broke the protocol: the opcode 3 is reserved$`},
		"control":   {text(func(s string) []wstest.Frame { return []wstest.Frame{wstest.PingFrame(s + s)} }), `broke the protocol: a control frame of more than 125 bytes$`},
		"open ping": {text(func(s string) []wstest.Frame { return []wstest.Frame{wstest.PingFrame("").Open()} }), `broke the protocol: a fragmented control frame$`},
		"inside": {text(func(s string) []wstest.Frame {
			return []wstest.Frame{wstest.TextFrame(s[:5]).Open(), wstest.TextFrame(s)}
		}),
			`broke the protocol: a new message inside another$`},
		"goes on": {text(func(s string) []wstest.Frame { return []wstest.Frame{{Fin: true, Payload: []byte(s)}} }), `broke the protocol: a continuation frame without a message$`},
		"closes": {text(func(s string) []wstest.Frame { return []wstest.Frame{wstest.CloseFrame(1001, "bye\n")} }),
			`closed the connection: close code 1001, "bye"`},
		"closes without a code": {text(func(s string) []wstest.Frame { return []wstest.Frame{wstest.CloseFrame(0, "")} }),
			`closed the connection: a close frame without a code`},
		"ends":         {func(p *wstest.Peer, f wstest.Frame) { _ = p.FIN() }, `ended the stream without a close frame`},
		"truncates":    {func(p *wstest.Peer, f wstest.Frame) { _ = p.SendRaw([]byte{0x81, 64, f.Payload[0]}); _ = p.FIN() }, `ended the stream without a close frame`},
		"resets":       {func(p *wstest.Peer, f wstest.Frame) { _ = p.RST() }, `reset the connection`},
		"falls silent": {func(p *wstest.Peer, f wstest.Frame) {}, `sent no echo: for 500ms, with \d+ messages in flight`},
		"only pings": {func(p *wstest.Peer, f wstest.Frame) { // and fragments with nothing in them
			_ = p.Send(wstest.TextFrame("").Open())
			for p.Send(wstest.PingFrame("x"), wstest.Frame{}) == nil {
				time.Sleep(time.Millisecond)
			}
		}, `sent no echo: for 500ms`},
		"stops inside": {func(p *wstest.Peer, f wstest.Frame) { _ = p.SendRaw([]byte{0x81, 64, f.Payload[0]}) }, `sent no echo: for 500ms`},
	} {
		for loop, plan := range map[string]load.Plan{
			"closed": {InFlight: 2, Duration: soon},
			"open":   {Rate: 200, Duration: soon},
		} {
			t.Run(name+"/"+loop, func(t *testing.T) {
				t.Parallel()
				plan := plan
				plan.Connections = 2
				plan.Timeout = soon
				if strings.Contains(test.want, "sent no echo") {
					plan.Timeout = 500 * time.Millisecond
				}
				var faults atomic.Int32
				url := wstest.Serve(t, after(5, func(p *wstest.Peer, f wstest.Frame) {
					faults.Add(1)
					test.then(p, f)
				}))
				r := run(t, plan, url)
				for attempt := 1; faults.Load() < 2 && attempt < 10; attempt++ { // a busy machine was silent before
					faults.Store(0)
					r = run(t, plan, url)
				}
				target := r.Targets[0]
				if len(target.Failures) == 0 || r.OK() {
					t.Fatalf("%+v", target)
				}
				sentence := strings.TrimSuffix(target.Problems()[0], " (2 connections; this was the first)")
				if !regexp.MustCompile(test.want).MatchString(sentence) {
					t.Errorf("%q, want %s", sentence, test.want)
				}
				if strings.ContainsAny(sentence, "\n\x1b") {
					t.Errorf("%q has control characters", sentence)
				}
				n := 0
				for _, f := range target.Failures {
					n += f.Count
				}
				if n != 2 || target.Messages < 10 {
					t.Errorf("%d failures after %d messages: %+v", n, target.Messages, target)
				}
			})
		}
	}
}

// TestSwapped checks that swapped echoes are noticed.
func TestSwapped(t *testing.T) {
	url := wstest.Serve(t, func(p *wstest.Peer) {
		a, err := p.Recv()
		if err != nil {
			return
		}
		b, err := p.Recv()
		if err != nil {
			return
		}
		_ = p.Send(wstest.TextFrame(string(b.Payload)), wstest.TextFrame(string(a.Payload)))
		_, _ = p.End(soon)
	})
	for _, size := range []int{5, 64, 100_000} {
		if wrong := run(t, load.Plan{Size: size, InFlight: 2, Connections: 1}, url).Targets[0].Problems(); len(wrong) == 0 || !strings.Contains(wrong[0], "did not come back as it was sent") {
			t.Errorf("%d bytes: %q", size, wrong)
		}
	}
}

// TestUnsolicited checks that a message after the last echo is noticed.
func TestUnsolicited(t *testing.T) {
	url := wstest.Serve(t, func(p *wstest.Peer) {
		_, _ = p.Answer(context.Background(), wstest.AnswerOptions{Echo: true, NoClose: true, Each: func(f wstest.Frame) {
			if f.Opcode == wstest.Close {
				_ = p.Send(wstest.TextFrame("and another thing"), wstest.CloseFrame(1000, ""))
			}
		}})
	})
	wrong := run(t, load.Plan{Connections: 1}, url).Targets[0].Problems()
	if len(wrong) != 1 || !strings.HasSuffix(wrong[0], "sent a message that is no echo: a text of 17 bytes or more") {
		t.Errorf("%q", wrong)
	}
}

// TestFaultyCompression checks compressed messages that differ from those sent.
func TestFaultyCompression(t *testing.T) {
	t.Parallel()
	for name, payload := range map[string]string{
		"corrupt": "\xff\xff\xff",
		"other":   "\x4a\x4c\x4a\x06\x00", // abc
		"longer":  "\xec\xc1\x81\x00\x00\x00\x00\x80\x90\xfe\xaf\x2a\x00",
		"nothing": "",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := wstest.ServeRaw(t, nil, func(p *wstest.Peer) {
				if p.Accept(http.Header{"Sec-WebSocket-Extensions": {"permessage-deflate"}}) != nil {
					return
				}
				if _, err := p.Recv(); err == nil {
					_ = p.Send(wstest.TextFrame(payload).WithRsv(wstest.RSV1))
					_, _ = p.End(soon)
				}
			})
			wrong := run(t, load.Plan{Compression: true, Connections: 1}, url).Targets[0].Problems()
			if len(wrong) == 0 || !strings.Contains(wrong[0], "did not come back as it was sent") {
				t.Errorf("%q", wrong)
			}
		})
	}
}

// TestOneOfTwo checks that a server that cannot be reached does not stop the measuring of
// the other.
func TestOneOfTwo(t *testing.T) {
	missing := wstest.ServeRaw(t, nil, says("HTTP/1.1 404 Not Found\r\n\r\n"))
	r := run(t, load.Plan{Rounds: 2}, missing, serve(t, false, server.Options{}))
	if r.OK() || r.Targets[0].OK() || !r.Targets[1].OK() || len(r.Targets[1].Rounds) != 2 {
		t.Errorf("%+v and %+v", r.Targets[0], r.Targets[1])
	}
	if len(r.Targets[1].Ratios) != 0 {
		t.Errorf("got the ratios %v, want none, because the first server has no figures", r.Targets[1].Ratios)
	}
}
