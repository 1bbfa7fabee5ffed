package server_test

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"example.com/wsecho/ending"
	"example.com/wsecho/internal/testfull"
	"example.com/wsecho/server"
	"example.com/wsecho/wstest"
)

// events records the events of an Observer.
type events struct {
	mu       sync.Mutex
	servers  []*server.Server
	accepted []time.Duration
	refused  []server.Refusal
	bare     int // refusals without a request
	started  []uint64
	ended    []server.Outcome
	pings    int
	rtts     []time.Duration
	steps    []server.DrainStep
	open     []int
}

func (e *events) observer() *server.Observer {
	do := func(f func()) {
		e.mu.Lock()
		defer e.mu.Unlock()
		f()
	}
	return &server.Observer{
		New:      func(s *server.Server) { do(func() { e.servers = append(e.servers, s) }) },
		Accepted: func(_ *http.Request, took time.Duration) { do(func() { e.accepted = append(e.accepted, took) }) },
		Refused: func(r *http.Request, why server.Refusal) {
			do(func() {
				e.refused = append(e.refused, why)
				if r == nil {
					e.bare++
				}
			})
		},
		Started:      func(c *server.Conn) { do(func() { e.started = append(e.started, c.Info().ID) }) },
		Ended:        func(o server.Outcome) { do(func() { e.ended = append(e.ended, o) }) },
		PingSent:     func(*server.Conn) { do(func() { e.pings++ }) },
		PongReceived: func(_ *server.Conn, rtt time.Duration) { do(func() { e.rtts = append(e.rtts, rtt) }) },
		Drain: func(step server.DrainStep, open int) {
			do(func() { e.steps, e.open = append(e.steps, step), append(e.open, open) })
		},
	}
}

// TestObserver follows connections from the handshake to the drain. One ping is answered
// after 50 ms.
func TestObserver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var e events
		l := newPipes()
		started := 0
		s := serveOn(t, l, echoes, server.Options{Observer: e.observer(), OnStart: func(*server.Conn) {
			e.mu.Lock()
			defer e.mu.Unlock()
			if started++; len(e.started) != started {
				t.Errorf("OnStart of connection %d, and %v have started", started, e.started)
			}
		}})
		if len(e.servers) != 1 || e.servers[0] != s.Server {
			t.Errorf("New got %v", e.servers)
		}
		first := l.upgrade(t, "/")
		synctest.Wait() // see onPipes; the second one then starts after it
		second := l.upgrade(t, "/")
		synctest.Wait()
		send(t, first, wstest.CloseFrame(4000, "mine"))
		finish(t, first, 4000)
		<-s.ends
		const delay = 50 * time.Millisecond
		ctx, cancel := context.WithTimeout(t.Context(), 25*time.Second)
		if end, err := second.Answer(ctx, wstest.AnswerOptions{Pong: func(p []byte) []byte { time.Sleep(delay); return p }}); err == nil {
			t.Errorf("ended: %v", end)
		}
		cancel()
		var wg sync.WaitGroup
		wg.Go(func() {
			_, _ = second.Answer(context.Background(), wstest.AnswerOptions{})
			_ = second.Close()
		})
		if err := s.stop(); err != nil {
			t.Error(err)
		}
		wg.Wait()
		e.mu.Lock()
		defer e.mu.Unlock()
		if len(e.accepted) != 2 || !slices.Equal(e.started, []uint64{1, 2}) || len(e.refused) != 0 {
			t.Errorf("got %d accepted, %v started, %v refused", len(e.accepted), e.started, e.refused)
		}
		if len(e.ended) != 2 || e.ended[0].Kind != ending.PeerCode || e.ended[1].Kind != ending.Drained {
			t.Errorf("ended: got %v", e.ended)
		}
		if e.pings != len(e.rtts) || len(e.rtts) == 0 || e.rtts[0] != delay {
			t.Errorf("got %d pings, round-trip times %v, want %v", e.pings, e.rtts, delay)
		}
		steps := []server.DrainStep{server.DrainAnnounced, server.DrainBegun, server.DrainOver}
		if !slices.Equal(e.steps, steps) || !slices.Equal(e.open, []int{1, 1, 0}) {
			t.Errorf("drain: got %v with %v, want %v", e.steps, e.open, steps)
		}
		ended := map[ending.Kind]int64{ending.PeerCode: 1, ending.Drained: 1}
		if n := s.Totals(); n.Open != 0 || !maps.Equal(n.Endings, ended) || n.Pings.Sent != uint64(e.pings) || n.Pings.Answered == 0 {
			t.Errorf("got %+v", n)
		}
		sum := server.Totals{Endings: map[ending.Kind]int64{ending.Drained: 2}}
		sum.Add(s.Totals())
		sum.Add(s.Totals())
		if want := map[ending.Kind]int64{ending.PeerCode: 2, ending.Drained: 4}; !maps.Equal(sum.Endings, want) || !maps.Equal(s.Totals().Endings, ended) {
			t.Errorf("got %v and %v, want %v and %v", sum.Endings, s.Totals().Endings, want, ended)
		}
	})
}

// TestObserverDrainCut: the step of a drain that cuts connections off has their number.
func TestObserverDrainCut(t *testing.T) {
	var e events
	held := make(chan struct{})
	o := e.observer()
	record := o.Drain
	o.Drain = func(step server.DrainStep, open int) {
		record(step, open)
		if step == server.DrainCut {
			close(held)
		}
	}
	s := serve(t, func(ctx context.Context, c *server.Conn) error {
		<-held
		return readAll(ctx, c)
	}, server.Options{Observer: o, DrainTimeout: 50 * time.Millisecond, CloseTimeout: server.MaxCloseTimeout})
	s.dial(t, wstest.DialOptions{})
	eventually(t, "it is open", func() bool { return s.open() == 1 })
	if err := s.stop(); err != nil {
		t.Error(err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	steps := []server.DrainStep{server.DrainAnnounced, server.DrainBegun, server.DrainCut, server.DrainOver}
	if !slices.Equal(e.steps, steps) || !slices.Equal(e.open, []int{1, 1, 1, 0}) {
		t.Errorf("got %v with %v, want %v", e.steps, e.open, steps)
	}
}

// TestRefusals causes each Refusal with a request of its own.
func TestRefusals(t *testing.T) {
	t.Parallel()
	var e events
	s := serve(t, echoes, server.Options{
		Observer: e.observer(), Hosts: []string{"127.0.0.1", "x"}, OriginPatterns: []string{"good.example"}, MaxConns: 2, MaxConnsPerIP: 1,
		Admit: func(r *http.Request) (any, error) {
			if r.URL.Path == "/no" {
				return nil, errors.New("no")
			}
			return nil, nil
		},
		PerConn: func(r *http.Request) (*server.ConnOptions, error) {
			if r.URL.Path == "/different" {
				return nil, errors.New("no")
			}
			return nil, nil
		},
	})
	plain := serve(t, echoes, server.Options{Observer: e.observer(), MaxConns: 1})
	handshake := func(line string, h http.Header) string {
		return strings.Replace(string(wstest.Request(s.url, "", h)), "GET / HTTP/1.1", line, 1)
	}
	request := func(why server.Refusal, text string) {
		t.Helper()
		p := s.raw(t)
		if _, err := p.NetConn().Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
		e.want(t, why)
		_ = p.Close()
	}
	const get = "GET / HTTP/1.1"
	request(server.RefusedHandshake, handshake(get, http.Header{"Sec-WebSocket-Version": {"8"}}))
	request(server.RefusedHost, handshake(get, http.Header{"Host": {"evil.example"}}))
	request(server.RefusedOrigin, handshake(get, http.Header{"Origin": {"http://evil.example"}}))
	request(server.RefusedByAdmit, handshake("GET /no HTTP/1.1", nil))
	request(server.RefusedPerConn, handshake("GET /different HTTP/1.1", nil))
	request(server.RefusedNoUpgrade, handshake(get, http.Header{"Connection": {"keep-alive"}}))
	request(server.RefusedTLS, "\x16\x03\x01\x00\xa5\x01\x00")
	request(server.RefusedProxyHeader, "PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r\n"+handshake(get, nil))
	request(server.RefusedLargeHeader, "GET / HTTP/1.1\r\nHost: x\r\nA: "+strings.Repeat("a", 20<<10)+"\r\n\r\n")
	request(server.RefusedPlain, "GET /other HTTP/1.1\r\nHost: x\r\n\r\n")
	s.dial(t, wstest.DialOptions{})
	request(server.RefusedMaxPerIP, handshake(get, nil))
	plain.dial(t, wstest.DialOptions{})
	if _, err := wstest.Dial(plain.url, wstest.DialOptions{}); err == nil {
		t.Error("a connection over MaxConns was accepted")
	}
	e.want(t, server.RefusedMaxConns)
	if e.bare != 3 {
		t.Errorf("got %d refusals without a request, want 3", e.bare)
	}

	names := map[string]bool{}
	for _, r := range server.Refusals() {
		if names[r.String()] || r.String() == "" || r.String() == "unknown" {
			t.Errorf("%d has the name %q", r, r)
		}
		names[r.String()] = true
	}
}

// TestRefusedElsewhere reports the refusals that Serve of an idle server does not cause.
func TestRefusedElsewhere(t *testing.T) {
	t.Parallel()
	var e events
	s, err := server.New(echoes, server.Options{Observer: e.observer(), TrustedProxies: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}})
	if err != nil {
		t.Fatal(err)
	}
	request := func(why server.Refusal, change func(*http.Request)) {
		t.Helper()
		r := httptest.NewRequest(http.MethodGet, "http://example.com/", nil) // from 192.0.2.1
		r.Header = http.Header{"Upgrade": {"websocket"}, "Connection": {"Upgrade"},
			"Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="}}
		change(r)
		s.ServeHTTP(httptest.NewRecorder(), r) // a recorder has no method Hijack
		e.want(t, why)
	}
	request(server.RefusedHijack, func(*http.Request) {})
	request(server.RefusedHTTP2, func(r *http.Request) {
		r.Method, r.ProtoMajor, r.Header = http.MethodConnect, 2, http.Header{":protocol": {"websocket"}}
	})
	request(server.RefusedForwarded, func(r *http.Request) {
		r.Header["Forwarded"], r.Header["X-Forwarded-For"] = []string{"for=203.0.113.1"}, []string{"203.0.113.2"}
	})
	if err := s.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	request(server.RefusedDraining, func(*http.Request) {})
}

// TestRefusedEvicted: a connection that sends nothing is closed for a newer one.
func TestRefusedEvicted(t *testing.T) {
	testfull.Only(t, "it takes more than 1000 connections")
	t.Parallel()
	var e events
	s := serve(t, echoes, server.Options{Observer: e.observer(), HandshakeTimeout: -1})
	for range 1010 {
		s.raw(t)
	}
	eventually(t, "one is evicted", func() bool {
		e.mu.Lock()
		defer e.mu.Unlock()
		return slices.Contains(e.refused, server.RefusedEvicted)
	})
}

// want waits for a refusal and checks that it is the only one.
func (e *events) want(t *testing.T, why server.Refusal) {
	t.Helper()
	var got []server.Refusal
	eventually(t, "a refusal: "+why.String(), func() bool {
		e.mu.Lock()
		defer e.mu.Unlock()
		got = append(got, e.refused...)
		e.refused = nil
		return len(got) > 0
	})
	if !slices.Equal(got, []server.Refusal{why}) {
		t.Errorf("got %v, want %v", got, why)
	}
}

// TestTotalsByType sends text and binary messages, in fragments too. Info and Totals count
// both types while the connection is open, and Totals also after its end.
func TestTotalsByType(t *testing.T) {
	t.Parallel()
	s := serve(t, echoes, server.Options{})
	p := s.dial(t, wstest.DialOptions{})
	send(t, p, wstest.TextFrame("one").Open(), wstest.Frame{Fin: true, Payload: []byte("two")}, wstest.BinaryFrame([]byte("bytes")), wstest.TextFrame(""))
	receive(t, p, wstest.Text, "onetwo")
	receive(t, p, wstest.Binary, "bytes")
	receive(t, p, wstest.Text, "")
	text := server.Traffic{MessagesIn: 2, MessagesOut: 2, BytesIn: 6, BytesOut: 6}
	binary := server.Traffic{MessagesIn: 1, MessagesOut: 1, BytesIn: 5, BytesOut: 5}
	for open := 1; open >= 0; open-- {
		eventually(t, "the counts are there", func() bool {
			n := s.Totals()
			return n.Open == open && n.Text == text && n.Binary == binary
		})
		for i := range s.Connections() {
			if i.Text != text || i.Binary != binary || i.MessagesIn != 3 || i.BytesOut != 11 || i.Closing {
				t.Errorf("got %+v", i)
			}
		}
		if open == 1 {
			send(t, p, wstest.CloseFrame(1000, ""))
			finish(t, p, 1000)
		}
	}
	if o := s.end(t); o.Text != text || o.Binary != binary {
		t.Errorf("got %+v", o)
	}
}
