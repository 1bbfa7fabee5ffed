package probe_test

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"example.com/wsecho/echo"
	"example.com/wsecho/ending"
	"example.com/wsecho/probe"
	"example.com/wsecho/server"
	"example.com/wsecho/wstest"
)

// serve starts an echo server. It returns its URL, and a function that stops it and
// returns the outcomes of its connections.
func serve(t *testing.T, secure bool, o server.Options) (url string, stop func() []server.Outcome) {
	t.Helper()
	var mu sync.Mutex
	var ends []server.Outcome
	o.OnEnd = func(e server.Outcome) {
		mu.Lock()
		defer mu.Unlock()
		ends = append(ends, e)
	}
	s, err := server.New(func(ctx context.Context, c *server.Conn) error { return echo.Serve(ctx, c) }, o)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	url = "ws://" + l.Addr().String() + "/"
	if secure {
		config, _ := wstest.TLS()
		l = tls.NewListener(l, config)
		url = "wss" + strings.TrimPrefix(url, "ws")
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, l) }()
	stop = sync.OnceValue(func() []server.Outcome {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		return ends
	})
	t.Cleanup(func() { stop() })
	return url, stop
}

// TestWorks checks servers that work, from both sides.
func TestWorks(t *testing.T) {
	t.Parallel()
	_, client := wstest.TLS()
	for name, test := range map[string]struct {
		secure bool
		server server.Options
		o      probe.Options
	}{
		"ws":           {},
		"wss":          {secure: true, o: probe.Options{TLS: client}},
		"unverified":   {secure: true, o: probe.Options{TLS: &tls.Config{InsecureSkipVerify: true}}},
		"ping":         {o: probe.Options{Ping: true}},
		"subprotocol":  {server: server.Options{Subprotocols: []string{"chat"}}, o: probe.Options{Subprotocols: []string{"talk", "chat"}}},
		"compression":  {server: server.Options{Compression: websocket.CompressionContextTakeover}},
		"origin, host": {server: server.Options{OriginPatterns: []string{"https://page.example"}, Hosts: []string{"echo.example"}}, o: probe.Options{Header: http.Header{"Origin": {"https://page.example"}, "host": {"echo.example"}}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, stop := serve(t, test.secure, test.server)
			test.o.Timeout = waitLimit
			r, err := probe.Run(t.Context(), url, test.o)
			if err != nil {
				t.Fatal(err)
			}
			want := []probe.Step{probe.Connect, probe.Handshake, probe.Echo, probe.Close}
			if test.secure {
				want = slices.Insert(want, 1, probe.TLS)
			}
			var got []probe.Step
			sum := time.Duration(0)
			for _, s := range r.Steps {
				got = append(got, s.Step)
				sum += s.Took
			}
			chosen := ""
			if len(test.server.Subprotocols) > 0 {
				chosen = test.server.Subprotocols[0]
			}
			if !slices.Equal(got, want) || sum > r.Took || r.URL != url || !strings.Contains(url, r.Remote) || (r.TLS != nil) != test.secure ||
				r.Status != 101 || r.Subprotocol != chosen || r.Others != 0 || r.CloseCode != 1000 {
				t.Errorf("%+v", r)
			}
			ends := stop()
			if len(ends) != 1 || ends[0].Kind != ending.Normal {
				t.Errorf("got the outcomes %v, want one normal", ends)
			}
		})
	}
}

// TestMoreThanEcho checks servers that send more than echoes.
func TestMoreThanEcho(t *testing.T) {
	t.Parallel()
	text := wstest.TextFrame
	for name, test := range map[string]struct {
		handle func(*wstest.Peer)
		ping   bool
		code   int
		others int
	}{
		"greetings": {handle: func(p *wstest.Peer) {
			_ = p.Send(text("hello"), wstest.BinaryFrame(make([]byte, 100_000)), wstest.PingFrame("?"))
			_ = p.Send(wstest.Fragments(wstest.Text, "a", "", "b")...)
			wstest.Echo(p)
		}, code: 1000, others: 3},
		"an echo in fragments, with a ping inside": {handle: received(func(p *wstest.Peer, s string) {
			f := wstest.Fragments(wstest.Text, s[:5], "", s[5:])
			_ = p.Send(f[0], wstest.PingFrame(""), f[1], wstest.PongFrame("unsolicited"), f[2])
		}), code: 1000},
		"no code": {handle: received(func(p *wstest.Peer, s string) {
			_ = p.Send(text(s), text("more"), wstest.PingFrame("late"), wstest.CloseFrame(0, ""))
		}), code: 1005},
		"pongs and messages": {handle: func(p *wstest.Peer) {
			_ = p.Send(wstest.PongFrame("unsolicited"), text("one"), text("two"))
			_, _ = p.Answer(context.Background(), wstest.AnswerOptions{})
		}, ping: true, code: 1000, others: 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := wstest.Serve(t, func(p *wstest.Peer) {
				p.Timeout = waitLimit
				test.handle(p)
			})
			r, err := probe.Run(t.Context(), url, probe.Options{Timeout: waitLimit, Ping: test.ping})
			if err != nil || r.CloseCode != test.code || r.Others != test.others {
				t.Errorf("%v; %+v", err, r)
			}
		})
	}
}

// received is a server that calls then with the first message.
func received(then func(*wstest.Peer, string)) func(*wstest.Peer) {
	return func(p *wstest.Peer) {
		if f, err := p.Recv(); err == nil {
			then(p, string(f.Payload))
			_, _ = p.Answer(context.Background(), wstest.AnswerOptions{})
		}
	}
}

// TestInterim checks that the probe skips interim responses, and that a message may arrive
// with the response.
func TestInterim(t *testing.T) {
	url := wstest.ServeRaw(t, nil, func(p *wstest.Peer) {
		r, err := p.ReadRequest()
		if err != nil {
			return
		}
		b := []byte("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
		b = append(b, wstest.Response(r.Header.Get("Sec-WebSocket-Key"), nil)...)
		_ = p.SendRaw(wstest.TextFrame("hello").Append(b))
		wstest.Echo(p)
	})
	r, err := probe.Run(t.Context(), url, probe.Options{Timeout: waitLimit})
	if err != nil || r.Others != 1 {
		t.Errorf("%v; %+v", err, r)
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
	// Run ignores proxies of the environment.
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1/")
	t.Setenv("ALL_PROXY", "http://127.0.0.1:1/")
	o := probe.Options{Timeout: waitLimit, Header: http.Header{
		"a": {"1"}, "A": {"2"}, "Host": {"host.example"}, "Connection": {"close"}, "Sec-WebSocket-Key": {"mine"},
		"Sec-WebSocket-Extensions": {"permessage-deflate"}, "Content-Length": {"5"},
	}, Subprotocols: []string{"chat", "talk"}}
	given := o.Header.Clone()
	report, err := probe.Run(t.Context(), strings.Replace(url, "ws://", "ws://me:secret@", 1)+"/a%2Fb?c=d", o)
	is(t, err, probe.Handshake, `: it ended the connection$`)
	if strings.Contains(report.URL, "secret") {
		t.Errorf("the password is in %s", report.URL)
	}
	r := <-requests
	if user, password, _ := r.BasicAuth(); user != "me" || password != "secret" {
		t.Errorf("got %q %q", user, password)
	}
	if r.RequestURI != "/a%2Fb?c=d" || r.Host != "host.example" || r.ContentLength != 0 {
		t.Errorf("got %s for %s, %d bytes", r.RequestURI, r.Host, r.ContentLength)
	}
	if got := r.Header.Values("A"); len(got) != 2 {
		t.Errorf("got A: %q", got)
	}
	for name, want := range map[string]string{
		"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Protocol": "chat, talk",
		"Sec-WebSocket-Extensions": "", "User-Agent": "wsecho-probe",
	} {
		if got := r.Header.Get(name); got != want {
			t.Errorf("got %s: %q, want %q", name, got, want)
		}
	}
	if key := r.Header.Get("Sec-WebSocket-Key"); !regexp.MustCompile(`^[A-Za-z0-9+/]{22}==$`).MatchString(key) {
		t.Errorf("got the key %q", key)
	}
	if !reflect.DeepEqual(o.Header, given) {
		t.Errorf("Run has changed the header: %v", o.Header)
	}
}

func TestStepNames(t *testing.T) {
	for step, want := range map[probe.Step]string{probe.Connect: "connect", probe.TLS: "TLS", probe.Close: "close", 0: "step 0", 6: "step 6"} {
		if got := step.String(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
