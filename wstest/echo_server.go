package wstest

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// An EchoServer is a server for tests of clients. It sends each message back, and
// misbehaves as its faults demand. Without faults it is correct. Its methods may be called
// concurrently.
//
// It takes the first subprotocol that the client offers, and no extension. It answers a
// frame that breaks RFC 6455 with a close frame. It accepts messages of at most 16 MiB and
// 1000 connections at once. It closes a connection whose handshake takes longer than five
// seconds. Nothing else but the end of the test limits the time of an open connection.
type EchoServer struct {
	// URL is the address of the server, such as ws://127.0.0.1:41234. The path and the
	// query of a client do not matter.
	URL string

	tb      testing.TB
	dial    func(ctx context.Context, network, addr string) (net.Conn, error)
	client  *http.Client
	plan    atomic.Pointer[plan]
	open    atomic.Int64
	reports chan *Report
	ctx     context.Context // ends when the server is closed
	ended   chan struct{}   // closed after that, when all reports are ready
	close   func()
}

// maxOpen is the number of connections at once.
const maxOpen = 1000

// NewServer starts a server on loopback, which runs until the end of the test. A wrong
// argument of a fault, or faults that exclude each other, end the test.
//
// At the end of the test it closes all connections. It waits for its goroutines for at most
// ten seconds, whatever clients do. If the test has failed, it logs the first ten reports
// that Next has not returned.
func NewServer(tb testing.TB, faults ...Fault) *EchoServer {
	tb.Helper()
	return newTCPServer(tb, "ws://", nil, faults)
}

// NewTLSServer is NewServer with TLS and a wss URL. The client of HTTPClient trusts it.
// Other clients take the configuration that [TLS] returns.
func NewTLSServer(tb testing.TB, faults ...Fault) *EchoServer {
	tb.Helper()
	config, _ := TLS()
	return newTCPServer(tb, "wss://", config, faults)
}

func newTCPServer(tb testing.TB, scheme string, config *tls.Config, faults []Fault) *EchoServer {
	tb.Helper()
	if time.Now().UTC().Year() == 2000 { // the clock of a bubble
		tb.Fatal("wstest: NewServer and NewTLSServer listen on a socket, which stops the clock in a bubble of testing/synctest; use NewPipeServer")
	}
	p := mustPlan(tb, faults)
	l := listen(tb)
	addr := l.Addr().String()
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", addr)
	}
	return newEchoServer(tb, l, config, scheme+addr, dial, p)
}

// NewPipeServer is NewServer over a [Pipe] for each connection, without a socket. In a
// bubble of testing/synctest it must be called inside of the bubble, with the tb of the
// bubble. A client reaches it with HTTPClient, DialContext or Dial only.
func NewPipeServer(tb testing.TB, faults ...Fault) *EchoServer {
	tb.Helper()
	p := mustPlan(tb, faults)
	l := NewPipeListener()
	return newEchoServer(tb, l, nil, "ws://pipe.invalid", l.DialContext, p)
}

func newEchoServer(tb testing.TB, l net.Listener, config *tls.Config, url string,
	dial func(ctx context.Context, network, addr string) (net.Conn, error), p *plan) *EchoServer {
	tb.Helper()
	s := &EchoServer{URL: url, tb: tb, dial: dial, reports: make(chan *Report, maxReports), ended: make(chan struct{})}
	s.plan.Store(p)
	transport := &http.Transport{DialContext: s.DialContext, DisableKeepAlives: true}
	if config != nil {
		_, transport.TLSClientConfig = TLS()
	}
	s.client = &http.Client{Transport: transport}
	ctx, cancel := context.WithCancel(context.Background())
	s.ctx = ctx
	tb.Cleanup(func() { // runs after that of serveOn
		if tb.Failed() {
			s.logReports()
		}
	})
	stop := serveOn(tb, l, config, s.handle)
	var once sync.Once
	s.close = func() {
		once.Do(func() {
			cancel()
			stop()
			transport.CloseIdleConnections()
			close(s.ended)
		})
	}
	tb.Cleanup(s.close)
	return s
}

// SetFaults replaces the faults for connections that begin later. So a test can let the
// first connection fail and the next one work. Wrong faults end the test, so SetFaults must
// be called by the goroutine of the test.
func (s *EchoServer) SetFaults(faults ...Fault) {
	s.tb.Helper()
	s.plan.Store(mustPlan(s.tb, faults))
}

func mustPlan(tb testing.TB, faults []Fault) *plan {
	tb.Helper()
	p, err := newPlan(faults)
	if err != nil {
		tb.Fatalf("wstest: %v", err)
	}
	return p
}

// HTTPClient returns a client whose requests all go to s. It trusts the certificate of s,
// uses no proxy and has no timeout. It is the HTTPClient of coder's websocket.DialOptions.
func (s *EchoServer) HTTPClient() *http.Client { return s.client }

// DialContext connects to s without TLS, whatever addr is. It is the DialContext of an
// http.Transport, and the NetDialContext of gorilla's websocket.Dialer. Over a [Pipe] it
// waits until s accepts, which s does at once.
func (s *EchoServer) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	return s.dial(ctx, network, addr)
}

// Dial is DialContext without a context, for [DialOptions].
func (s *EchoServer) Dial(network, addr string) (net.Conn, error) {
	return s.DialContext(context.Background(), network, addr)
}

// Open returns the number of connections that have not ended, also of those before or in
// the handshake.
func (s *EchoServer) Open() int { return int(s.open.Load()) }

// Close closes the listener and all connections, without close frames, as the end of the
// test does. It returns when all reports are ready for Next, and after ten seconds at most.
func (s *EchoServer) Close() { s.close() }

// errTooMany is the error of a report.
var errTooMany = errors.New("more than 1000 connections are open")

// handle serves one connection.
func (s *EchoServer) handle(p *Peer) {
	c := &serverConn{Peer: p, plan: *s.plan.Load()}
	c.ctx, c.cancel = context.WithCancel(s.ctx)
	c.active, c.deactivate = context.WithCancel(c.ctx)
	if s.open.Add(1) > maxOpen {
		c.report.Err = errTooMany
	} else {
		c.run()
	}
	c.cancel()
	s.open.Add(-1) // before Next returns the report
	s.report(&c.report)
}
