// Package heartbeat finds out whether the peer of a WebSocket is still there.
// It serves either side of a connection.
//
//	m, err := heartbeat.New(heartbeat.Options{})
//	conn, _, err := websocket.Dial(ctx, url, &websocket.DialOptions{
//		OnPingReceived: m.OnPing, OnPongReceived: m.OnPong,
//	})
//	go read(conn)          // only a Read sees the pongs
//	err = m.Run(ctx, conn) // a *Verdict: the peer is dead
//
// A [Monitor] sends pings (RFC 6455, section 5.5.2) and evaluates the answers.
// Any received frame is a sign of life, not only the matching pong. A peer may answer only
// the newest of several pings (section 5.5.3). Some peers answer with a different payload.
// It is no miss if the ping was not sent, or if no Read was waiting for the pong. The
// transport under the connection reports both: see [TransportState].
//
// The package does not read, write data or close anything. It returns a verdict, and the
// owner of the connection acts on it. The end of the connection is no verdict, because
// only the error of a Read has the reason.
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

// Defaults of [Options].
const (
	DefaultInterval  = 20 * time.Second
	DefaultTimeout   = 10 * time.Second // or half the Interval, if that is less; Check waits so long too
	DefaultMaxMissed = 2
)

// A Pinger sends a ping and waits for its pong, until ctx ends at the latest.
// The *Conn of coder/websocket is one. While a pong is overdue, Ping is called
// again before the earlier call has returned.
type Pinger interface {
	Ping(ctx context.Context) error
}

// A Sender sends a ping with a payload of at most 125 bytes and does not wait for
// its pong. The owner passes the payload of each received pong to
// [Monitor.OnPong]. [Monitor.Run] uses a Pinger that is also a Sender as a Sender,
// so it needs no goroutine for each ping.
type Sender interface {
	SendPing(payload []byte)
}

// Options are the times of a Monitor. The zero Options are ready to use: a silent
// peer is given up after 50 to 70 seconds.
type Options struct {
	// Interval is the time from one ping to the next. Zero means
	// DefaultInterval. New refuses a negative one: to have no heartbeat, do not
	// run one.
	Interval time.Duration

	// Timeout is the longest time from a ping to a sign of life. Zero means
	// DefaultTimeout or half the Interval, whichever is less. New refuses a
	// negative one and one that is longer than the Interval.
	Timeout time.Duration

	// MaxMissed is the number of misses in a row that are forgiven. Zero means
	// DefaultMaxMissed. Negative means none: the first miss is the end.
	MaxMissed int

	// Immediate sends the first ping at once, and not at a random point of the first
	// Interval. It is for a program with few connections.
	Immediate bool

	// TransportState is the state of the transport under the connection.
	// [Monitor.Use] can set it later. Nil means that it is not known. Then each ping
	// without a sign of life is a miss. OnPing, OnPong and Received report the signs of
	// life. The caller must have a Read waiting at all times. [Reads] is for another caller.
	TransportState TransportState
}

// TransportState is the state of the transport under a connection. Its methods may be
// called concurrently. They must not wait for a read or a write. Times carry the monotonic
// clock's reading, as those of time.Now do.
type TransportState interface {
	// LastReceived returns when the last byte was received; zero: never.
	LastReceived() time.Time
	// ReadingSince returns since when a read has been waiting for the peer without
	// interruption; zero: no read waits.
	ReadingSince() time.Time
	// PingSent returns when the kernel accepted the newest ping; zero: never.
	PingSent() time.Time
	// Unsent returns the number of written bytes that the kernel could not send
	// yet, including those of a stalled write. Bytes that were sent and not
	// acknowledged do not count. A smaller value than before is a sign of life:
	// the peer's kernel has made room. Negative means that the peer does not
	// acknowledge what was sent before. Then a ping counts as sent.
	Unsent() int
	// Writing reports whether a write is stalled: the kernel does not accept its bytes
	// now.
	Writing() bool
}

// A Monitor is the heartbeat of one connection. Make it with [New]. Its methods
// may be called concurrently, except Use, Run and Tick.
type Monitor struct {
	interval, timeout time.Duration
	maxMissed         int
	immediate         bool
	transport         TransportState

	started time.Time // when Run or Tick was first called
	due     time.Time // when the next ping is due; zero: not started
	unsent  int       // TransportState.Unsent as of the last look

	mu sync.Mutex
	// A round lasts from one ping to the next. Only Run and Tick write the next
	// three fields, so they read them without mu.
	began  time.Time // when the round began; zero: there is none
	pinged bool      // the round sent a ping
	open   bool      // the round's Timeout has not been evaluated yet

	received   time.Time // the last call of Received, OnPing or OnPong; zero: none
	waiting    bool      // no pong was received since the round's ping
	failed     bool      // the round's ping could not be written
	unanswered int       // pings without a pong
	missed     int       // misses in a row
	stalled    int       // rounds in a row whose ping did not leave
	rtt        welford
	stats      Stats // without LastReceived and RTT
}

// New returns a Monitor, or an error that names the wrong option. It starts
// nothing. Call it before Accept or Dial and put the Monitor's OnPing and OnPong
// into their options.
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
		immediate: o.Immediate,
		transport: o.TransportState,
	}, nil
}

// Use sets the TransportState, for a transport that is made after the Monitor. It
// must be called before Run and before the connection's first Read.
func (m *Monitor) Use(t TransportState) { m.transport = t }

// OnPing is for OnPingReceived of the options of Accept or Dial. A ping is a
// sign of life. It returns true: coder shall answer the ping.
func (m *Monitor) OnPing(context.Context, []byte) bool {
	m.Received()
	return true
}

// OnPong is for OnPongReceived of the options of Accept or Dial. A pong is a
// sign of life, whatever its payload and even if it answers no ping.
func (m *Monitor) OnPong(_ context.Context, payload []byte) { m.pong(pingNumber(payload)) }

// Received records a sign of life, such as a Read that has returned a message. A
// Monitor with a TransportState does not need it.
func (m *Monitor) Received() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.received = time.Now()
}

// Check sends one ping and returns the time to its pong. Another goroutine must be in Read
// meanwhile, because only a Read sees a pong. Check adds a deadline of [DefaultTimeout] to
// a ctx without one.
//
// The error wraps [context.DeadlineExceeded] or [context.Canceled] if ctx ended
// first, and [net.ErrClosed] if the connection was closed. Check closes nothing. But
// coder/websocket closes a connection if it cannot write the ping before ctx ends, or
// within 5 seconds.
//
// Check may be called concurrently, also beside a running Monitor. The Monitor
// counts the pong like any other.
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
		return 0, fmt.Errorf("heartbeat: no pong was received within %v, and only a concurrent Read can see one: %w",
			rtt.Round(time.Millisecond), ctx.Err())
	case errors.Is(err, context.DeadlineExceeded):
		return 0, fmt.Errorf("heartbeat: the ping could not be written within %v: %w", rtt.Round(time.Millisecond), err)
	}
	return 0, fmt.Errorf("heartbeat: checking: %w", err)
}
