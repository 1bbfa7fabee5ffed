package server

import (
	"net/http"
	"time"

	"example.com/wsecho/internal/listener"
)

// An Observer gets the events of a Server, for metrics. It only watches: OnStart, OnEnd
// and OnRefuse of the Options are for the application, and may be set beside it.
//
// A function that is nil is not called. The others run on the goroutines of the
// connections and may be called concurrently. They must not block. A panic of one is
// logged, and ends nothing. One Observer may serve several Servers.
type Observer struct {
	// New gets the Server that New returns.
	New func(*Server)
	// Accepted is called after a handshake with the time since its first byte.
	Accepted func(r *http.Request, took time.Duration)
	// Refused is called for each request that does not become a connection, before the
	// answer. It is not called for a plain request that is answered. The request is nil
	// if net/http answers it.
	Refused func(r *http.Request, why Refusal)
	// Started is called before OnStart. Each connection that has started ends once.
	Started func(*Conn)
	// Ended is called after OnEnd.
	Ended func(Outcome)
	// PingSent is called for each ping that is passed to the transport. The kernel may
	// accept it later.
	PingSent func(*Conn)
	// PongReceived is called for each pong with the round-trip time of package heartbeat.
	// 0: it was not measured, because the pong may answer an earlier ping, or none.
	PongReceived func(c *Conn, rtt time.Duration)
	// Drain is called at each step of a drain with the number of open connections.
	Drain func(step DrainStep, open int)
}

// A DrainStep is a step of a drain. The set is closed.
type DrainStep uint8

const (
	DrainAnnounced DrainStep = iota + 1 // /readyz answers 503 from now on
	DrainBegun                          // connections are refused, and get their close frames
	DrainCut                            // the drain timeout is over, and the open connections are cut off
	DrainOver                           // the drain returns
)

// A Refusal is why a request did not become a connection. The set is closed, so the number
// of counters is bounded.
type Refusal uint8

const (
	RefusedHandshake   Refusal = iota // the handshake violates RFC 6455 or 7692
	RefusedHost                       // Options.Hosts does not list the host
	RefusedOrigin                     // the origin is not allowed
	RefusedByAdmit                    // Options.Admit refused it
	RefusedPerConn                    // Options.PerConn refused it
	RefusedMaxConns                   // Options.MaxConns is reached
	RefusedMaxPerIP                   // Options.MaxConnsPerIP is reached
	RefusedDraining                   // the server drains
	RefusedNoUpgrade                  // a handshake without Upgrade or Connection, which a proxy has removed
	RefusedHTTP2                      // a WebSocket over HTTP/2
	RefusedHijack                     // the ResponseWriter has no method Hijack, or it fails
	RefusedClientGone                 // the answer could not be written
	RefusedTLS                        // TLS on a port without it
	RefusedProxyHeader                // a header of the PROXY protocol that is wrong, missing or not accepted
	RefusedLargeHeader                // too many bytes of headers
	RefusedForwarded                  // the fields of a trusted proxy disagree
	RefusedEvicted                    // the connection was closed before its handshake, because too many were pending
	RefusedPlain                      // a request that is no handshake, for a path or with a method that nothing answers

	numRefusals
)

var refusals = [numRefusals]string{
	RefusedHandshake:   "bad handshake",
	RefusedHost:        "host",
	RefusedOrigin:      "origin",
	RefusedByAdmit:     "admit",
	RefusedPerConn:     "per conn",
	RefusedMaxConns:    "max conns",
	RefusedMaxPerIP:    "max conns per ip",
	RefusedDraining:    "draining",
	RefusedNoUpgrade:   "no upgrade",
	RefusedHTTP2:       "http/2",
	RefusedHijack:      "no hijack",
	RefusedClientGone:  "client gone",
	RefusedTLS:         "tls",
	RefusedProxyHeader: "proxy header",
	RefusedLargeHeader: "large header",
	RefusedForwarded:   "forwarded",
	RefusedEvicted:     "evicted",
	RefusedPlain:       "plain request",
}

// String returns the name of the reason, in lower case. It does not change between
// releases.
func (r Refusal) String() string {
	if r >= numRefusals {
		return "unknown"
	}
	return refusals[r]
}

// Refusals returns every Refusal, in order.
func Refusals() []Refusal {
	all := make([]Refusal, numRefusals)
	for i := range all {
		all[i] = Refusal(i)
	}
	return all
}

// refusalOf returns the Refusal for a mistake.
func refusalOf(m listener.Mistake) Refusal {
	switch m {
	case listener.TLS:
		return RefusedTLS
	case listener.PROXY:
		return RefusedProxyHeader
	case listener.LargeHeader:
		return RefusedLargeHeader
	}
	return RefusedHandshake
}

// The methods below call the function of the Observer, if there is one. They contain its
// panics: most run on goroutines of this package, and one may hold a slot.

func (s *Server) observeAccepted(r *http.Request, start time.Time) {
	if o := s.opts.Observer; o != nil && o.Accepted != nil {
		defer s.contain("Observer.Accepted", nil)
		o.Accepted(r, time.Since(start))
	}
}

func (s *Server) observeRefused(r *http.Request, why Refusal) {
	if o := s.opts.Observer; o != nil && o.Refused != nil {
		defer s.contain("Observer.Refused", nil)
		o.Refused(r, why)
	}
}

func (s *Server) observeStarted(c *Conn) {
	if o := s.opts.Observer; o != nil && o.Started != nil {
		defer s.contain("Observer.Started", c)
		o.Started(c)
	}
}

func (s *Server) observeEnded(c *Conn, out *Outcome) {
	if o := s.opts.Observer; o != nil && o.Ended != nil {
		defer s.contain("Observer.Ended", c)
		o.Ended(*out)
	}
}

func (s *Server) observeDrain(step DrainStep, open int) {
	if o := s.opts.Observer; o != nil && o.Drain != nil {
		defer s.contain("Observer.Drain", nil)
		o.Drain(step, open)
	}
}

func (c *Conn) observePing() {
	if o := c.srv.opts.Observer; o != nil && o.PingSent != nil {
		defer c.srv.contain("Observer.PingSent", c)
		o.PingSent(c)
	}
}

// observePong calls record, which gives the pong to the heartbeat, and reports the pong.
// Only the reader calls it, so the heartbeat measures no other pong meanwhile.
func (c *Conn) observePong(record func()) {
	o, m := c.srv.opts.Observer, c.heartbeat.Load()
	if o == nil || o.PongReceived == nil {
		record()
		return
	}
	defer c.srv.contain("Observer.PongReceived", c)
	if m == nil {
		record()
		o.PongReceived(c, 0)
		return
	}
	before := m.Stats().RTT.Count
	record()
	var rtt time.Duration
	if after := m.Stats().RTT; after.Count > before {
		rtt = max(1, after.Last)
	}
	o.PongReceived(c, rtt)
}
