package server_test

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"example.com/wsecho/ending"
	"example.com/wsecho/server"
)

// judge returns the errors of an Outcome, given the plan and the data that the peer
// sent and received.
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

// allowed returns the planned ending that leads to the Outcome o.
func (j *judgement) allowed(o server.Outcome, p *plan) (want, bool) {
	var kinds []string
	var found *want
	for _, w := range p.wants {
		// The heartbeat's reason contains a duration.
		if w.kind == o.Kind && w.code == o.Code && (w.reason == o.Reason || w.kind == ending.NoPong) &&
			(found == nil || w.wire == uint16(o.Sent)) { // of CloseNow and an ended context, the one with this close frame
			found = &w
		}
		kinds = append(kinds, fmt.Sprintf("%v %d %q", w.kind, w.code, w.reason))
	}
	if o.Kind == ending.WriteStalled && p.silent && pings(o) {
		// With intervals of milliseconds a busy machine can cause it.
		return want{kind: o.Kind, timed: true, rst: true}, true
	}
	if found != nil {
		return *found, true
	}
	j.check(false, "got %v %d %q by %v, cause %v, want one of: %s", o.Kind, o.Code, o.Reason, o.By, o.Cause, strings.Join(kinds, ", "))
	return want{}, false
}

// times checks the least time before each ending by a timeout.
func (j *judgement) times(o server.Outcome, p *plan) {
	age := o.Ended.Sub(o.Since)
	j.check(age >= 0 && !o.LastReceived.Before(o.Since), "ended after %v, last received %v after it began", age, o.LastReceived.Sub(o.Since))
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
			least = rounds(p, 2) // the heartbeat may be earlier
		}
	case ending.NoPong:
		least = rounds(p, 1)
	}
	j.check(age >= least-time.Millisecond, "%v after %v, want %v at least", o.Kind, age, least)
}

// pings reports whether the heartbeat found the stalled write.
func pings(o server.Outcome) bool { return strings.HasPrefix(o.Reason, "no ping could be sent") }

// rounds returns the least time in which the heartbeat runs this many rounds more than
// MaxMissed.
func rounds(p *plan, more int) time.Duration {
	n := max(0, p.opts.MaxMissed) + more - 1
	return time.Duration(n)*p.opts.PingInterval + p.opts.PingInterval/2
}

// wire compares the close frames of the Outcome, and their order, with those that the
// peer received and sent.
func (j *judgement) wire(o server.Outcome, a *actor, p *plan, w want) {
	j.check(o.By == w.kind.By(), "by %v, want %v", o.By, w.kind.By())
	received := a.end.Code
	if received != 0 {
		j.check(uint16(o.Sent) == received, "sent: got %d, and the peer received %d", o.Sent, received)
		j.check(o.Reason == a.end.Reason, "reason: got %q, and the peer received %q", o.Reason, a.end.Reason)
	} else if a.end.FIN && !a.end.Truncated {
		j.check(o.Sent == 0, "sent: got %d, and the peer received none", o.Sent)
	}
	if o.Sent != 0 {
		j.check(uint16(o.Sent) == w.wire, "sent: got %d, want %d", o.Sent, w.wire)
	}
	if o.Received != 0 && (o.Received != codeAfterRefusal || p.more() == 0) {
		j.check(a.closed && uint16(o.Received) == a.code, "received: got %d, and the peer sent %d (at all: %v)", o.Received, a.code, a.closed)
	}
	switch o.Kind {
	case ending.Normal, ending.GoingAway, ending.PeerCode:
		j.check(a.closed && !a.answer, "%v, and the peer has not closed first", o.Kind)
		j.check(o.Received == o.Code, "received: got %d, want the code %d", o.Received, o.Code)
	}
}

// counts compares the messages and bytes in each direction with those that the peer
// sent and received.
func (j *judgement) counts(o server.Outcome, a *actor, wrote int, p *plan, w want) {
	j.check(o.MessagesIn >= int64(a.echoes), "messages in: got %d, and %d were echoed", o.MessagesIn, a.echoes)
	j.check(o.MessagesIn <= int64(len(a.messages)+p.more()), "messages in: got %d of %d", o.MessagesIn, len(a.messages))
	j.check(o.BytesIn <= a.bytes+a.partial, "bytes in: got %d of %d", o.BytesIn, a.bytes+a.partial)
	j.check(some(a.pongs, a.pings), "pongs: got %q for %q", a.pongs, a.pings)
	received := int64(a.echoes + a.fromHandler)
	j.check(o.MessagesOut <= o.MessagesIn+int64(max(wrote, a.fromHandler)), "messages out: got %d, with %d in and %d of the handler's", o.MessagesOut, o.MessagesIn, wrote)
	if !a.end.FIN || a.end.Truncated || p.notReading || p.abrupt() {
		return // some messages may be lost or not counted
	}
	j.check(o.MessagesOut == received, "messages out: got %d, and the peer received %d", o.MessagesOut, received)
	j.check(o.BytesOut == a.bytesGot, "bytes out: got %d, and the peer received %d", o.BytesOut, a.bytesGot)
	if o.By == ending.Peer {
		// The server has received and echoed all that the peer sent before it left.
		j.check(o.MessagesIn == int64(a.sure) && a.echoes == a.sure, "of %d messages %d were received and %d echoed", a.sure, o.MessagesIn, a.echoes)
		j.check(o.BytesIn == a.bytes+a.partial, "bytes in: got %d, want %d", o.BytesIn, a.bytes+a.partial)
	}
}

// exact checks a life that one event ended after everything else.
func (j *judgement) exact(o server.Outcome, a *actor, p *plan, w want) {
	// Without an answer of the peer, and after a missed pong under TLS, the close frame has
	// 20 ms, too little for a busy machine. The method wire has compared the sent frames with the received ones.
	brief := (!p.answers || p.tls && w.kind == ending.NoPong) && o.Sent == 0
	if !w.rst {
		j.check(a.end.FIN || w.timed || !p.answers, "the peer got no FIN")
		j.check(a.end.Code == w.wire || brief, "the peer received close code %d, want %d", a.end.Code, w.wire)
	}
	j.check(uint16(o.Sent) == w.wire || brief, "sent: got %d, want %d", o.Sent, w.wire)
	received := uint16(0)
	// After a missed pong and a violation the server does not wait for the answer. It may
	// receive it nevertheless.
	answered := w.kind.By() == ending.Local && w.kind != ending.NoPong
	if answered && p.last == nil && p.answers && !w.notReading || w.kind.By() == ending.Peer {
		received = w.wire
	}
	ok := uint16(o.Received) == received || w.more > 0 && o.Received == codeAfterRefusal || w.notReading && uint16(o.Received) == w.wire ||
		(w.kind == ending.NoPong || p.last != nil) && p.answers && uint16(o.Received) == w.wire
	j.check(ok, "received: got %d, want %d", o.Received, received)
	if w.timed {
		return
	}
	n := int64(a.sure)
	j.check(a.sure == len(a.messages), "the peer could send only %d of %d messages", a.sure, len(a.messages))
	j.check(o.MessagesIn >= n && o.MessagesIn <= n+int64(w.more), "messages in: got %d, want %d and %d at most", o.MessagesIn, n, w.more)
	j.check(o.MessagesOut == n && int64(a.echoes) == n, "messages out: got %d, and the peer received %d, want %d", o.MessagesOut, a.echoes, n)
	j.check(o.BytesIn >= a.bytes, "bytes in: got %d, want %d", o.BytesIn, a.bytes)
}

// some reports whether part is a subsequence of all. A server may omit pongs.
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
