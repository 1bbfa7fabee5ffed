package probe_test

import (
	"context"
	"crypto/tls"
	"net/http"
	"slices"
	"strings"
	"testing"

	"example.com/wsecho/probe"
	"example.com/wsecho/wstest"
)

// says is a server that answers the handshake with these bytes.
func says(answer string) func(*wstest.Peer) {
	return func(p *wstest.Peer) {
		if _, err := p.ReadRequest(); err == nil {
			_ = p.SendRaw([]byte(answer))
			_ = p.FIN()
			_, _ = p.End(waitLimit)
		}
	}
}

// accepts is a server that accepts the handshake with one wrong field.
func accepts(name, value string) func(*wstest.Peer) {
	return func(p *wstest.Peer) {
		if p.Accept(http.Header{name: {value}}) == nil {
			_, _ = p.End(waitLimit)
		}
	}
}

// sends is a server that answers the message with these frames.
func sends(frames ...wstest.Frame) func(*wstest.Peer) {
	return func(p *wstest.Peer) {
		if p.Accept(nil) == nil {
			_, _ = p.Recv()
			_ = p.Send(frames...)
			_, _ = p.End(waitLimit)
		}
	}
}

// changes is a server that changes the message and sends it back.
func changes(change func(string) wstest.Frame) func(*wstest.Peer) {
	return receives(func(p *wstest.Peer, message string) { _ = p.Send(change(message)) })
}

// closes is a server that echoes and calls then instead of answering the close frame.
func closes(then func(*wstest.Peer)) func(*wstest.Peer) {
	return func(p *wstest.Peer) {
		if p.Accept(nil) == nil {
			echoed(func(p *wstest.Peer) {
				_, _ = p.Recv()
				then(p)
				_, _ = p.End(waitLimit)
			})(p)
		}
	}
}

// TestWrong checks that each fault of a server is reported at once, in one sentence, with
// its step.
func TestWrong(t *testing.T) {
	t.Parallel()
	text := wstest.TextFrame
	for name, test := range map[string]struct {
		handle func(*wstest.Peer)
		step   probe.Step
		want   string
		o      probe.Options
	}{
		"403":              {handle: says("HTTP/1.1 403 \x1b[31mNo\r\nContent-Length: 9\r\n\r\nnot\x1b\nhere"), step: probe.Handshake, want: `^did not open a WebSocket: the answer is 403 Forbidden: "not\\x1b"; the server probably does not allow the Origin of the request$`},
		"403 of wsecho":    {handle: says("HTTP/1.1 403 x\r\nContent-Length: 10\r\n\r\nthe origin"), step: probe.Handshake, want: `: the answer is 403 Forbidden: "the origin"$`},
		"400 for TLS":      {handle: says("HTTP/1.1 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server."), step: probe.Handshake, want: `HTTPS server\."; the port expects TLS, so use wss:// in place of ws://$`},
		"400":              {handle: says("HTTP/1.1 400 Bad Request\r\n\r\nno"), step: probe.Handshake, want: `: the answer is 400 Bad Request: "no"$`},
		"401":              {handle: says("HTTP/1.1 401 x\r\nContent-Length: 0\r\n\r\n"), step: probe.Handshake, want: `: the answer is 401 Unauthorized; the server wants a login, such as the header Authorization$`},
		"404":              {handle: says("HTTP/1.1 404 x\r\nContent-Length: 0\r\n\r\n"), step: probe.Handshake, want: `: the answer is 404 Not Found; the server probably has no WebSocket at this path$`},
		"502":              {handle: says("HTTP/1.1 502 x\r\nContent-Length: 0\r\n\r\n"), step: probe.Handshake, want: `: the answer is 502 Bad Gateway; the proxy probably cannot reach the server behind it$`},
		"426":              {handle: says("HTTP/1.1 426 x\r\nContent-Length: 2\r\n\r\nno"), step: probe.Handshake, want: `: the answer is 426 Upgrade Required: "no"; a proxy has probably removed the Upgrade header of the request$`},
		"426 of wsecho":    {handle: says("HTTP/1.1 426 x\r\nContent-Length: 28\r\n\r\na proxy has probably removed"), step: probe.Handshake, want: `: the answer is 426 Upgrade Required: "a proxy has probably removed"$`},
		"302":              {handle: says("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"), step: probe.Handshake, want: `: the answer is 302 Found, to "http://127\.0\.0\.1:1/"$`},
		"200":              {handle: says("HTTP/1.1 200 OK\r\n\r\n<html>"), step: probe.Handshake, want: `: the answer is 200 OK: "<html>"; a proxy has probably removed the Upgrade header of the request$`},
		"not HTTP":         {handle: says("SSH-2.0-\x1bOpenSSH\r\n"), step: probe.Handshake, want: `: the answer is not HTTP: "SSH-2\.0-\\x1bOpenSSH"$`},
		"nearly HTTP":      {handle: says("HTTP/1.1 what\r\n\r\n"), step: probe.Handshake, want: `: the answer is not HTTP: ".*"$`},
		"nothing":          {handle: says(""), step: probe.Handshake, want: `: it ended the connection$`},
		"half":             {handle: says("HTTP/1.1 101 Sw"), step: probe.Handshake, want: `: it ended the connection inside its answer$`},
		"huge header":      {handle: says("HTTP/1.1 101 Switching Protocols\r\nA: " + strings.Repeat("a", 100_000)), step: probe.Handshake, want: `: the header of the answer is over 65536 bytes$`},
		"many headers":     {handle: says("HTTP/1.1 101 Switching Protocols\r\n" + strings.Repeat("A: b\r\n", 20_000)), step: probe.Handshake, want: `over 65536 bytes$`},
		"many answers":     {handle: says(strings.Repeat("HTTP/1.1 102 Processing\r\n\r\n", 5000)), step: probe.Handshake, want: `over 65536 bytes$`},
		"HTTP/1.0":         {handle: says("HTTP/1.0 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"), step: probe.Handshake, want: `: the answer is 101 in HTTP/1\.0$`},
		"wrong accept":     {handle: accepts("Sec-WebSocket-Accept", "AAAAAAAAAAAAAAAAAAAAAAAAAAA="), step: probe.Handshake, want: `: Sec-WebSocket-Accept does not match the key$`},
		"wrong upgrade":    {handle: accepts("Upgrade", "h2c"), step: probe.Handshake, want: `: the answer is 101 with Upgrade "h2c"$`},
		"wrong connection": {handle: accepts("Connection", "keep-alive, upgraded"), step: probe.Handshake, want: `: the answer is 101 without Connection: Upgrade$`},
		"an extension":     {handle: accepts("Sec-WebSocket-Extensions", "permessage-deflate"), step: probe.Handshake, want: `: it chose the extension "permessage-deflate", which was not offered$`},
		"a subprotocol":    {handle: accepts("Sec-WebSocket-Protocol", "chat"), step: probe.Handshake, want: `: it chose the subprotocol "chat", which was not offered$`},
		"no subprotocol":   {handle: accepts("A", "b"), step: probe.Handshake, want: `: it chose none of the offered subprotocols: chat, talk$`, o: probe.Options{Subprotocols: []string{"chat", "talk"}}},

		"a wrong byte":       {handle: changes(func(s string) wstest.Frame { return text(s[:20] + "x" + s[21:]) }), step: probe.Echo, want: `^did not send the message back: "wsecho probe .*" came back, and "wsecho probe .*" was sent$`},
		"the last byte":      {handle: changes(func(s string) wstest.Frame { return text(s[:len(s)-1] + "x") }), step: probe.Echo, want: ` came back, and `},
		"a byte more":        {handle: changes(func(s string) wstest.Frame { return text(s + "x") }), step: probe.Echo, want: ` came back, and `},
		"a byte less":        {handle: changes(func(s string) wstest.Frame { return text(s[1:]) }), step: probe.Echo, want: ` came back, and `},
		"much more":          {handle: changes(func(s string) wstest.Frame { return text(s + strings.Repeat("x", 100_000)) }), step: probe.Echo, want: `x"… came back, and `},
		"words around it":    {handle: changes(func(s string) wstest.Frame { return text("You said: " + s) }), step: probe.Echo, want: `"You said: wsecho probe`},
		"another type":       {handle: changes(func(s string) wstest.Frame { return wstest.BinaryFrame([]byte(s)) }), step: probe.Echo, want: `: it came back as a binary message, and was text$`},
		"another wrong type": {handle: changes(func(s string) wstest.Frame { return wstest.PongFrame(s) }), step: probe.Echo, want: `a pong came with another payload`, o: probe.Options{Timeout: stall}},

		"many messages":  {handle: sends(repeated(text("a"), 11_000)...), step: probe.Echo, want: `: 10000 frames came, and the echo was not among them$`},
		"many fragments": {handle: sends(append([]wstest.Frame{text("a").Open()}, repeated(wstest.Frame{}, 11_000)...)...), step: probe.Echo, want: `: 10000 frames came`},
		"large messages": {handle: sends(repeated(text(strings.Repeat("a", 1<<20)), 17)...), step: probe.Echo, want: `: more than 16777216 bytes of other messages came$`},
		"many pongs":     {handle: sends(repeated(wstest.PongFrame("1"), 11_000)...), step: probe.Echo, want: `: 10000 frames came`, o: probe.Options{Ping: true}},
		"a length that lies": {handle: func(p *wstest.Peer) {
			if p.Accept(nil) == nil {
				_ = p.SendRaw(wstest.Header(0x81, false, [4]byte{}, 1<<62, 64))
				_, _ = p.End(waitLimit)
			}
		}, step: probe.Echo, want: `: more than 16777216 bytes of other messages came$`},

		"a mask":              {handle: sends(text("a").WithKey([4]byte{1, 2, 3, 4})), step: probe.Echo, want: `: it broke the protocol: a server's frame has a mask$`},
		"bad text":            {handle: sends(text("bad \xff")), step: probe.Echo, want: `: it broke the protocol: a text message is not UTF-8$`},
		"half a rune":         {handle: sends(text(strings.Repeat("\u00e9", 5000) + "\xc3")), step: probe.Echo, want: `: it broke the protocol: a text message is not UTF-8$`},
		"a reserved bit":      {handle: sends(text("a").WithRsv(wstest.RSV1)), step: probe.Echo, want: `: it broke the protocol: a reserved bit is set`},
		"a reserved opcode":   {handle: sends(wstest.Frame{Fin: true, Opcode: 3}), step: probe.Echo, want: `: it broke the protocol: the opcode 3 is reserved$`},
		"a control opcode":    {handle: sends(wstest.Frame{Fin: true, Opcode: 11}), step: probe.Echo, want: `the opcode 11 is reserved$`},
		"a long ping":         {handle: sends(wstest.PingFrame(strings.Repeat("a", 126))), step: probe.Echo, want: `: a control frame of more than 125 bytes$`},
		"a ping in fragments": {handle: sends(wstest.PingFrame("a").Open()), step: probe.Echo, want: `: a fragmented control frame$`},
		"a continuation":      {handle: sends(wstest.Frame{Fin: true}), step: probe.Echo, want: `: a continuation frame without a message$`},
		"two at once":         {handle: sends(text("a").Open(), text("b")), step: probe.Echo, want: `: a new message inside another$`},
		"a long length": {handle: func(p *wstest.Peer) {
			if p.Accept(nil) == nil {
				_ = p.SendRaw(wstest.Header(0x81, false, [4]byte{}, 5, 16))
				_, _ = p.End(waitLimit)
			}
		}, step: probe.Echo, want: `: the length of a frame takes more bytes than it needs$`},
		"the top bit": {handle: func(p *wstest.Peer) {
			if p.Accept(nil) == nil {
				_ = p.SendRaw(wstest.Header(0x81, false, [4]byte{}, 1<<63, 64))
				_, _ = p.End(waitLimit)
			}
		}, step: probe.Echo, want: `: the length of a frame has its top bit set$`},

		"closed with 1013":   {handle: sends(wstest.CloseFrame(1013, "later\x1b")), step: probe.Echo, want: `^did not send the message back: it closed the connection with 1013: "later\\x1b"$`},
		"closed with 1000":   {handle: sends(wstest.CloseFrame(1000, "")), step: probe.Echo, want: `: it closed the connection with 1000$`},
		"closed without":     {handle: sends(wstest.CloseFrame(0, "")), step: probe.Echo, want: `: it closed the connection without a code$`},
		"closed, and a ping": {handle: sends(wstest.CloseFrame(1000, "")), step: probe.Echo, want: `^did not answer the ping: it closed the connection with 1000$`, o: probe.Options{Ping: true}},
		"FIN, no echo": {handle: func(p *wstest.Peer) {
			if p.Accept(nil) == nil {
				_ = p.FIN()
				_, _ = p.End(waitLimit)
			}
		}, step: probe.Echo, want: `: it ended the stream without a close frame$`},
		"FIN in the echo": {handle: receives(func(p *wstest.Peer, s string) {
			_ = p.SendRaw(text(s).Append(nil)[:20])
			_ = p.FIN()
		}), step: probe.Echo, want: `: it ended the stream without a close frame$`},
		"FIN between fragments": {handle: receives(func(p *wstest.Peer, s string) {
			_ = p.Send(text(s).Open()) // all of it is there, and the message is not over
			_ = p.FIN()
		}), step: probe.Echo, want: `: it ended the stream without a close frame$`},
		"RST, no echo": {handle: receives(func(p *wstest.Peer, _ string) { _ = p.RST() }), step: probe.Echo, want: `: it reset the connection$`},

		"FIN, no close frame": {handle: closes(func(p *wstest.Peer) { _ = p.FIN() }), step: probe.Close, want: `^did not close as it should: it ended the stream without a close frame$`},
		"RST, no close frame": {handle: closes(func(p *wstest.Peer) { _ = p.RST() }), step: probe.Close, want: `: it reset the connection$`},
		"half a close frame": {handle: closes(func(p *wstest.Peer) {
			_ = p.SendRaw([]byte{0x88, 2, 3})
			_ = p.FIN()
		}), step: probe.Close, want: `: it ended the stream without a close frame$`},
		"1011":               {handle: closes(func(p *wstest.Peer) { _ = p.Send(wstest.CloseFrame(1011, "sorry")) }), step: probe.Close, want: `: it closed the connection with 1011: "sorry"$`},
		"1001":               {handle: closes(func(p *wstest.Peer) { _ = p.Send(wstest.CloseFrame(1001, "")) }), step: probe.Close, want: `: it closed the connection with 1001$`},
		"1005 on the wire":   {handle: closes(func(p *wstest.Peer) { _ = p.Send(wstest.CloseFrame(1005, "")) }), step: probe.Close, want: `: it broke the protocol: a close frame with the code 1005, which must not be sent$`},
		"a byte of a code":   {handle: closes(func(p *wstest.Peer) { _ = p.Send(wstest.Frame{Fin: true, Opcode: wstest.Close, Payload: []byte{3}}) }), step: probe.Close, want: `: a close frame of one byte$`},
		"a reason in no UTF": {handle: closes(func(p *wstest.Peer) { _ = p.Send(wstest.CloseFrame(1000, "\xff")) }), step: probe.Close, want: `: a close reason that is not UTF-8$`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := wstest.ServeRaw(t, nil, func(p *wstest.Peer) {
				p.Timeout = waitLimit
				test.handle(p)
			})
			if test.o.Timeout == 0 {
				test.o.Timeout = waitLimit
			}
			r, err := probe.Run(t.Context(), url, test.o)
			is(t, err, test.step, test.want)
			if strings.ContainsRune(err.Error(), '\x1b') {
				t.Errorf("it would reach the terminal: %q", err)
			}
			if r.Took > test.o.Timeout+2e9 {
				t.Errorf("took %v", r.Took)
			}
		})
	}
}

// receives is a server that calls then with the message instead of echoing it.
func receives(then func(*wstest.Peer, string)) func(*wstest.Peer) {
	return func(p *wstest.Peer) {
		if p.Accept(nil) != nil {
			return
		}
		if f, err := p.Recv(); err == nil {
			then(p, string(f.Payload))
			_, _ = p.End(waitLimit)
		}
	}
}

func repeated(f wstest.Frame, n int) []wstest.Frame {
	frames := make([]wstest.Frame, n)
	for i := range frames {
		frames[i] = f
		if f.Opcode == wstest.Continuation {
			frames[i].Fin = i == n-1
		}
	}
	return frames
}

// TestUnreachable checks the failures before the handshake.
func TestUnreachable(t *testing.T) {
	t.Parallel()
	server, client := wstest.TLS()
	secure := wstest.ServeTLS(t, wstest.Echo)
	for name, test := range map[string]struct {
		url  string
		step probe.Step
		want string
		o    probe.Options
	}{
		"refused":        {url: "ws://127.0.0.1:1", step: probe.Connect, want: `^cannot connect: 127\.0\.0\.1:1: connection refused$`},
		"no name":        {url: "ws://no-such-host.invalid/", step: probe.Connect, want: `^cannot connect: no-such-host\.invalid: `},
		"unknown issuer": {url: secure, step: probe.TLS, want: `^TLS failed: .*certificate`},
		"another's name": {url: secure, step: probe.TLS, want: `^TLS failed: .*elsewhere\.example`, o: named(client, "elsewhere.example")},
		"red names":      {url: wstest.ServeRaw(t, wstest.TLSFor("\x1b[31mred.example"), wstest.Echo), step: probe.TLS, want: `^TLS failed: "[ -~]* \\x1b\[31mred\.example, not elsewhere\.example"$`, o: named(client, "elsewhere.example")},
		"long names":     {url: wstest.ServeRaw(t, wstest.TLSFor(slices.Repeat([]string{strings.Repeat("a", 60)}, 99)...), wstest.Echo), step: probe.TLS, want: `^TLS failed: [ -~]{200}…$`, o: named(client, "elsewhere.example")},
		"no TLS": {url: "wss" + strings.TrimPrefix(wstest.ServeRaw(t, nil, func(p *wstest.Peer) {
			_ = p.SendRaw([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"))
			_, _ = p.End(waitLimit)
		}), "ws"), step: probe.TLS, want: `^TLS failed: the answer is not TLS; a port without TLS needs ws://$`},
		"TLS that ends":         {url: "wss" + strings.TrimPrefix(wstest.ServeRaw(t, nil, func(p *wstest.Peer) { _ = p.FIN(); _, _ = p.End(waitLimit) }), "ws"), step: probe.TLS, want: `^TLS failed: it ended the connection$`},
		"our certificate":       {url: wstest.ServeRaw(t, demanding(server), wstest.Echo), step: probe.TLS, want: `^TLS failed: .*certificate required$`, o: probe.Options{TLS: client}},
		"TLS, and no WebSocket": {url: "ws" + strings.TrimPrefix(secure, "wss"), step: probe.Handshake, want: `^did not open a WebSocket: `},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test.o.Timeout = waitLimit
			r, err := probe.Run(t.Context(), test.url, test.o)
			is(t, err, test.step, test.want)
			if r.Took > waitLimit+2e9 {
				t.Errorf("took %v", r.Took)
			}
		})
	}
}

// named returns options that expect this name in the certificate.
func named(config *tls.Config, name string) probe.Options {
	config = config.Clone()
	config.ServerName = name
	return probe.Options{TLS: config}
}

// demanding returns a configuration that demands a certificate of the client.
func demanding(config *tls.Config) *tls.Config {
	config = config.Clone()
	config.ClientAuth = tls.RequireAnyClientCert
	return config
}

func TestArguments(t *testing.T) {
	for name, test := range map[string]struct {
		url  string
		o    probe.Options
		want string
	}{
		"scheme":      {"http://127.0.0.1/", probe.Options{}, `"http://127.0.0.1/" does not begin with ws:// or wss://`},
		"host":        {"ws:///path", probe.Options{}, `"ws:///path" names no host`},
		"not ASCII":   {"ws://b%C3%BCcher.example/", probe.Options{}, `has a host that is not ASCII; use its xn-- form`},
		"fragment":    {"ws://a/#b", probe.Options{}, `has a fragment`},
		"URL":         {"ws://a\x7f/", probe.Options{}, `is not a URL`},
		"timeout":     {"ws://a/", probe.Options{Timeout: -1}, `Timeout: -1ns is not from 1ms to 1000h0m0s`},
		"no time":     {"ws://a/", probe.Options{Timeout: 1}, `Timeout: 1ns is not from 1ms to 1000h0m0s`},
		"port":        {"ws://a:99999/", probe.Options{}, `"ws://a:99999/" has a port that is not from 1 to 65535`},
		"port 0":      {"ws://a:0/", probe.Options{}, `"ws://a:0/" has a port that is not from 1 to 65535`},
		"subprotocol": {"ws://a/", probe.Options{Subprotocols: []string{"two words"}}, `Subprotocols: "two words" is not a token`},
		"name":        {"ws://a/", probe.Options{Header: http.Header{"two words": {""}}}, `Header: "two words" is not a name`},
		"value":       {"ws://a/", probe.Options{Header: http.Header{"A": {"b\r\nc: d"}}}, `Header: the value of A has a control character`},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			cancel() // nothing is to be sent
			_, err := probe.Run(ctx, test.url, test.o)
			if err == nil || !strings.HasPrefix(err.Error(), "probe: ") || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %s", err, test.want)
			}
		})
	}
}
