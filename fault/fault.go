// Package fault misbehaves on request, so that clients and proxies can be tested.
//
//	h := func(ctx context.Context, c echo.Conn) error { return echo.Serve(ctx, c) }
//	s, err := server.New(..., server.Options{PerConn: fault.PerConn(h, fault.Options{})})
//
// A client requests a fault with query parameters such as ?drop=rst&after=3, or with a path
// such as /close/4001. docs/faults.md lists them. PerConn refuses a wrong value with 400
// and a sentence that names the right ones. It also refuses the name of a parameter that looks
// mistyped, such as clsoe. Other parameters and paths have no effect.
//
// The limits of the server apply to a connection with a fault too. MaxAge ends it.
// WriteTimeout and MinWriteRate end a write that the peer makes slow. With the fault write,
// a quarter of its rate is enough. MessageTimeout ends a message that is read slowly.
package fault

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"time"

	"golang.org/x/sync/semaphore"

	"example.com/wsecho/echo"
	"example.com/wsecho/server"
)

// Options configure PerConn. The zero value is ready to use.
type Options struct {
	// MaxHold is the longest time of the parameter hold. It should leave the server a part
	// of its HandshakeTimeout for the answer. 0: nine tenths of
	// server.DefaultHandshakeTimeout. Negative, or more than a minute: a minute.
	MaxHold time.Duration
	// Done ends a hold early, with status 503. The program should close it when the server
	// begins to drain. An example is the Done of the context of Serve. Otherwise a client
	// can make a drain last for MaxHold. Nil: never.
	Done <-chan struct{}
	// MaxWrite is the longest time of write, delay and jitter for the echo of
	// a message over 16 KiB. Meanwhile the message occupies the memory budget. A
	// connection whose echo would take longer ends with kind TooBig. MaxWrite should be
	// the time of the longest message at MinWriteRate. 0: that of server.DefaultReadLimit
	// at server.DefaultMinWriteRate. Negative, or more than an hour: an hour.
	MaxWrite time.Duration
}

// PerConn returns the PerConn of server.Options. A request without a fault gets a nil
// ConnOptions. serve, such as echo.Serve, serves the connections with a fault.
func PerConn(serve func(context.Context, echo.Conn) error, o Options) func(*http.Request) (*server.ConnOptions, error) {
	if o.MaxHold == 0 {
		o.MaxHold = server.DefaultHandshakeTimeout / 10 * 9
	}
	if o.MaxHold < 0 || o.MaxHold > maxHold {
		o.MaxHold = maxHold
	}
	o.MaxWrite = cmp.Or(o.MaxWrite, server.DefaultReadLimit/server.DefaultMinWriteRate*time.Second)
	if o.MaxWrite < 0 || o.MaxWrite > maxTime {
		o.MaxWrite = maxTime
	}
	delayed := semaphore.NewWeighted(delayedMemory)
	return func(r *http.Request) (*server.ConnOptions, error) {
		if r.URL.RawQuery == "" && !isFaultPath(r.URL.Path) {
			return nil, nil
		}
		p, err := parse(r.URL, o.MaxHold)
		if err != nil {
			return nil, &server.AdmitError{Status: http.StatusBadRequest, Err: err}
		}
		if p == nil {
			return nil, nil
		}
		if p.hold > 0 {
			if err := hold(r.Context(), p, o.Done); err != nil {
				return nil, err
			}
		}
		if p.status != 0 {
			return nil, &server.AdmitError{Status: p.status, Err: fmt.Errorf("the fault %s was requested", p.fault)}
		}
		f := &faultyConn{plan: *p, serve: serve, delayed: delayed, maxWrite: o.MaxWrite}
		if p.hello != helloNone {
			f.greeting = newGreeting(r, p.hello == helloAll)
		}
		own := &server.ConnOptions{Handler: f.handle, Header: f.changeHeader, Fault: p.fault, MinWriteRate: p.minWriteRate()}
		if p.needsStream() {
			own.Wrap = f.wrap
		}
		if p.pong.mode != pongRight {
			own.Pong = f.pongs.hook(p.pong)
		}
		return own, nil
	}
}

// hold waits before the answer to a handshake.
func hold(ctx context.Context, p *plan, done <-chan struct{}) error {
	t := time.NewTimer(p.hold)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("the client has disconnected during the fault %s", p.fault)
	case <-done:
		return &server.AdmitError{Status: http.StatusServiceUnavailable, Err: fmt.Errorf("the server shuts down during the fault %s", p.fault)}
	}
}

// maxHold is the longest MaxHold. A handshake that is held occupies a slot.
const maxHold = time.Minute

// sleep waits for d. It reports false if ctx ends before.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
