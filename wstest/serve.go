package wstest

import (
	"crypto/tls"
	"net"
	"sync"
	"testing"
	"time"
)

// Serve listens on loopback for the rest of the test and returns its ws URL. It
// answers each opening handshake honestly, with no subprotocol and no
// extension, calls handle in a goroutine of its own and closes the peer when
// that returns: that is RST and not FIN if the client has sent what handle has
// not read. A client that does not get so far is only logged.
//
// At the end of the test every peer is closed, and each handle must return
// within ten seconds. Since that happens in tb.Cleanup, handle may use tb.
func Serve(tb testing.TB, handle func(*Peer)) (url string) {
	tb.Helper()
	return "ws://" + serve(tb, nil, accepted(tb, handle))
}

// ServeTLS is Serve with TLS; it returns a wss URL. [TLS] has the configuration
// for the client.
func ServeTLS(tb testing.TB, handle func(*Peer)) (url string) {
	tb.Helper()
	config, _ := TLS()
	return "wss://" + serve(tb, config, accepted(tb, handle))
}

// ServeRaw is Serve without the answer to the opening handshake, which handle
// has not even read: it may call ReadRequest or Accept. With a config it does
// the handshake of TLS and returns a wss URL.
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

// serve returns the address that it listens on.
func serve(tb testing.TB, config *tls.Config, handle func(*Peer)) string {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatalf("wstest: %v", err)
	}
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
				if p.tls != nil {
					p.conn.SetDeadline(p.deadline())
					if err := p.tls.Handshake(); err != nil {
						tb.Logf("wstest: %v", err)
						return
					}
				}
				handle(p)
			})
		}
	})
	tb.Cleanup(func() {
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
	return l.Addr().String()
}

// listening is what one call of serve has to end.
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
		// Not Close: with TLS it may wait seconds for room for its alert.
		p.wire.Close()
		p.Close()
	}
}
