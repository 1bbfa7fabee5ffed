package load_test

import (
	"compress/flate"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"example.com/wsecho/load"
	"example.com/wsecho/wstest"
)

func inflate(compressed []byte) (string, error) {
	b, err := io.ReadAll(flate.NewReader(strings.NewReader(string(compressed) + "\x00\x00\xff\xff\x01\x00\x00\xff\xff")))
	return string(b), err
}

// after is a server that echoes n messages and calls then with the next one.
func after(n int, then func(*wstest.Peer, wstest.Frame)) func(*wstest.Peer) {
	return func(p *wstest.Peer) {
		for i := 0; ; i++ {
			f, err := p.Recv()
			if err != nil || f.Opcode == wstest.Close {
				return
			}
			if i == n {
				then(p, f)
				_, _ = p.End(soon) // the client ends the connection
				return
			}
			f.Masked = false
			_ = p.Send(f)
		}
	}
}

// says is a server that answers the handshake with these bytes.
func says(answer string) func(*wstest.Peer) {
	return func(p *wstest.Peer) {
		if _, err := p.ReadRequest(); err == nil {
			_ = p.SendRaw([]byte(answer))
			_ = p.FIN()
			_, _ = p.End(soon)
		}
	}
}

// accepts is a server that accepts the handshake with one wrong field.
func accepts(name, value string) func(*wstest.Peer) {
	return func(p *wstest.Peer) {
		if p.Accept(http.Header{name: {value}}) == nil {
			_, _ = p.End(soon)
		}
	}
}

// TestNoWebSocket checks that each failure to open a connection is reported in one
// sentence, and soon.
func TestNoWebSocket(t *testing.T) {
	t.Parallel()
	// Nothing listens on the port of a client, and no other process gets it.
	nobody, err := net.Dial("tcp", strings.TrimPrefix(wstest.ServeRaw(t, nil, wstest.Silent), "ws://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nobody.Close() })
	raw := func(handle func(*wstest.Peer)) func(*testing.T) string {
		return func(t *testing.T) string { return wstest.ServeRaw(t, nil, handle) }
	}
	named := func(names ...string) func(*testing.T) string {
		return func(t *testing.T) string { return wstest.ServeRaw(t, wstest.TLSFor(names...), wstest.Echo) }
	}
	asking := load.Plan{TLS: &tls.Config{ServerName: "a.example"}}
	is := func(url string) func(*testing.T) string { return func(*testing.T) string { return url } }
	for name, test := range map[string]struct {
		url  func(*testing.T) string
		plan load.Plan
		want string
	}{
		"refused":     {is("ws://" + nobody.LocalAddr().String()), load.Plan{}, `cannot connect: .*refused`},
		"no host":     {is("ws://no-such-host.invalid/"), load.Plan{}, `cannot connect: `},
		"404":         {raw(says("HTTP/1.1 404 Not Found\r\nContent-Length: 8\r\n\r\nnot\x1bhere")), load.Plan{}, `did not open a WebSocket: the answer is 404 Not Found: "not\\x1bhere"; the server probably`},
		"404, red":    {raw(says("HTTP/1.1 404 \x1b[31mNo\r\n\r\n")), load.Plan{}, `the answer is 404 Not Found; the server probably has no WebSocket at this path$`},
		"404, long":   {raw(says("HTTP/1.1 404 " + strings.Repeat("a", 60_000) + "\r\n\r\n")), load.Plan{}, `the answer is 404 Not Found; the server probably has no WebSocket at this path$`},
		"200":         {raw(says("HTTP/1.1 200 OK\r\n\r\n")), load.Plan{}, `did not open a WebSocket: the answer is 200 OK; a proxy has probably`},
		"moved":       {raw(says("HTTP/1.1 301 Moved Permanently\r\nLocation: https://example.com/\r\n\r\n")), load.Plan{}, `the answer is 301 Moved Permanently, to "https://example.com/"$`},
		"other key":   {raw(accepts("Sec-WebSocket-Accept", wstest.AcceptKey(wstest.SampleKey))), load.Plan{}, `Sec-WebSocket-Accept does not match the key$`},
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
		"says nothing":         {raw(wstest.Silent), load.Plan{Timeout: time.Second}, `did not open a WebSocket: no answer in 1s$`},
		"no compression":       {raw(accepts("X", "")), load.Plan{Compression: true}, `it does not agree to permessage-deflate$`},
		"other compression":    {raw(accepts("Sec-WebSocket-Extensions", "x-gzip")), load.Plan{Compression: true}, `it chose the extensions "x-gzip", which were not offered$`},
		"a window":             {raw(accepts("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits=9")), load.Plan{Compression: true}, `permessage-deflate with "client_max_window_bits", which was not offered$`},
		"unasked compression":  {raw(accepts("Sec-WebSocket-Extensions", "permessage-deflate")), load.Plan{}, `it chose the extension "permessage-deflate", which was not offered$`},
		"no subprotocol":       {raw(accepts("X", "")), load.Plan{Subprotocols: []string{"a", "b"}}, `it chose none of the offered subprotocols: a, b$`},
		"unasked subprotocol":  {raw(accepts("Sec-WebSocket-Protocol", "c")), load.Plan{Subprotocols: []string{"a"}}, `it chose the subprotocol "c", which was not offered$`},
		"nobody knows the TLS": {func(t *testing.T) string { return wstest.ServeTLS(t, wstest.Echo) }, load.Plan{}, `TLS failed: .*certificate`},
		"red names":            {named("\x1b[31mred.example"), asking, `TLS failed: "tls: [ -~]* \\x1b\[31mred\.example, not a\.example"$`},
		"long names":           {named(slices.Repeat([]string{strings.Repeat("a", 60)}, 99)...), asking, `TLS failed: tls: [ -~]{195}…$`},
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
			wrong := target.Problems()
			if len(wrong) != 1 || !regexp.MustCompile("^"+regexp.QuoteMeta(url)+": .*"+test.want).MatchString(wrong[0]) {
				t.Errorf("%q, want one sentence: %s", wrong, test.want)
			}
			if r.OK() || !target.GivenUp || target.Failures[0].Count != 1 {
				t.Errorf("%+v", target)
			}
		})
	}
}

// TestRequest checks the request that the server receives.
func TestRequest(t *testing.T) {
	requests := make(chan *http.Request, 1)
	url := wstest.ServeRaw(t, nil, func(p *wstest.Peer) {
		if r, err := p.ReadRequest(); err == nil {
			requests <- r
		}
	})
	run(t, load.Plan{Connections: 1, Compression: true, Subprotocols: []string{"a", "b"}, Header: http.Header{
		"host": {"host.example"}, "Sec-WebSocket-Extensions": {"x-gzip"}, "Sec-WebSocket-Protocol": {"c"},
	}}, strings.Replace(url, "ws://", "ws://me:secret@", 1)+"/a%2Fb?")
	r := <-requests
	if user, password, _ := r.BasicAuth(); user != "me" || password != "secret" {
		t.Errorf("got %q %q", user, password)
	}
	if r.RequestURI != "/a%2Fb?" || r.Host != "host.example" {
		t.Errorf("got %s for %s", r.RequestURI, r.Host)
	}
	for name, want := range map[string]string{
		"User-Agent": "wsecho-bench", "Sec-WebSocket-Protocol": "a, b",
		"Sec-WebSocket-Extensions": "permessage-deflate; client_no_context_takeover; server_no_context_takeover",
	} {
		if got := r.Header.Values(name); len(got) != 1 || got[0] != want {
			t.Errorf("got %s: %q, want %q", name, got, want)
		}
	}
}
