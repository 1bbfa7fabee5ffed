// Package server accepts WebSockets, runs a handler and a heartbeat for each, and drains
// them.
//
//	s, err := server.New(func(ctx context.Context, c *server.Conn) error {
//		typ, p, err := c.Read(ctx)
//		if err != nil {
//			return err
//		}
//		return c.Write(ctx, typ, p)
//	}, server.Options{})
//	...
//	err = s.Serve(ctx, listener) // until ctx ends and all connections are closed
//
// A [Server] is also an http.Handler for another HTTP server. Shutdown then drains it.
//
// Each connection has one [Handler], one heartbeat and exactly one [Outcome], which
// records why it ended. [Options] bound its waits and its memory.
//
// A handler gets two signals. [Conn.Draining] asks it to finish. Its context ends when
// the connection is closed or the drain timeout is over. [context.Cause] of it is the
// reason, an *[ending.Error].
//
// The package does not terminate TLS: give Serve a TLS listener. It does not compress by
// default. Options.Admit or a middleware can authenticate.
package server

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"example.com/wsecho/ending"
	"example.com/wsecho/internal/handshake"
	"example.com/wsecho/internal/transport"
)

// A Handler serves one connection until it returns. It should read until a read fails,
// and may return that error or nil. If the connection is still open then, the server
// closes it. The code is 1000 after nil, and that of [CloseWith] or an *[ending.Choice].
// After another error or a panic it is 1011.
//
// After the peer's FIN, a slow handler gets no further messages, not even those from before
// the peer's close frame. The counts of [Outcome] include them.
type Handler func(ctx context.Context, c *Conn) error

// A Server accepts WebSockets for one Handler. Make it with [New]. Its methods may be
// called concurrently.
type Server struct {
	handler   Handler
	opts      Options
	log       *slog.Logger
	warnings  warnings
	readPool  *transport.Pool
	writePool *transport.Pool
	slowPool  *transport.Pool // instead of these; see slowBuffer
	flusher   transport.Flusher

	originPatterns []string // normalised, for coder's check
	localPatterns  []string // of handshakes with a loopback host; they contain originPatterns
	hosts          []string // Options.Hosts, normalised
	trusted        []netip.Prefix
	untrustedOnce  sync.Once // the log has a line about a proxy that is not trusted

	parker    atomic.Pointer[parker] // nil until a connection is parked, and after a drain
	noParking bool                   // the system has no poller, or a drain is over; under mu

	mu       sync.Mutex
	conns    map[uint64]*Conn // by id
	slots    int              // of connections and of handshakes in progress
	perIP    map[string]int   // slots of each client; only with MaxConnsPerIP
	notReady bool             // a drain begins soon, and /readyz answers 503
	draining bool             // new connections are refused
	cutting  bool             // the drain timeout is over: connections are cut off
	empty    chan struct{}    // closed when draining and slots is 0

	drainBegun chan struct{} // closed when draining is set
	drained    chan struct{} // closed at the end of the first drain

	lastID uint64
	tally  tally
	ended  Totals // of the connections that have ended

	stopWatch func()         // ends the goroutine of watch, which runs while there are connections
	watching  sync.WaitGroup // that goroutine
}

// New returns a Server. The error for a wrong option is an *[OptionError].
func New(h Handler, o Options) (*Server, error) {
	if h == nil {
		return nil, errors.New("server: New needs a Handler")
	}
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	trusted, _ := checkPrefixes(o.TrustedProxies) // withDefaults has checked them
	s := &Server{
		handler:   h,
		opts:      o,
		log:       o.Logger,
		warnings:  warnings{log: o.Logger, buckets: make(map[string]*warningBucket)},
		readPool:  transport.NewPool(o.ReadBufferSize),
		writePool: transport.NewPool(o.WriteBufferSize),
		slowPool:  transport.NewPool(slowBuffer),
		conns:     make(map[uint64]*Conn),
		perIP:     make(map[string]int),
		empty:     make(chan struct{}),

		drainBegun: make(chan struct{}),
		drained:    make(chan struct{}),

		originPatterns: normalPatterns(o.OriginPatterns),
		localPatterns:  normalPatterns(slices.Concat(o.OriginPatterns, o.LocalOriginPatterns)),
		hosts:          normalHosts(o.Hosts),
		trusted:        trusted,
	}
	if o.Observer != nil && o.Observer.New != nil {
		o.Observer.New(s)
	}
	return s, nil
}

// ServeHTTP accepts a WebSocket on any path. Under another HTTP server than Serve's it
// returns when the connection has ended. Cancelling that server's BaseContext ends the
// connection with 1001. A deadline does not, because middleware sets one for a request.
//
// ServeHTTP also answers GET and HEAD: /healthz with 200, / with Options.About, and any
// other path with 426. /readyz gets 200 until a drain begins, and then 503. Under Serve,
// Options.HTTP can answer all paths but /healthz and /readyz.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	defer protectFromEviction(r)()
	start := handshakeStart(r)
	r, f := s.fromClient(r)
	if f != nil {
		s.refuse(w, r, f)
		return
	}
	if !isUpgrade(r) {
		s.plain(w, r)
		return
	}
	if hasBody(r) {
		// Proxies disagree on where such a request ends.
		s.refuse(w, r, refuse(RefusedHandshake, http.StatusBadRequest, "a WebSocket handshake has no body"))
		return
	}
	ip := s.client(r)
	if f := s.acquireSlot(ip); f != nil {
		s.refuse(w, r, f)
		return
	}
	c, f := s.upgrade(w, r, ip, start)
	if f != nil {
		s.refuse(w, r, f)
		return
	}
	s.observeAccepted(r, start)
	if by := servedBy(r); by != nil && by.server == s {
		if c.begin(by.values) { // the request's context would keep net/http's memory
			go c.run()
		}
		return
	}
	// The handler sees the values that middleware has put into the request's context.
	ctx := r.Context()
	if !c.begin(context.WithoutCancel(ctx)) {
		return
	}
	stop := context.AfterFunc(ctx, func() { c.requestOver(ctx) })
	defer stop()
	c.run()
}

// requestOver ends the connection if the BaseContext of another HTTP server, and so its
// request's context, was cancelled. A deadline usually comes from middleware and is for
// the request only. The context does not tell whether the BaseContext has set it.
func (c *Conn) requestOver(ctx context.Context) {
	if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		c.startClose(ending.Ending{Kind: ending.Closed, Reason: "the server is going away", By: ending.Local, Cause: context.Cause(ctx)})
	}
}

// upgrade calls accept. It releases the slot unless there is a connection, even if a
// function of the Options panics.
func (s *Server) upgrade(w http.ResponseWriter, r *http.Request, ip string, start time.Time) (c *Conn, f *refusal) {
	defer func() {
		if c == nil {
			s.releaseSlot(ip)
		}
	}()
	if c, f = s.accept(w, r, start); c != nil {
		c.ip = ip
	}
	return c, f
}

func (s *Server) isNotReady() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.notReady
}

// Connections returns the open connections in no particular order.
func (s *Server) Connections() iter.Seq[Info] {
	return func(yield func(Info) bool) {
		for _, c := range s.snapshot() {
			if !yield(c.Info()) {
				return
			}
		}
	}
}

// Conn returns the open connection with an id, which is [Info.ID]. It returns nil if there
// is none. Conn.Close and Conn.CloseNow end it.
func (s *Server) Conn(id uint64) *Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conns[id]
}

// Count returns the number of open connections. It costs no more than a lock.
func (s *Server) Count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

func (s *Server) snapshot() []*Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]*Conn, 0, len(s.conns))
	for _, c := range s.conns {
		all = append(all, c)
	}
	return all
}

// add makes c one of the connections. It reports whether a drain has begun meanwhile, and
// whether that is over.
func (s *Server) add(c *Conn) (draining, cutting bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lastID++
	c.id = s.lastID
	s.conns[c.id] = c
	if len(s.conns) == 1 {
		s.startWatch()
	}
	return s.draining, s.cutting
}

// cutOff ends the remaining connections at once.
func (s *Server) cutOff() {
	s.mu.Lock()
	s.cutting = true
	s.mu.Unlock()
	for _, c := range s.snapshot() {
		c.cutOff()
	}
}

// remove removes c, whose Outcome has been reported, and releases its slot.
func (s *Server) remove(c *Conn, o *Outcome) {
	final := c.totals() // before mu, which is a leaf
	s.mu.Lock()
	s.ended.Add(final)
	s.ended.addEndings(o.Kind, 1)
	if delete(s.conns, c.id); len(s.conns) == 0 {
		s.stopWatch()
	}
	s.tally.add(o)
	s.mu.Unlock()
	s.releaseSlot(c.ip)
}

// isUpgrade reports whether r requests a WebSocket (RFC 6455, section 4.2.1, items 3 and
// 4). accept checks the other fields.
func isUpgrade(r *http.Request) bool {
	return handshake.HasToken(r.Header["Upgrade"], "websocket") && handshake.HasToken(r.Header["Connection"], "upgrade")
}

// offAsZero returns the timeout d for packages in which 0 means none.
func offAsZero(d time.Duration) time.Duration { return max(0, d) }
