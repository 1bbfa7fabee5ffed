package server_test

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"example.com/wsecho/ending"
	"example.com/wsecho/server"
)

// judge says what is wrong with an Outcome, given what was planned and what the
// peer has said and heard.
func (l *life) judge(o server.Outcome) []string {
	a, p := l.actor, l.plan
	a.mu.Lock()
	defer a.mu.Unlock()
	j := judgement{slices.Clone(a.wrong)}
	w, ok := j.allowed(o, p)
	if !ok {
		return j.bad
	}
	j.times(o, p)
	j.wire(o, a, p, w)
	j.counts(o, a, l.wrote, p, w)
	if p.alone {
		j.exact(o, a, p, w)
	}
	return j.bad
}

type judgement struct{ bad []string }

func (j *judgement) check(ok bool, format string, args ...any) {
	if !ok {
		j.bad = append(j.bad, fmt.Sprintf(format, args...))
	}
}

// allowed finds what o is the Outcome of.
func (j *judgement) allowed(o server.Outcome, p *plan) (want, bool) {
	var kinds []string
	var found *want
	for _, w := range p.wants {
		// The heartbeat's reason has a duration in it.
		if w.kind == o.Kind && w.code == o.Code && (w.reason == o.Reason || w.kind == ending.NoPong) &&
			(found == nil || w.wire == uint16(o.Sent)) { // of CloseNow and a context that ends, the one that speaks
			found = &w
		}
		kinds = append(kinds, fmt.Sprintf("%v %d %q", w.kind, w.code, w.reason))
	}
	if o.Kind == ending.WriteStalled && p.silent && pings(o) {
		// With intervals of milliseconds a machine that stands still is enough.
		return want{kind: o.Kind, timed: true, rst: true}, true
	}
	if found != nil {
		return *found, true
	}
	j.check(false, "got %v %d %q by %v, cause %v, want one of: %s", o.Kind, o.Code, o.Reason, o.By, o.Cause, strings.Join(kinds, ", "))
	return want{}, false
}

// times are what a clock has to have shown at least.
func (j *judgement) times(o server.Outcome, p *plan) {
	age := o.Ended.Sub(o.Since)
	j.check(age >= 0 && !o.LastReceived.Before(o.Since), "ended after %v, last heard %v after it began", age, o.LastReceived.Sub(o.Since))
	least := time.Duration(0)
	switch o.Kind {
	case ending.Aged:
		least = p.opts.MaxAge * 9 / 10
	case ending.Idle:
		least = p.opts.IdleTimeout
	case ending.TooSlow:
		least = p.opts.MessageTimeout
	case ending.WriteStalled:
		if least = p.opts.WriteTimeout; pings(o) {
			least = rounds(p, 2) // the heartbeat may be sooner
		}
	case ending.NoPong:
		least = rounds(p, 1)
	}
	j.check(age >= least-time.Millisecond, "%v after %v, want %v at least", o.Kind, age, least)
}

// pings reports whether it was the heartbeat that found the write stalled.
func pings(o server.Outcome) bool { return strings.HasPrefix(o.Reason, "no ping could be sent") }

// rounds is the least time in which the heartbeat has as many more rounds in a row
// than it forgives.
func rounds(p *plan, more int) time.Duration {
	n := max(0, p.opts.MaxMissed) + more - 1
	return time.Duration(n)*p.opts.PingInterval + p.opts.PingInterval/2
}

// wire compares the close frames with those that the peer saw and sent, and
// who was first.
func (j *judgement) wire(o server.Outcome, a *actor, p *plan, w want) {
	j.check(o.By == w.kind.By(), "by %v, want %v", o.By, w.kind.By())
	heard := a.end.Code
	if heard != 0 {
		j.check(uint16(o.Sent) == heard, "sent: got %d, and the peer heard %d", o.Sent, heard)
		j.check(o.Reason == a.end.Reason, "reason: got %q, and the peer heard %q", o.Reason, a.end.Reason)
	} else if a.end.FIN && !a.end.Cut {
		j.check(o.Sent == 0, "sent: got %d, and the peer heard none", o.Sent)
	}
	if o.Sent != 0 {
		j.check(uint16(o.Sent) == w.wire, "sent: got %d, want %d", o.Sent, w.wire)
	}
	if o.Received != 0 && (o.Received != afterwards || p.more() == 0) {
		j.check(a.closed && uint16(o.Received) == a.code, "received: got %d, and the peer said %d (at all: %v)", o.Received, a.code, a.closed)
	}
	switch o.Kind {
	case ending.Normal, ending.GoingAway, ending.PeerCode:
		j.check(a.closed && !a.answer, "%v, and the peer has not closed first", o.Kind)
		j.check(o.Received == o.Code, "received: got %d, want the code %d", o.Received, o.Code)
	}
}

// counts compares the messages and bytes each way with what the peer has said and
// heard.
func (j *judgement) counts(o server.Outcome, a *actor, wrote int, p *plan, w want) {
	j.check(o.MessagesIn >= int64(a.echoes), "messages in: got %d, and %d were echoed", o.MessagesIn, a.echoes)
	j.check(o.MessagesIn <= int64(len(a.messages)+p.more()), "messages in: got %d of %d", o.MessagesIn, len(a.messages))
	j.check(o.BytesIn <= a.bytes+a.partial, "bytes in: got %d of %d", o.BytesIn, a.bytes+a.partial)
	j.check(some(a.pongs, a.pings), "pongs: got %q for %q", a.pongs, a.pings)
	heard := int64(a.echoes + a.unasked)
	j.check(o.MessagesOut <= o.MessagesIn+int64(max(wrote, a.unasked)), "messages out: got %d, with %d in and %d of the handler's", o.MessagesOut, o.MessagesIn, wrote)
	if !a.end.FIN || a.end.Cut || p.deaf || p.abrupt() {
		return // something of it may have been lost, or not counted
	}
	j.check(o.MessagesOut == heard, "messages out: got %d, and the peer heard %d", o.MessagesOut, heard)
	j.check(o.BytesOut == a.bytesGot, "bytes out: got %d, and the peer heard %d", o.BytesOut, a.bytesGot)
	if o.By == ending.Peer {
		// All that it said before it left has come and gone back.
		j.check(o.MessagesIn == int64(a.sure) && a.echoes == a.sure, "of %d messages %d came and %d went back", a.sure, o.MessagesIn, a.echoes)
		j.check(o.BytesIn == a.bytes+a.partial, "bytes in: got %d, want %d", o.BytesIn, a.bytes+a.partial)
	}
}

// exact is for a life that one thing has ended, when all else was done.
func (j *judgement) exact(o server.Outcome, a *actor, p *plan, w want) {
	// With a peer that answers nothing there are 20 ms for the goodbye, which a busy
	// machine may not have. What was sent was compared with what was heard.
	brief := !p.answers && o.Sent == 0
	if !w.rst {
		j.check(a.end.FIN || w.timed || !p.answers, "the peer got no FIN")
		j.check(a.end.Code == w.wire || brief, "the peer heard close code %d, want %d", a.end.Code, w.wire)
	}
	j.check(uint16(o.Sent) == w.wire || brief, "sent: got %d, want %d", o.Sent, w.wire)
	received := uint16(0)
	answered := w.kind.By() == ending.Local && w.kind != ending.NoPong // nobody reads on after that
	if answered && p.last == nil && p.answers && !w.deaf || w.kind.By() == ending.Peer {
		received = w.wire
	}
	ok := uint16(o.Received) == received || w.more > 0 && o.Received == afterwards || w.deaf && uint16(o.Received) == w.wire
	j.check(ok, "received: got %d, want %d", o.Received, received)
	if w.timed {
		return
	}
	n := int64(a.sure)
	j.check(a.sure == len(a.messages), "the peer could send only %d of %d messages", a.sure, len(a.messages))
	j.check(o.MessagesIn >= n && o.MessagesIn <= n+int64(w.more), "messages in: got %d, want %d and %d at most", o.MessagesIn, n, w.more)
	j.check(o.MessagesOut == n && int64(a.echoes) == n, "messages out: got %d, and the peer heard %d, want %d", o.MessagesOut, a.echoes, n)
	j.check(o.BytesIn >= a.bytes, "bytes in: got %d, want %d", o.BytesIn, a.bytes)
}

// some reports whether part is what is left of all when some are left out, as a
// server may do with pongs.
func some(part, all []string) bool {
	for _, s := range part {
		i := slices.Index(all, s)
		if i < 0 {
			return false
		}
		all = all[i+1:]
	}
	return true
}
