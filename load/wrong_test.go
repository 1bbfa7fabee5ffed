package load_test

import (
	"compress/flate"
	"context"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"example.com/wsecho/load"
	"example.com/wsecho/server"
	"example.com/wsecho/wstest"
)

func inflate(packed []byte) (string, error) {
	b, err := io.ReadAll(flate.NewReader(strings.NewReader(string(packed) + "\x00\x00\xff\xff\x01\x00\x00\xff\xff")))
	return string(b), err
}

// after echoes some messages rightly and then does something else with one.
func after(n int, deed func(*wstest.Peer, wstest.Frame)) func(*wstest.Peer) {
	return func(p *wstest.Peer) {
		for i := 0; ; i++ {
			f, err := p.Recv()
			if err != nil || f.Opcode == wstest.Close {
				return
			}
			if i == n {
				deed(p, f)
				_, _ = p.End(soon) // the client is to end it
				return
			}
			f.Masked = false
			_ = p.Send(f)
		}
	}
}

// says answers the handshake with these bytes.
func says(answer string) func(*wstest.Peer) {
	return func(p *wstest.Peer) {
		if _, err := p.ReadRequest(); err == nil {
			_ = p.SendRaw([]byte(answer))
			_ = p.FIN()
			_, _ = p.End(soon)
		}
	}
}

// accepts answers it as it should be, but for these fields.
func accepts(name, value string) func(*wstest.Peer) {
	return func(p *wstest.Peer) {
		if p.Accept(http.Header{name: {value}}) == nil {
			_, _ = p.End(soon)
		}
	}
}

// TestNoWebSocket: what cannot be talked to is told, in one sentence, and does not
// take long.
func TestNoWebSocket(t *testing.T) {
	nobody, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody.Close()
	raw := func(handle func(*wstest.Peer)) func(*testing.T) string {
		return func(t *testing.T) string { return wstest.ServeRaw(t, nil, handle) }
	}
	is := func(url string) func(*testing.T) string { return func(*testing.T) string { return url } }
	for name, test := range map[string]struct {
		url  func(*testing.T) string
		plan load.Plan
		want string
	}{
		"refused":     {is("ws://" + nobody.Addr().String()), load.Plan{}, `cannot connect: .*refused`},
		"no host":     {is("ws://no-such-host.invalid/"), load.Plan{}, `cannot connect: `},
		"404":         {raw(says("HTTP/1.1 404 Not Found\r\nContent-Length: 8\r\n\r\nnot\x1bhere")), load.Plan{}, `did not open a WebSocket: the answer is 404 Not Found: "not\\x1bhere"$`},
		"200":         {raw(says("HTTP/1.1 200 OK\r\n\r\n")), load.Plan{}, `did not open a WebSocket: the answer is 200 OK$`},
		"moved":       {raw(says("HTTP/1.1 301 Moved Permanently\r\nLocation: https://example.com/\r\n\r\n")), load.Plan{}, `the answer is 301 Moved Permanently, to "https://example.com/"$`},
		"other key":   {raw(accepts("Sec-WebSocket-Accept", wstest.AcceptKey(wstest.SampleKey))), load.Plan{}, `Sec-WebSocket-Accept does not go with the key$`},
		"no upgrade":  {raw(accepts("Upgrade", "h2c")), load.Plan{}, `the answer is 101 with Upgrade "h2c"$`},
		"not HTTP":    {raw(says("SSH-2.0-OpenSSH_9.2\r\n")), load.Plan{}, `the answer is not HTTP: "SSH-2.0-OpenSSH_9.2"$`},
		"nearly HTTP": {raw(says("HTTP/1.1 one hundred and one\r\n\r\n")), load.Plan{}, `the answer is not HTTP: `},
		"endless":     {raw(says("HTTP/1.1 101 Switching Protocols\r\n" + strings.Repeat("X-Filler: filler\r\n", 10_000))), load.Plan{}, `the header of the answer is over 65536 bytes$`},
		"goes away":   {raw(says("")), load.Plan{}, `did not open a WebSocket: it ended the connection$`},
		"resets": {raw(func(p *wstest.Peer) {
			if _, err := p.ReadRequest(); err == nil {
				_ = p.RST()
			}
		}), load.Plan{}, `did not open a WebSocket: it reset the connection$`},
		"says nothing":         {raw(wstest.Silent), load.Plan{Timeout: 300 * time.Millisecond}, `did not open a WebSocket: no answer in 300ms$`},
		"no compression":       {raw(accepts("X", "")), load.Plan{Compression: true}, `it does not agree to permessage-deflate$`},
		"other compression":    {raw(accepts("Sec-WebSocket-Extensions", "x-gzip")), load.Plan{Compression: true}, `it chose the extensions "x-gzip", which were not offered$`},
		"a window":             {raw(accepts("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits=9")), load.Plan{Compression: true}, `permessage-deflate with "client_max_window_bits", which was not offered$`},
		"unasked compression":  {raw(accepts("Sec-WebSocket-Extensions", "permessage-deflate")), load.Plan{}, `it chose the extension "permessage-deflate", which was not offered$`},
		"no subprotocol":       {raw(accepts("X", "")), load.Plan{Subprotocols: []string{"a", "b"}}, `it chose no subprotocol of a, b$`},
		"unasked subprotocol":  {raw(accepts("Sec-WebSocket-Protocol", "c")), load.Plan{Subprotocols: []string{"a"}}, `it chose the subprotocol "c", which was not offered$`},
		"nobody knows the TLS": {func(t *testing.T) string { return wstest.ServeTLS(t, wstest.Echo) }, load.Plan{}, `TLS failed: .*certificate`},
		"no TLS at all": {func(t *testing.T) string {
			url := wstest.ServeRaw(t, nil, func(p *wstest.Peer) {
				_ = p.SendRaw([]byte("HTTP/1.0 400 Bad Request\r\n\r\nthis is not HTTPS"))
				_, _ = p.End(soon)
			})
			return "wss" + strings.TrimPrefix(url, "ws")
		}, load.Plan{}, `TLS failed: .*does not look like a TLS handshake`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test.plan.Rounds = 3
			url := test.url(t)
			r := run(t, test.plan, url)
			target := r.Targets[0]
			wrong := target.Wrong()
			if len(wrong) != 1 || !regexp.MustCompile("^"+regexp.QuoteMeta(url)+": .*"+test.want).MatchString(wrong[0]) {
				t.Errorf("%q, want one sentence: %s", wrong, test.want)
			}
			if r.Right() || !target.GivenUp || target.Failures[0].Count != 1 {
				t.Errorf("%+v", target)
			}
		})
	}
}

// TestWrong: what goes wrong later on is told as well, and counted.
func TestWrong(t *testing.T) {
	text := func(f func(string) []wstest.Frame) func(*wstest.Peer, wstest.Frame) {
		return func(p *wstest.Peer, got wstest.Frame) { _ = p.Send(f(string(got.Payload))...) }
	}
	for name, test := range map[string]struct {
		deed func(*wstest.Peer, wstest.Frame)
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
		}, `it came back longer than the 64 bytes`},
		"binary": {text(func(s string) []wstest.Frame { return []wstest.Frame{wstest.BinaryFrame([]byte(s))} }),
			`a text came back as a binary message$`},
		"twice":     {text(func(s string) []wstest.Frame { return []wstest.Frame{wstest.TextFrame(s), wstest.TextFrame(s)} }), `sent a message that nobody had asked for|did not come back as it was sent`},
		"masked":    {text(func(s string) []wstest.Frame { return []wstest.Frame{wstest.TextFrame(s).WithKey([4]byte{1, 2, 3, 4})} }), `broke the protocol: it masks its frames$`},
		"reserved":  {text(func(s string) []wstest.Frame { return []wstest.Frame{wstest.TextFrame(s).WithRsv(wstest.RSV2)} }), `broke the protocol: a frame begins with 0xa1, which sets a reserved bit$`},
		"packed":    {text(func(s string) []wstest.Frame { return []wstest.Frame{wstest.TextFrame(s).WithRsv(wstest.RSV1)} }), `broke the protocol: .* reserved bit$`},
		"opcode":    {text(func(s string) []wstest.Frame { return []wstest.Frame{{Fin: true, Opcode: 3}} }), `broke the protocol: a frame has the opcode 0x3`},
		"control":   {text(func(s string) []wstest.Frame { return []wstest.Frame{wstest.PingFrame(s + s)} }), `broke the protocol: a control frame is in fragments or longer than 125 bytes$`},
		"open ping": {text(func(s string) []wstest.Frame { return []wstest.Frame{wstest.PingFrame("").Open()} }), `broke the protocol: a control frame`},
		"inside": {text(func(s string) []wstest.Frame {
			return []wstest.Frame{wstest.TextFrame(s[:5]).Open(), wstest.TextFrame(s)}
		}),
			`broke the protocol: a message begins inside another, or goes on without one$`},
		"goes on": {text(func(s string) []wstest.Frame { return []wstest.Frame{{Fin: true, Payload: []byte(s)}} }), `broke the protocol: a message begins inside another`},
		"closes": {text(func(s string) []wstest.Frame { return []wstest.Frame{wstest.CloseFrame(1001, "bye\n")} }),
			`closed the connection: close code 1001, "bye"`},
		"closes without a code": {text(func(s string) []wstest.Frame { return []wstest.Frame{wstest.CloseFrame(0, "")} }),
			`closed the connection: a close frame without a code`},
		"ends":         {func(p *wstest.Peer, f wstest.Frame) { _ = p.FIN() }, `ended the stream without a close frame`},
		"truncates":    {func(p *wstest.Peer, f wstest.Frame) { _ = p.SendRaw([]byte{0x81, 64, f.Payload[0]}); _ = p.FIN() }, `ended the stream without a close frame`},
		"resets":       {func(p *wstest.Peer, f wstest.Frame) { _ = p.RST() }, `reset the connection`},
		"falls silent": {func(p *wstest.Peer, f wstest.Frame) {}, `fell silent: for 500ms, with \d+ messages to come`},
		"only pings": {func(p *wstest.Peer, f wstest.Frame) { // and fragments with nothing in them
			_ = p.Send(wstest.TextFrame("").Open())
			for p.Send(wstest.PingFrame("x"), wstest.Frame{}) == nil {
				time.Sleep(time.Millisecond)
			}
		}, `fell silent: for 500ms`},
		"stops inside": {func(p *wstest.Peer, f wstest.Frame) { _ = p.SendRaw([]byte{0x81, 64, f.Payload[0]}) }, `fell silent: for 500ms`},
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
				if strings.Contains(test.want, "silent") {
					plan.Timeout = 500 * time.Millisecond
				}
				r := run(t, plan, wstest.Serve(t, after(5, test.deed)))
				target := r.Targets[0]
				if len(target.Failures) == 0 || r.Right() {
					t.Fatalf("%+v", target)
				}
				sentence := strings.TrimSuffix(target.Wrong()[0], " (2 connections; this was the first)")
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

// TestSwapped: two messages in each other's place are noticed.
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
		if wrong := run(t, load.Plan{Size: size, InFlight: 2, Connections: 1}, url).Targets[0].Wrong(); len(wrong) == 0 || !strings.Contains(wrong[0], "did not come back as it was sent") {
			t.Errorf("%d bytes: %q", size, wrong)
		}
	}
}

// TestUnasked: what comes after the last message is noticed, too.
func TestUnasked(t *testing.T) {
	url := wstest.Serve(t, func(p *wstest.Peer) {
		_, _ = p.Answer(context.Background(), wstest.AnswerOptions{Echo: true, NoClose: true, Each: func(f wstest.Frame) {
			if f.Opcode == wstest.Close {
				_ = p.Send(wstest.TextFrame("and another thing"), wstest.CloseFrame(1000, ""))
			}
		}})
	})
	wrong := run(t, load.Plan{Connections: 1}, url).Targets[0].Wrong()
	if len(wrong) != 1 || !strings.HasSuffix(wrong[0], "sent a message that nobody had asked for: a text of 17 bytes or more") {
		t.Errorf("%q", wrong)
	}
}

// TestWrongCompression: a compressed message that is not what was sent.
func TestWrongCompression(t *testing.T) {
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
			wrong := run(t, load.Plan{Compression: true, Connections: 1}, url).Targets[0].Wrong()
			if len(wrong) == 0 || !strings.Contains(wrong[0], "did not come back as it was sent") {
				t.Errorf("%q", wrong)
			}
		})
	}
}

// TestOneOfTwo: a server that is not there does not keep the other from being
// measured.
func TestOneOfTwo(t *testing.T) {
	missing := wstest.ServeRaw(t, nil, says("HTTP/1.1 404 Not Found\r\n\r\n"))
	r := run(t, load.Plan{Rounds: 2}, missing, serve(t, false, server.Options{}))
	if r.Right() || r.Targets[0].Right() || !r.Targets[1].Right() || len(r.Targets[1].Rounds) != 2 {
		t.Errorf("%+v and %+v", r.Targets[0], r.Targets[1])
	}
	if len(r.Targets[1].Ratios) != 0 {
		t.Errorf("there is nothing to compare with, and the ratios are %v", r.Targets[1].Ratios)
	}
}
