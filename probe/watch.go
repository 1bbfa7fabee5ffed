package probe

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"time"

	"example.com/wsecho/ending"
	"example.com/wsecho/heartbeat"
	"example.com/wsecho/internal/handshake"
)

// DefaultInterval is the default of WatchOptions.Interval.
const DefaultInterval = time.Second

const (
	minInterval = 10 * time.Millisecond
	// closeLimit bounds the closing handshake of a Watch.
	closeLimit = time.Second
	// pingGrace is the time to write a ping after the heartbeat has ended.
	pingGrace = 100 * time.Millisecond
)

// An EchoMode chooses whether a Watch sends messages.
type EchoMode int

const (
	NoEcho     EchoMode = iota // pings only
	EchoBeside                 // with each ping a text message, which the server must echo
	EchoOnly                   // messages in place of pings
)

// WatchOptions configure [Watch]. The zero value is ready to use: it sends a ping per
// second until the connection or the context ends.
type WatchOptions struct {
	// Connect is about the connection. Its Timeout is the longest time to open one, and
	// to wait for a reply; a later reply is late. Its Ping has no effect.
	Connect Options

	// Interval is the time from one ping to the next. Zero means DefaultInterval. Watch
	// refuses less than 10 ms.
	Interval time.Duration

	// Count is the number of pings on all connections. Zero means no limit. Watch refuses
	// a negative one.
	Count int

	// Deadline is the time for everything, with the closing handshake. Zero means none.
	// Watch refuses a negative one. An earlier deadline of the context replaces it.
	Deadline time.Duration

	// MaxMissed is as in [heartbeat.Options]: after more misses in a row, with nothing
	// received, the server is given up. A ping without a reply is a miss after the
	// Timeout.
	MaxMissed int

	// Echo sends messages too, or in place of pings.
	Echo EchoMode

	// Reconnect connects again when a connection has ended or could not be opened, after
	// an Interval.
	Reconnect bool

	// OnEvent is called with each event, one call at a time. It must not block for long,
	// because replies wait for it. Nil: not called.
	OnEvent func(Event)
}

// An EventType is the type of an Event.
type EventType int

const (
	Opened  EventType = iota + 1 // a connection is open
	Replied                      // a pong or an echo was received
	Missing                      // no reply was received within the Timeout; it may still come
	Ended                        // a connection has ended
	Failed                       // a connection could not be opened
)

// An Event is something that a Watch reports. The fields that its type does not name are
// zero.
type Event struct {
	Type       EventType
	Time       time.Time
	Connection int // its number, from 1; failed ones count

	Report *Report // Opened, Failed: the steps

	Echo bool          // Replied, Missing: it is about a message, not a ping
	Seq  int           // Replied, Missing: the number of the ping or message, from 1
	RTT  time.Duration // Replied
	Late bool          // Replied: after the Timeout

	End *End   // Ended
	Err *Error // Failed
}

// An End is the end of one connection.
type End struct {
	ending.Ending
	Sent     int // the close code that this side sent first, 0 for none
	Received int // the close code of the server: 1005 for none in its close frame, 0 without a close frame
	Age      time.Duration
}

// A Watched is the result of a Watch.
type Watched struct {
	URL    string // without a password
	First  Report // of the first connection, also if it failed
	Opened int    // connections that were opened
	Failed int    // connections that could not be opened
	Pings  Replies
	Echoes Replies
	Others int // messages that were no echoes

	Gaps    int           // times without a connection between two connections
	GapTime time.Duration // their sum

	End  *End   // of the last connection; nil if none was opened after the last failure
	Err  *Error // why the last connection could not be opened; nil if it was
	Took time.Duration
}

// Watch connects to a WebSocket and sends pings through package heartbeat. It stops when
// Count pings are answered or overdue. It also stops when the connection, the Deadline or
// ctx ends. It then closes the connection with 1000 and waits up to a second for the
// server's close frame. It blocks until then, and leaves no goroutine behind. It may be
// called concurrently.
//
// The error is about the arguments, and names the field; nothing was sent then. Everything
// else is in the result.
func Watch(ctx context.Context, rawURL string, o WatchOptions) (Watched, error) {
	if err := o.Check(rawURL); err != nil {
		return Watched{}, err
	}
	o.Interval = cmp.Or(o.Interval, DefaultInterval)
	o.Connect.Timeout = cmp.Or(o.Connect.Timeout, DefaultTimeout)
	o.Connect.Ping = false
	u, err := handshake.ParseURL(rawURL)
	if err != nil {
		return Watched{}, err // Check has checked it
	}
	w := &watcher{rawURL: rawURL, o: o, result: Watched{URL: u.Redacted()}}
	began := time.Now()
	if o.Deadline > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, o.Deadline)
		defer cancel()
	}
	w.run(ctx)
	w.result.Took = time.Since(began)
	return w.result, nil
}

// Check returns the error that Watch returns for these arguments. It sends nothing.
func (o WatchOptions) Check(rawURL string) error {
	if _, err := handshake.ParseURL(rawURL); err != nil {
		return fmt.Errorf("probe: %w", err)
	}
	o.Interval = cmp.Or(o.Interval, DefaultInterval)
	o.Connect.Timeout = cmp.Or(o.Connect.Timeout, DefaultTimeout)

	wrong := func(field, format string, args ...any) error {
		return fmt.Errorf("probe: %w", handshake.WrongField(field, format, args...))
	}
	switch {
	case o.Interval < minInterval || o.Interval > maxTimeout:
		return wrong("Interval", "%v is not from %v to %v", o.Interval, minInterval, maxTimeout)
	case o.Count < 0:
		return wrong("Count", "%d is negative", o.Count)
	case o.Deadline < 0:
		return wrong("Deadline", "%v is negative", o.Deadline)
	case o.Echo < NoEcho || o.Echo > EchoOnly:
		return wrong("Echo", "%d is no mode", o.Echo)
	}
	return o.Connect.check()
}

// A watcher is one call of Watch.
type watcher struct {
	rawURL string
	o      WatchOptions

	mu     sync.Mutex // the result and OnEvent
	result Watched
	number int // of the connection
	sent   int // pings on all connections
}

// run opens one connection after the other.
func (w *watcher) run(ctx context.Context) {
	var since time.Time // the beginning of a gap
	for {
		w.number++
		s, failed := w.connect(ctx)
		if failed == nil {
			if !since.IsZero() {
				w.result.Gaps++
				w.result.GapTime += time.Since(since)
				since = time.Time{}
			}
			s.run(ctx)
			if s.completed() {
				return
			}
		}
		if since.IsZero() && w.result.Opened > 0 {
			since = time.Now()
		}
		if !w.o.Reconnect || ctx.Err() != nil {
			return
		}
		pause := time.NewTimer(w.o.Interval)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return
		}
	}
}

// emit records an event and reports it. change changes the result.
func (w *watcher) emit(e Event, change func(r *Watched)) {
	e.Time, e.Connection = time.Now(), w.number
	w.mu.Lock()
	defer w.mu.Unlock()
	if change != nil {
		change(&w.result)
	}
	if w.o.OnEvent != nil {
		w.o.OnEvent(e)
	}
}

// monitor returns the heartbeat of a connection. Its Timeout must not be longer than its
// Interval. So a longer Timeout becomes further misses.
func (w *watcher) monitor() (*heartbeat.Monitor, error) {
	timeout, interval := w.o.Connect.Timeout, w.o.Interval
	rounds := int((timeout + interval - 1) / interval) // of one Timeout
	forgiven := max(0, cmp.Or(w.o.MaxMissed, heartbeat.DefaultMaxMissed)) + rounds - 1
	if forgiven == 0 {
		forgiven = -1
	}
	return heartbeat.New(heartbeat.Options{
		Interval:  interval,
		Timeout:   min(timeout, interval),
		MaxMissed: forgiven,
		Immediate: true,
	})
}
