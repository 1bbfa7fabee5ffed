package server_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"time"

	"example.com/wsecho/ending"
	"example.com/wsecho/heartbeat"
	"example.com/wsecho/server"
)

func (p *plan) cause(name string, w want, do func(l *life)) {
	p.wants = append(p.wants, w)
	p.actions = append(p.actions, action{name: name, do: do})
}

// returns makes the handler return. The plain echo handler does not.
func (p *plan) returns(name string, w want, how func() error) {
	p.direct = false
	p.cause(name, w, func(l *life) { l.finishHandler(how) })
}

// causes lists the ways in which a server ends a connection.
var causes = []func(p *plan, r *rand.Rand){
	func(p *plan, r *rand.Rand) {
		p.returns("nil", from(&ending.Error{Kind: ending.Done}), func() error { return nil })
	},
	func(p *plan, r *rand.Rand) {
		p.returns("error", from(&ending.Error{Kind: ending.Failed}), func() error { return errors.New("on purpose") })
	},
	func(p *plan, r *rand.Rand) {
		e := &ending.Error{Kind: ending.Closed, Code: 4001, Reason: "the handler's reason"}
		p.returns("own code", from(e), func() error { return fmt.Errorf("so: %w", server.CloseWith(e.Code, e.Reason)) })
	},
	func(p *plan, r *rand.Rand) {
		verdict := fmt.Errorf("upstream: %w", &heartbeat.Verdict{State: heartbeat.Dead, Missed: 3})
		p.returns("another's verdict", from(&ending.Error{Kind: ending.Failed}), func() error { return verdict })
	},
	func(p *plan, r *rand.Rand) {
		e := &ending.Error{Kind: ending.NoMemory, Reason: "none left"}
		w := from(e)
		w.notReading = true
		p.returns("no memory", w, func() error { return &ending.Choice{Err: *e} })
	},
	func(p *plan, r *rand.Rand) {
		p.returns("panic", from(&ending.Error{Kind: ending.Panicked}), func() error { panic("on purpose") })
	},
	func(p *plan, r *rand.Rand) {
		p.returns("Goexit", from(&ending.Error{Kind: ending.Panicked}), func() error { runtime.Goexit(); return nil })
	},
	func(p *plan, r *rand.Rand) {
		p.direct = false
		// If the context ends before a call, the call returns its error, and so does the handler.
		p.wants = append(p.wants, from(&ending.Error{Kind: ending.Failed}))
		p.cause("context", want{kind: ending.Closed, wire: 1001, notReading: true}, func(l *life) { l.cancel() })
	},
	func(p *plan, r *rand.Rand) {
		w := want{kind: ending.Closed, code: 3001, reason: "by hand", wire: 3001}
		p.cause("Close", w, func(l *life) { _ = l.conn.Close(w.code, w.reason) })
	},
	func(p *plan, r *rand.Rand) {
		p.cause("CloseNow", want{kind: ending.Closed, rst: true}, func(l *life) { _ = l.conn.CloseNow() })
	},
	func(p *plan, r *rand.Rand) {
		w := from(&ending.Error{Kind: ending.Drained, Reason: "the server is going away"})
		p.cause("drain", w, func(l *life) { l.drain() })
	},
	func(p *plan, r *rand.Rand) {
		// A connection that waits for its handler ends without a close frame.
		p.opts.DrainNotice, p.opts.DrainTimeout = time.Hour, time.Hour
		p.cutAfter = time.Duration(1+r.IntN(10)) * time.Millisecond
		w := from(&ending.Error{Kind: ending.Drained, Reason: "cut at the end of the drain"})
		w.wire, w.rst = 0, true
		p.cause("cut", w, func(l *life) { l.drain() })
	},
	func(p *plan, r *rand.Rand) {
		p.opts.MaxAge = time.Duration(1+r.IntN(20)) * time.Millisecond
		w := from(&ending.Error{Kind: ending.Aged, Reason: "maximum age reached"})
		w.timed = true
		p.cause("age", w, func(*life) {})
	},
	func(p *plan, r *rand.Rand) {
		p.opts.IdleTimeout = time.Duration(1+r.IntN(20)) * time.Millisecond
		w := from(&ending.Error{Kind: ending.Idle, Reason: "no message for too long"})
		w.timed = true
		p.cause("idleness", w, func(*life) {})
	},
	func(p *plan, r *rand.Rand) {
		p.opts.PingInterval, p.opts.MaxMissed = time.Duration(5+r.IntN(20))*time.Millisecond, -1+r.IntN(2)*2
		p.silent = true
		w := from(&ending.Error{Kind: ending.NoPong})
		w.timed = true
		p.cause("heartbeat", w, func(*life) {})
	},
}

// sideActions lists the actions of a server that end nothing.
var sideActions = []func(r *rand.Rand) action{
	func(r *rand.Rand) action {
		return action{name: "ping", do: func(l *life) {
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
			defer cancel()
			_ = l.conn.Ping(ctx)
		}}
	},
	func(r *rand.Rand) action {
		seed := r.Uint64()
		return action{name: "messages", do: func(l *life) {
			r := rand.New(rand.NewPCG(seed, 0))
			for range 1 + r.IntN(5) {
				l.write(r)
			}
		}}
	},
	func(r *rand.Rand) action {
		return action{name: "look", do: func(l *life) {
			for i := range l.srv.Connections() {
				_ = i.Heartbeat
			}
		}}
	},
}
