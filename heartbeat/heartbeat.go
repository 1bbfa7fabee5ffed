// Package heartbeat finds out whether the peer of a WebSocket is still there.
// It serves either side of a connection.
//
//	m, err := heartbeat.New(heartbeat.Options{})
//	conn, _, err := websocket.Dial(ctx, url, &websocket.DialOptions{
//		OnPingReceived: m.OnPing, OnPongReceived: m.OnPong,
//	})
//	go read(conn)          // only a Read sees the answers
//	err = m.Run(ctx, conn) // a *Verdict: the peer is dead
//
// A [Monitor] sends pings (RFC 6455, section 5.5.2) and weighs what it hears.
// Any frame is a sign of life, not the matching pong alone: a peer may answer
// the newest of several pings only (section 5.5.3), and some answer with a
// payload of their own. What says nothing about the peer is no miss: a ping that
// has not left, and a pong that nobody was there to read. The transport under
// the connection knows both; see [Evidence].
//
// The package does not read, write data or close anything: it gives a verdict,
// and the owner of the connection acts on it. How a connection ended is known
// to its reader and not to a ping, so an ended connection is no verdict.
package heartbeat

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// What a zero field of [Options] means.
const (
	DefaultInterval  = 20 * time.Second
	DefaultTimeout   = 10 * time.Second // or half the Interval, if that is less; also how long Check waits
	DefaultMaxMissed = 2
)

// A Pinger sends a ping and waits for its pong, until ctx is over at the latest.
// The *Conn of coder/websocket is one. While a pong is overdue, Ping is called
// again before the earlier call has returned.
type Pinger interface {
	Ping(ctx context.Context) error
}

// Options say how often to ask and how patient to be. The zero Options are ready
// to use: a peer that falls silent is given up after 50 to 70 seconds.
type Options struct {
	// Interval is the time from one ping to the next. Zero means
	// DefaultInterval. A negative one is refused: to have no heartbeat, do not
	// run one.
	Interval time.Duration

	// Timeout is how long after a ping a sign of life may take. Zero means
	// DefaultTimeout or half the Interval, whichever is less. A negative one and
	// one longer than the Interval are refused.
	Timeout time.Duration

	// MaxMissed is how many misses in a row are forgiven. Zero means
	// DefaultMaxMissed. Negative means none: the first miss is the end.
	MaxMissed int

	// Evidence is what the transport knows; it may be given later, by
	// [Monitor.Use]. Nil means that there is none: then a ping without a sign of
	// life is a miss, what shows life is OnPing, OnPong and Heard, and it is for
	// the caller to have a Read waiting at all times.
	Evidence Evidence
}

// Evidence is what the transport under a connection knows of it. Several
// goroutines call the methods at once, and none may wait for a read or a write.
// Times are as time.Now gives them, with the monotonic clock's reading.
type Evidence interface {
	// LastHeard is when the last byte came from the peer; zero: never.
	LastHeard() time.Time
	// ReadingSince is since when a read has been waiting for the peer without
	// interruption; zero: none waits.
	ReadingSince() time.Time
	// PingLeft is when the kernel took the newest ping; zero: none has left.
	PingLeft() time.Time
	// Unsent is how many bytes of what was written the kernel could not yet send,
	// those of a write that is stuck included. Bytes that were sent and are not
	// yet acknowledged do not count. When it falls, the peer's kernel has made
	// room, which is a sign of life. Negative: nothing can be sent because the peer
	// does not even acknowledge what was sent before; a ping then counts as sent.
	Unsent() int
	// Writing reports whether a write is stuck: the kernel does not take its
	// bytes now.
	Writing() bool
}

// A Monitor is the heartbeat of one connection. Make it with [New]. Its methods
// may be called from several goroutines at once, save for Use, Run and Beat.
type Monitor struct {
	interval, timeout time.Duration
	maxMissed         int
	evidence          Evidence

	started time.Time // when Run or Beat began
	unsent  int       // Evidence.Unsent as it was last seen

	mu sync.Mutex
	// A round lasts from one ping to the next. Run or Beat alone writes these
	// three, so it reads them without mu.
	asked  time.Time // when the round began; zero: none has
	pinged bool      // a ping was sent in this round
	open   bool      // its Timeout has not passed yet

	heard   time.Time // what Heard, OnPing and OnPong have told; zero: nothing
	waiting bool      // no pong has come since the round's ping
	failed  bool      // the round's ping could not be written
	owed    int       // pings that no pong has come for
	missed  int       // misses in a row
	stalled int       // rounds in a row whose ping did not leave
	rtt     welford
	stats   Stats // but for LastHeard and RTT
}

// New returns a Monitor, or an error that names the option which makes no
// sense. It starts nothing. It is called before Accept or Dial, to whose options
// the Monitor's OnPing and OnPong are given.
func New(o Options) (*Monitor, error) {
	o.Interval = cmp.Or(o.Interval, DefaultInterval)
	o.Timeout = cmp.Or(o.Timeout, min(DefaultTimeout, o.Interval/2))
	switch {
	case o.Interval < 0:
		return nil, fmt.Errorf("heartbeat: Interval %v is negative; to have no heartbeat, do not run one", o.Interval)
	case o.Timeout < 0:
		return nil, fmt.Errorf("heartbeat: Timeout %v is negative", o.Timeout)
	case o.Timeout > o.Interval:
		return nil, fmt.Errorf("heartbeat: Timeout %v is longer than Interval %v", o.Timeout, o.Interval)
	}
	return &Monitor{
		interval:  o.Interval,
		timeout:   o.Timeout,
		maxMissed: max(0, cmp.Or(o.MaxMissed, DefaultMaxMissed)),
		evidence:  o.Evidence,
	}, nil
}

// Use sets the Evidence, for a transport that is made after the Monitor. It must
// be called before Run and before the connection's first Read.
func (m *Monitor) Use(e Evidence) { m.evidence = e }

// OnPing is for OnPingReceived of the options of Accept or Dial. A ping is a
// sign of life. It returns true: the ping is to be answered.
func (m *Monitor) OnPing(context.Context, []byte) bool {
	m.Heard()
	return true
}

// OnPong is for OnPongReceived of the options of Accept or Dial. A pong is a
// sign of life whatever its payload, and whether or not a ping asked for it.
func (m *Monitor) OnPong(_ context.Context, payload []byte) { m.pong(number(payload)) }

// Heard notes a sign of life, such as a Read that has returned a message. Who
// gives Evidence has no need of it.
func (m *Monitor) Heard() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.heard = time.Now()
}

// Check sends one ping and returns how long its pong took. Another goroutine
// must be in Read meanwhile, for only a Read can see a pong. A ctx without a
// deadline is given one after [DefaultTimeout].
//
// The error wraps [context.DeadlineExceeded] or [context.Canceled] if ctx was
// over first, and [net.ErrClosed] if the connection was closed. Check closes
// nothing itself, but coder/websocket closes a connection on which it cannot
// write the ping before ctx is over, or within 5 seconds.
//
// Several goroutines may call Check at once, also beside a running Monitor, to
// which its pong is one like any other.
func Check(ctx context.Context, p Pinger) (rtt time.Duration, err error) {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, DefaultTimeout)
		defer cancel()
	}
	start := time.Now()
	err = p.Ping(ctx)
	rtt = time.Since(start)
	switch {
	case err == nil:
		return rtt, nil
	case errors.Is(err, net.ErrClosed):
		return 0, fmt.Errorf("heartbeat: checking: %w", err)
	case ctx.Err() != nil:
		return 0, fmt.Errorf("heartbeat: no pong came within %v, and only a concurrent Read can see one: %w",
			rtt.Round(time.Millisecond), ctx.Err())
	case errors.Is(err, context.DeadlineExceeded):
		return 0, fmt.Errorf("heartbeat: the ping could not be written within %v: %w", rtt.Round(time.Millisecond), err)
	}
	return 0, fmt.Errorf("heartbeat: checking: %w", err)
}
