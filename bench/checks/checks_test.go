package checks

import (
	"bytes"
	"compress/flate"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"example.com/wsecho/echo"
	"example.com/wsecho/server"
	"example.com/wsecho/wstest"
)

func TestMain(m *testing.M) { os.Exit(wstest.VerifyNoLeaks(m)) }

// serve runs an echo server on loopback for the rest of the test.
func serve(t *testing.T, o server.Options, config *tls.Config) (addr string) {
	t.Helper()
	s, err := server.New(func(ctx context.Context, c *server.Conn) error { return echo.Serve(ctx, c) }, o)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr = l.Addr().String()
	if config != nil {
		l = tls.NewListener(l, config)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return addr
}

// TestRight: a correct server passes all checks.
func TestRight(t *testing.T) {
	mine, theirs := wstest.TLS()
	for _, test := range []struct {
		name    string
		options Options
		config  *tls.Config
		server  server.Options
		checks  int
	}{
		{"plain", Options{}, nil, server.Options{}, len(table()) - len(deflated())},
		{"TLS", Options{TLS: theirs}, mine, server.Options{}, len(table()) - len(deflated())},
		{"compression", Options{Compression: true}, nil, server.Options{Compression: websocket.CompressionContextTakeover}, len(table())},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			found := Run(t.Context(), serve(t, test.server, test.config), test.options)
			for _, c := range found {
				if c.Rule == "" {
					t.Errorf("%s has no rule", c.Name)
				}
				if !c.Right || c.Error != "" || c.Got == "" || c.Want == "" || c.Title == "" {
					t.Errorf("%s: %s: want %s, got %s %s", c.Name, c.Title, c.Want, c.Got, c.Error)
				}
			}
			if len(found) != test.checks {
				t.Errorf("got %d checks, want %d", len(found), test.checks)
			}
		})
	}
}

// A broken is an incorrect server. It accepts every handshake, and accepts
// permessage-deflate without implementing it.
type broken struct {
	name   string
	handle func(*wstest.Peer)
	accept func(key string) string // nil: the correct value
	passes string                  // the checks that it passes
}

func brokenServers() []broken {
	once := func(f wstest.Frame) func(*wstest.Peer) {
		return func(p *wstest.Peer) {
			if _, err := p.Recv(); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
				_ = p.Send(f) // the client may have closed
			}
		}
	}
	return []broken{
		// It sends every frame back.
		{"mirror", func(p *wstest.Peer) {
			for {
				f, err := p.Recv()
				f.Masked = false
				if err != nil || p.Send(f) != nil {
					return
				}
			}
		}, nil, "echo fragments cut-frame cut-message split-utf8 long-length close close-empty bad-key tiny-fragments deflate"},
		// At the end of the stream, it sends an echo for an incomplete message.
		{"echo at EOF", func(p *wstest.Peer) {
			for {
				if _, err := p.Recv(); err != nil {
					_ = p.Send(wstest.TextFrame("so far"))
					return
				}
			}
		}, nil, "bad-key"},
		{"silent", wstest.Silent, func(key string) string {
			if b, err := base64.StdEncoding.DecodeString(key); err != nil || len(b) != 16 {
				return "nonsense"
			}
			return wstest.AcceptKey(key)
		}, ""},
		{"1000", once(wstest.CloseFrame(1000, "")), nil, "cut-frame cut-message close close-empty close-illegal tcp-close bad-key"},
		{"1005", once(wstest.CloseFrame(1005, "")), nil, "cut-frame tcp-close bad-key"},
		{"masked", once(wstest.CloseFrame(1002, "").WithKey(key)), nil, "cut-frame tcp-close bad-key"},
		{"bits", once(wstest.TextFrame("ab").WithRsv(wstest.RSV2)), nil, "cut-frame tcp-close bad-key"},
	}
}

// TestWrong: each check fails for at least one broken server.
func TestWrong(t *testing.T) {
	t.Parallel()
	caught := make(map[string]bool)
	results := make(chan []string)
	all := brokenServers()
	for _, w := range all {
		go func() { results <- w.check(t) }()
	}
	for range all {
		for _, name := range <-results {
			caught[name] = true
		}
	}
	for _, c := range table() {
		if !caught[c.name] {
			t.Errorf("no server fails %s", c.name)
		}
	}
}

// check returns the names of the checks that w fails.
func (w broken) check(t *testing.T) (caught []string) {
	url := wstest.ServeRaw(t, nil, func(p *wstest.Peer) {
		p.Timeout = 20 * time.Second
		r, err := p.ReadRequest()
		if err != nil {
			return
		}
		header := make(http.Header)
		if r.Header.Get("Sec-WebSocket-Extensions") != "" {
			header["Sec-WebSocket-Extensions"] = []string{"permessage-deflate"}
		}
		key := r.Header.Get("Sec-WebSocket-Key")
		if w.accept != nil {
			header["Sec-WebSocket-Accept"] = []string{w.accept(key)}
		}
		if p.SendRaw(wstest.Response(key, header)) == nil {
			w.handle(p)
		}
	})
	began := time.Now()
	passed := strings.Fields(w.passes)
	for _, c := range Run(t.Context(), strings.TrimPrefix(url, "ws://"), Options{Compression: true}) {
		if c.Error != "" || c.Got == "" {
			t.Errorf("%s, %s: got %q, %s", w.name, c.Name, c.Got, c.Error)
		}
		if c.Right != slices.Contains(passed, c.Name) {
			t.Errorf("%s, %s: got %q, which is right: %t", w.name, c.Name, c.Got, c.Right)
		}
		if !c.Right {
			caught = append(caught, c.Name)
		}
	}
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("%s: it took %v", w.name, took)
	}
	return caught
}

// TestNotRun: checks that cannot run have an error.
func TestNotRun(t *testing.T) {
	t.Parallel()
	const addr = "127.0.0.1:1" // where nothing listens; another test could get a port that was closed
	cancelled, cancel := context.WithCancelCause(t.Context())
	enough := errors.New("enough")
	cancel(enough)
	for name, test := range map[string]struct {
		ctx  context.Context
		addr string
		o    Options
		want string
	}{
		"no listener": {t.Context(), addr, Options{Compression: true}, "refused"},
		"context":     {cancelled, serve(t, server.Options{}, nil), Options{}, enough.Error()},
	} {
		for _, c := range Run(test.ctx, test.addr, test.o) {
			if c.Right || !strings.Contains(c.Error, test.want) {
				t.Errorf("%s: %s: got %q, want an error with %q", name, c.Name, c.Error, test.want)
			}
		}
	}
	for _, c := range Run(t.Context(), serve(t, server.Options{}, nil), Options{Compression: true}) {
		if deflates := strings.HasPrefix(c.Name, "deflate"); deflates == c.Right || deflates != strings.Contains(c.Error, "did not accept") {
			t.Errorf("without compression: %s: got %q %s", c.Name, c.Got, c.Error)
		}
	}
}

// TestInterrupted ends the context while a server is silent.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	addr := strings.TrimPrefix(wstest.Serve(t, wstest.Silent), "ws://")
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	began := time.Now()
	for _, c := range Run(ctx, addr, Options{}) {
		if slices.ContainsFunc(handshakes(), func(h check) bool { return h.name == c.Name }) {
			continue // the server has answered them
		}
		if c.Right || c.Error == "" {
			t.Errorf("%s: got %q, want an error", c.Name, c.Got)
		}
	}
	if took := time.Since(began); took > replyTimeout {
		t.Errorf("it took %v", took)
	}
}

// TestThenAccepts: a server fails the trial if it accepts no connection afterwards.
func TestThenAccepts(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	trial := thenAccepts(trial{"", func(*target) (verdict, error) { return verdict{"closed with 1002", true}, l.Close() }})
	s := newTarget(t.Context(), l.Addr().String(), Options{})
	v, err := trial.do(s)
	if err != nil || v.right || !strings.HasPrefix(v.got, "closed with 1002, and then the server accepted no") || !s.gone.Load() {
		t.Errorf("got %+v, %v", v, err)
	}
}

// TestAgain: Run starts the server again if it no longer listens after a check.
func TestAgain(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	defer running.Wait()
	defer l.Close()
	running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				p := wstest.Server(mortal{c, l})
				defer p.Close()
				if p.Accept(nil) == nil {
					wstest.Echo(p)
				}
			})
		}
	})
	again := 0
	found := Run(t.Context(), l.Addr().String(), Options{Again: func(context.Context) (string, error) {
		again++
		return serve(t, server.Options{}, nil), nil
	}})
	alone := 0
	for _, c := range found {
		if !slices.ContainsFunc(loads(), func(l check) bool { return l.name == c.Name }) {
			continue
		}
		if alone++; c.Right != (alone > 1) || c.Error != "" {
			t.Errorf("%s: got %q %s", c.Name, c.Got, c.Error)
		}
	}
	if again != 1 || alone < 3 {
		t.Errorf("the server was started again %d times in %d checks, want once", again, alone)
	}
}

// A mortal connection closes its listener when it receives a length of 2^63.
type mortal struct {
	net.Conn
	listener net.Listener
}

func (m mortal) Read(b []byte) (int, error) {
	n, err := m.Conn.Read(b)
	if bytes.Contains(b[:n], wstest.Header(0x82, true, key, 1<<63, 64)) {
		err = errors.Join(err, m.listener.Close())
	}
	return n, err
}

func TestSummary(t *testing.T) {
	c := check{trials: []trial{{name: "a"}, {name: "b"}, {name: "c"}}}
	x, y, bad := verdict{"x", true}, verdict{"y", true}, verdict{"bad", false}
	for _, test := range []struct {
		verdicts []verdict
		want     string
	}{
		{[]verdict{x, x, x}, "x"},
		{[]verdict{x, y, x}, "a, c: x; b: y"},
		{[]verdict{x, bad, x}, "b: bad"},
		{[]verdict{bad, x, bad}, "a, c: bad"},
		{[]verdict{bad, bad, bad}, "bad"},
	} {
		right := !slices.Contains(test.verdicts, bad)
		if got := c.summary(test.verdicts, make([]error, 3), right); got != test.want {
			t.Errorf("%v: got %q, want %q", test.verdicts, got, test.want)
		}
	}
}

// TestLegal checks the first and the last code of each range.
func TestLegal(t *testing.T) {
	var got []string
	for code := range uint16(6000) {
		if (reply{code: code}).legal() != (code > 0 && (reply{code: code - 1}).legal()) {
			got = append(got, fmt.Sprint(code))
		}
	}
	if want := "1000 1004 1007 1015 3000 5000"; strings.Join(got, " ") != want {
		t.Errorf("legal changes at %v, want %s", got, want)
	}
}

// TestBomb checks that the bomb is valid: a server could refuse it for another reason.
func TestBomb(t *testing.T) {
	t.Parallel()
	b := deflate(make([]byte, 1<<20), bomb>>20)
	r := flate.NewReader(io.MultiReader(bytes.NewReader(b), strings.NewReader("\x00\x00\xff\xff\x01\x00\x00\xff\xff")))
	if n, err := io.Copy(io.Discard, r); n != bomb || err != nil || len(b) > 160<<10 {
		t.Errorf("%d bytes inflate to %d, %v, want %d", len(b), n, err, bomb)
	}
}

// TestRules: each check has a rule, each rule has one section, and the checks of UTF-8
// have one rule.
func TestRules(t *testing.T) {
	sections := map[string]string{}
	utf8Checks := 0
	for _, c := range table() {
		r, ok := rules[c.name]
		if !ok {
			t.Errorf("%s has no rule", c.name)
		}
		if before, ok := sections[r.name]; ok && before != r.section {
			t.Errorf("the rule %q has the sections %q and %q", r.name, before, r.section)
		}
		sections[r.name] = r.section
		if r == utf8Text {
			utf8Checks++
		}
	}
	if len(rules) != len(table()) {
		t.Errorf("got rules of %d checks, want %d", len(rules), len(table()))
	}
	if utf8Checks != 4 || sections["limit on messages"] != "" || sections["RSV1"] != "RFC 7692, 6" {
		t.Errorf("got %d checks of UTF-8 and the sections %q", utf8Checks, sections)
	}
}
