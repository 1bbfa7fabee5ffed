package endings

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	coder "github.com/coder/websocket"
	gorilla "github.com/gorilla/websocket"

	"example.com/wsecho/ending"
	"example.com/wsecho/server"
	"example.com/wsecho/wstest"
)

// A scenario is one way in which a server's connection ends.
type scenario struct {
	name string
	set  setup
	peer []step
	expectation
}

// A setup configures the servers and the peer of a scenario. The zero value is plain TCP
// and servers without a heartbeat.
type setup struct {
	tls     bool
	deflate bool
	dial    wstest.DialOptions

	ours    func(*server.Options)
	gorilla func(*gorilla.Conn) // called after the handshake
	// readCtx derives the context of our reads from the handler's; nil: the handler's.
	readCtx func(context.Context) (context.Context, context.CancelFunc)
	// listen wraps the listener; nil: it does not.
	listen func(net.Listener) net.Listener
	// isolate puts the sockets into a new network namespace.
	isolate bool
	where   *namespace // the new namespace; nil: none
}

func TestServer(t *testing.T) {
	all := serverScenarios()
	tab := newTable(t, len(all))
	for i, s := range all {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			s.check(t)
			gorillaErr := s.runGorilla(t)
			err, outcome := s.runOurs(t)
			s.checkGorilla(t, gorillaErr)
			s.checkGone(t, err)
			s.checkEnding(t, outcome.Ending)
			if got := outcome.Gone; got != s.gone() { // the field gone of the log line
				t.Errorf("the log line has gone=%v, want %v", got, s.gone())
			}
			tab.set(i, s.name, gorillaErr, ending.Gone(err), outcome.Ending, s.remark())
		})
	}
	if len(all) < 40 {
		t.Errorf("%d scenarios, want at least 40", len(all))
	}
}

// TestKinds checks that the scenarios cover every kind that a read can report.
func TestKinds(t *testing.T) {
	// The handler causes these endings, so no read reports them. No scenario has an
	// unknown cause.
	uncovered := []ending.Kind{ending.NoMemory, ending.Done, ending.Failed, ending.Panicked, ending.Unknown}
	for _, k := range ending.Kinds() {
		provoked := slices.ContainsFunc(serverScenarios(), func(s scenario) bool { return s.kind == k })
		if provoked == slices.Contains(uncovered, k) {
			t.Errorf("%v is in a scenario: %v", k, provoked)
		}
	}
}

// runGorilla plays s against a gorilla server with a plain echo loop, and returns the
// error that ended the loop.
func (s scenario) runGorilla(t *testing.T) error {
	t.Helper()
	if s.set.isolate {
		s.set.where = newNamespace(t)
	}
	upgrader := gorilla.Upgrader{EnableCompression: s.set.deflate}
	linked, ended := make(chan link, 1), make(chan error, 1)
	var messages []string
	var handlers sync.WaitGroup
	h := func(w http.ResponseWriter, r *http.Request) {
		handlers.Add(1)
		defer handlers.Done()
		c, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			t.Errorf("gorilla: %v", err)
			return
		}
		defer c.Close()
		if f := s.set.gorilla; f != nil {
			f(c)
		}
		linked <- &gorillaLink{c}
		for {
			typ, p, err := c.ReadMessage()
			if err != nil {
				ended <- err
				return
			}
			messages = append(messages, string(p))
			if err := c.WriteMessage(typ, p); err != nil {
				ended <- err
				return
			}
		}
	}
	l, url := s.listener(t)
	hs := &http.Server{Handler: http.HandlerFunc(h)}
	served := make(chan struct{})
	go func() {
		defer close(served)
		hs.Serve(l)
	}()
	defer hs.Close()
	err := s.against(t, url, linked, ended)
	hs.Close()
	<-served
	handlers.Wait()
	checkMessages(t, "gorilla", messages)
	return err
}

// runOurs plays s against package server with the same loop. It returns the error that
// ended the loop, and the Outcome.
func (s scenario) runOurs(t *testing.T) (error, server.Outcome) {
	t.Helper()
	if s.set.isolate {
		s.set.where = newNamespace(t)
	}
	linked, ended, outcomes := make(chan link, 1), make(chan error, 1), make(chan server.Outcome, 1)
	options := server.Options{
		PingInterval: -1,
		OnEnd:        func(o server.Outcome) { outcomes <- o },
	}
	if s.set.deflate {
		options.Compression = coder.CompressionNoContextTakeover
	}
	if f := s.set.ours; f != nil {
		f(&options)
	}
	var messages []string
	var srv *server.Server
	srv, err := server.New(func(ctx context.Context, c *server.Conn) error {
		read, cancel := ctx, context.CancelFunc(func() {})
		if f := s.set.readCtx; f != nil {
			read, cancel = f(ctx)
		}
		defer cancel()
		linked <- &ourLink{srv, c, cancel}
		for {
			typ, p, err := c.Read(read)
			if err != nil {
				ended <- err
				return err
			}
			messages = append(messages, string(p))
			// The next Read reports the cause of a failed write.
			_ = c.Write(ctx, typ, p)
		}
	}, options)
	if err != nil {
		t.Fatal(err)
	}
	l, url := s.listener(t)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ctx, l) }()
	readErr := s.against(t, url, linked, ended)
	var outcome server.Outcome
	select {
	case outcome = <-outcomes:
	case <-time.After(stepTimeout):
		t.Error("there is no Outcome")
	}
	cancel()
	if err := <-served; err != nil {
		t.Errorf("Serve: %v", err)
	}
	checkMessages(t, "ours", messages)
	return readErr, outcome
}

// listener returns a listener on loopback and the URL to it.
func (s scenario) listener(t *testing.T) (net.Listener, string) {
	t.Helper()
	var l net.Listener
	var err error
	s.set.where.do(func() { l, err = net.Listen("tcp", "127.0.0.1:0") })
	if err != nil {
		t.Fatal(err)
	}
	url := "ws://" + l.Addr().String()
	if f := s.set.listen; f != nil {
		l = f(l)
	}
	if s.set.tls {
		config, _ := wstest.TLS()
		l = tls.NewListener(l, config)
		url = "wss" + url[2:]
	}
	return l, url
}

// against dials the server and plays the steps.
func (s scenario) against(t *testing.T, url string, linked <-chan link, ended <-chan error) error {
	t.Helper()
	o := s.set.dial
	if s.set.tls {
		_, o.TLS = wstest.TLS()
	}
	if s.set.deflate {
		o.Extensions = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
	}
	var p *wstest.Peer
	var err error
	s.set.where.do(func() { p, err = wstest.Dial(url, o) })
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	select {
	case l := <-linked:
		return play(t, &run{peer: p, link: l, where: s.set.where}, s.peer, ended)
	case <-time.After(stepTimeout):
		t.Fatal("the handler has not begun")
		return nil
	}
}

type gorillaLink struct{ *gorilla.Conn }

func (c *gorillaLink) write(text string) {
	_ = c.WriteMessage(gorilla.TextMessage, []byte(text))
}

// grace is the time for which both sides wait for the answer to a close frame, if none
// comes.
const grace = 200 * time.Millisecond

func (c *gorillaLink) closeWith(code int) {
	_ = c.WriteControl(gorilla.CloseMessage, gorilla.FormatCloseMessage(code, ""), time.Now().Add(time.Second))
}

func (c *gorillaLink) closeNow()   { _ = c.Close() }
func (c *gorillaLink) drain()      { c.closeWith(gorilla.CloseGoingAway) }
func (c *gorillaLink) cancelRead() { _ = c.SetReadDeadline(time.Now()) }

func (c *gorillaLink) beat() {
	for range time.Tick(interval) {
		if c.WriteControl(gorilla.PingMessage, nil, time.Now().Add(time.Second)) != nil {
			return
		}
	}
}

// interval is the ping interval of both sides, in scenarios with a heartbeat.
const interval = 100 * time.Millisecond

type ourLink struct {
	srv    *server.Server
	conn   *server.Conn
	cancel context.CancelFunc
}

func (l *ourLink) write(text string) {
	_ = l.conn.Write(context.Background(), coder.MessageText, []byte(text))
}

func (l *ourLink) closeWith(code int) { _ = l.conn.Close(coder.StatusCode(code), "") }
func (l *ourLink) closeNow()          { _ = l.conn.CloseNow() }
func (l *ourLink) drain()             { _ = l.srv.Shutdown(context.Background()) }
func (l *ourLink) cancelRead()        { l.cancel() }
func (l *ourLink) beat()              {} // Options.PingInterval
