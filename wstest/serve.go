package wstest

import (
	"crypto/tls"
	"net"
	"sync"
	"testing"
	"time"
)

// Serve listens on loopback until the end of the test and returns its ws URL. It answers
// each opening handshake correctly, without a subprotocol and extensions. Then it calls
// handle in a new goroutine, and closes the peer when handle returns. The kernel then
// sends RST, not FIN, if handle has not read all. A client without a handshake is only
// logged.
//
// At the end of the test, in tb.Cleanup, Serve closes all peers. Each handle must return
// within ten seconds and may use tb until then.
func Serve(tb testing.TB, handle func(*Peer)) (url string) {
	tb.Helper()
	return "ws://" + serve(tb, nil, accepted(tb, handle))
}

// ServeTLS is Serve with TLS and returns a wss URL. [TLS] returns the configuration for the
// client.
func ServeTLS(tb testing.TB, handle func(*Peer)) (url string) {
	tb.Helper()
	config, _ := TLS()
	return "wss://" + serve(tb, config, accepted(tb, handle))
}

// ServeRaw is Serve without the opening handshake. handle may call ReadRequest or Accept.
// With a config it makes the TLS handshake and returns a wss URL.
func ServeRaw(tb testing.TB, config *tls.Config, handle func(*Peer)) (url string) {
	tb.Helper()
	scheme := "ws://"
	if config != nil {
		scheme = "wss://"
	}
	return scheme + serve(tb, config, handle)
}

func accepted(tb testing.TB, handle func(*Peer)) func(*Peer) {
	return func(p *Peer) {
		if err := p.Accept(nil); err != nil {
			tb.Logf("wstest: %v", err)
			return
		}
		handle(p)
	}
}

// serve listens until the end of the test and returns its address.
func serve(tb testing.TB, config *tls.Config, handle func(*Peer)) string {
	tb.Helper()
	l := listen(tb)
	serveOn(tb, l, config, func(p *Peer) {
		if err := p.handshakeTLS(); err != nil {
			tb.Logf("wstest: %v", err)
			return
		}
		handle(p)
	})
	return l.Addr().String()
}

func listen(tb testing.TB) net.Listener {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatalf("wstest: %v", err)
	}
	return l
}

// handshakeTLS makes the TLS handshake if there is TLS.
func (p *Peer) handshakeTLS() error {
	if p.tls == nil {
		return nil
	}
	p.conn.SetDeadline(p.deadline())
	return p.tls.Handshake()
}

// serveOn calls handle for each connection to l, until the end of the test or until stop
// is called. stop closes l and all peers, and waits for handle.
func serveOn(tb testing.TB, l net.Listener, config *tls.Config, handle func(*Peer)) (stop func()) {
	tb.Helper()
	s := &listening{peers: make(map[*Peer]bool)}
	var secure func(net.Conn) *tls.Conn
	if config != nil {
		secure = func(c net.Conn) *tls.Conn { return tls.Server(c, config) }
	}
	s.running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			p := newPeer(c, secure, true)
			if !s.add(p) {
				p.Close()
				return
			}
			s.running.Go(func() {
				defer s.remove(p)
				defer p.Close()
				handle(p)
			})
		}
	})
	var once sync.Once
	stop = func() {
		once.Do(func() {
			l.Close()
			s.closeAll()
			done := make(chan struct{})
			go func() {
				s.running.Wait()
				close(done)
			}()
			select {
			case <-done:
			case <-time.After(10 * time.Second):
				tb.Errorf("wstest: a handler still runs 10 s after its peer was closed")
			}
		})
	}
	tb.Cleanup(stop)
	return stop
}

// listening is the state of one call of serve.
type listening struct {
	running sync.WaitGroup // the accept loop and the handlers

	mu     sync.Mutex
	peers  map[*Peer]bool
	closed bool
}

// add reports whether p may be served.
func (s *listening) add(p *Peer) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.peers[p] = true
	return true
}

func (s *listening) remove(p *Peer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.peers, p)
}

func (s *listening) closeAll() {
	s.mu.Lock()
	s.closed = true
	peers := make([]*Peer, 0, len(s.peers))
	for p := range s.peers {
		peers = append(peers, p)
	}
	s.mu.Unlock()
	for _, p := range peers {
		// Under TLS, p.Close may wait seconds until it can send its alert.
		p.wire.Close()
		p.Close()
	}
}
