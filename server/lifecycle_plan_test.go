package server_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/coder/websocket"

	"example.com/wsecho/ending"
	"example.com/wsecho/server"
	"example.com/wsecho/wstest"
)

// A plan describes one life. The seed determines all of it.
type plan struct {
	tls, mux   bool
	direct     bool // the handler is the plain echo
	parks      bool // the connection parks between messages
	alone      bool // one event ends the connection, after everything else
	await      bool // the peer receives its echoes before that
	answers    bool // the peer answers a close frame
	silent     bool // the peer answers no ping
	notReading bool // the peer does not read before the end
	chatty     bool // there are pings between fragments
	rcvBuf     int
	opts       server.Options
	cutAfter   time.Duration // the drain timeout, shorter than opts may have it; 0: as in opts

	steps   []step
	last    *finale  // how the peer leaves; nil: it stays connected
	actions []action // of the server
	wants   []want   // the Outcome of each event that ends the connection
}

// A step is an action of the peer that ends nothing.
type step struct {
	name  string
	after time.Duration
	do    func(a *actor)
}

// A finale is the last action of a peer.
type finale struct {
	name  string
	after time.Duration
	do    func(a *actor)
}

// An action is an action of the server.
type action struct {
	name  string
	after time.Duration
	do    func(l *life)
}

// A want is the Outcome of one event if that event is the first.
type want struct {
	kind       ending.Kind
	code       websocket.StatusCode
	reason     string
	wire       uint16 // the close code that the peer receives; 0: none
	notReading bool   // the server does not wait for the peer's answer, which may still arrive
	timed      bool   // it may happen before the peer has finished its steps
	rst        bool   // the stream may end with RST
	more       int    // messages that count without an echo
}

// from returns the want of an event with a distinct kind.
func from(e *ending.Error) want {
	end := e.Ending()
	return want{kind: end.Kind, code: end.Code, reason: end.Reason, wire: uint16(end.Code)}
}

func (p *plan) cuts() bool { return p.cutAfter > 0 }

// abrupt reports whether one of the possible endings has no FIN.
func (p *plan) abrupt() bool {
	return slices.ContainsFunc(p.wants, func(w want) bool { return w.rst })
}

// more returns the number of messages that may count without an echo.
func (p *plan) more() (n int) {
	for _, w := range p.wants {
		n = max(n, w.more)
	}
	return n
}

func (p *plan) String() string {
	s := fmt.Sprintf("tls %v, mux %v, direct %v, parks %v, alone %v, await %v, answers %v, silent %v, notReading %v:",
		p.tls, p.mux, p.direct, p.parks, p.alone, p.await, p.answers, p.silent, p.notReading)
	for _, x := range p.steps {
		s += fmt.Sprintf(" %s (%v)", x.name, x.after)
	}
	if p.last != nil {
		s += fmt.Sprintf(", at last %s (%v)", p.last.name, p.last.after)
	}
	for _, d := range p.actions {
		s += fmt.Sprintf("; the server's %s (%v)", d.name, d.after)
	}
	return s
}

const lifeLimit = 300_000 // the read limit

// newPlan returns the plan of a seed.
func newPlan(seed uint64) *plan {
	r := rand.New(rand.NewPCG(seed, 0))
	p := draw(seed, r)
	p.parks = p.direct && !p.cuts() && !p.tls && !p.mux && r.IntN(3) > 0
	if p.parks {
		p.opts.ParkAfter = 2 * time.Millisecond
	}
	return p
}

// draw draws the remaining fields. The plans with a single ending event cycle through
// all such events.
func draw(seed uint64, r *rand.Rand) *plan {
	flip := func() bool { return r.IntN(2) == 0 }
	p := &plan{tls: flip(), mux: flip(), direct: flip(), answers: r.IntN(4) > 0, chatty: flip()}
	p.opts = server.Options{
		ReadLimit: lifeLimit, PingInterval: -1,
		ReadBufferSize: 1 << (9 + r.IntN(8)), WriteBufferSize: 1 << (9 + r.IntN(8)),
		CloseTimeout: 20 * time.Millisecond, DrainTimeout: soon,
	}
	within := []int{20, 200, 1500}[r.IntN(3)]
	soonish := func() time.Duration { return time.Duration(r.IntN(within)) * time.Microsecond }
	for range r.IntN(5) {
		s := steps[r.IntN(len(steps))](r)
		s.after = soonish()
		p.steps = append(p.steps, s)
	}
	p.await = flip()
	if p.alone = seed%2 == 0; p.alone {
		i := int(seed / 2 % uint64(len(finales)+len(causes)))
		if i < len(finales) {
			finales[i](p, r)
		} else {
			p.await = true
			causes[i-len(finales)](p, r)
		}
		if p.answers { // no test waits for this timeout, and a busy machine needs it
			p.opts.CloseTimeout = server.MaxCloseTimeout
		}
		return p
	}
	switch {
	case flip():
	case flip():
		finales[0](p, r) // where most events can cross
	default:
		finales[r.IntN(len(finales))](p, r)
	}
	for n := r.IntN(3); n > 0 || len(p.wants) == 0; n-- {
		causes[r.IntN(len(causes))](p, r)
	}
	for range r.IntN(2) {
		p.actions = append(p.actions, sideActions[r.IntN(len(sideActions))](r))
	}
	for i := range p.actions {
		p.actions[i].after = soonish()
	}
	if p.last != nil {
		p.last.after = soonish()
	}
	return p
}

func payload(r *rand.Rand, most int) []byte {
	b := make([]byte, r.IntN(most+1))
	for i := range b {
		b[i] = 'a' + byte(r.IntN(26))
	}
	return b
}

func opcode(r *rand.Rand) byte { return wstest.Text + byte(r.IntN(2)) }

// steps returns the steps of a correct peer.
var steps = []func(r *rand.Rand) step{
	func(r *rand.Rand) step {
		op, b := opcode(r), payload(r, 2000)
		return step{name: fmt.Sprintf("%d bytes", len(b)), do: func(a *actor) { a.send(op, b) }}
	},
	func(r *rand.Rand) step {
		op, b := opcode(r), payload(r, 100_000)
		return step{name: fmt.Sprintf("%d bytes", len(b)), do: func(a *actor) { a.send(op, b) }}
	},
	func(r *rand.Rand) step {
		op, parts := opcode(r), [][]byte{}
		for range 1 + r.IntN(6) {
			parts = append(parts, payload(r, 300))
		}
		return step{name: fmt.Sprintf("%d fragments", len(parts)), do: func(a *actor) { a.send(op, parts...) }}
	},
	func(r *rand.Rand) step {
		op, b, n := opcode(r), payload(r, 600), 2+r.IntN(15)
		return step{name: fmt.Sprintf("%d at once of %d bytes", n, len(b)), do: func(a *actor) {
			for range n {
				a.send(op, b)
			}
		}}
	},
	func(r *rand.Rand) step {
		op, b, n := opcode(r), payload(r, 3000), 2+r.IntN(5)
		return step{name: fmt.Sprintf("%d bytes in %d pieces", len(b), n), do: func(a *actor) { a.sendInPieces(op, b, n, 300*time.Microsecond) }}
	},
	func(r *rand.Rand) step {
		return step{name: "runes in two fragments", do: func(a *actor) { a.send(wstest.Text, []byte("caf\xc3"), []byte("\xa9")) }}
	},
	func(r *rand.Rand) step {
		n := 1 + r.IntN(5)
		return step{name: "pings", do: func(a *actor) {
			for i := range n {
				a.ping(fmt.Sprint("ping ", i))
			}
		}}
	},
	func(r *rand.Rand) step {
		return step{name: "a pong", do: func(a *actor) { a.pong("unsolicited") }}
	},
	func(r *rand.Rand) step { return step{name: "await", do: func(a *actor) { a.await() }} },
}
