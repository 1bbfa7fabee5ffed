package main

import (
	"fmt"
	"strings"
	"time"
)

// An outcome is what wsecho probe reports of one server with one fault. The texts of the
// expected one are parts of the reported ones; an empty text expects an empty one.
type outcome struct {
	exit int

	// The end of the connection.
	kind   string // of package ending
	by     string // side
	code   int    // close code
	reason string // beside the code
	cause  string
	closed int // the close code of the server's frame; 0: it sent none

	step string // that failed, instead of an end
	fail string // why

	lost, late int // pings, or messages without pings
	others     int // messages that were no echoes; the expected one is any if it is negative

	upgrade, echo time.Duration // the handshake and the fastest echo; the expected one is the least
	deviation     time.Duration // of the times of echoes; the expected one is the least

	// On the wire, if the expected one is not 0.
	pings int // of the server; the expected one is the least
	frame int // bytes of the server's longest data frame
}

// closeFrame is a part of the cause if the server has closed.
const closeFrame = "received close frame"

// The expected outcomes.
var (
	good     = outcome{kind: "closed", by: "local", code: 1000, closed: 1000}
	normal   = outcome{kind: "normal", by: "peer", code: 1000, closed: 1000, cause: closeFrame}
	away     = outcome{kind: "going away", by: "peer", code: 1001, closed: 1001, exit: 8, cause: closeFrame}
	abnormal = outcome{kind: "abnormal", by: "peer", exit: 9, cause: "end of stream without a close frame"}
	inside   = outcome{kind: "abnormal", by: "peer", exit: 9, cause: "end of stream inside a frame"}
	reset    = outcome{kind: "reset", by: "peer", exit: 9, cause: "connection reset by peer"}
	opcode   = outcome{kind: "protocol", by: "local", code: 1002, exit: 10, cause: "unknown opcode opcode(3)"}
	masked   = outcome{kind: "protocol", by: "local", code: 1002, exit: 10, cause: "a server's frame has a mask"}
	badText  = outcome{kind: "invalid utf-8", by: "local", code: 1007, exit: 10, cause: "a text message is not UTF-8"}
	noPong   = outcome{kind: "no pong", by: "local", code: 1001, exit: 6, reason: "pings missed in a row"}
)

// closes is a close frame of the server with a code that is neither 1000 nor 1001.
func closes(code int) outcome {
	return outcome{kind: "peer code", by: "peer", code: code, closed: code, exit: 7, cause: closeFrame}
}

// refused is a handshake that fails.
func refused(why string) outcome { return outcome{step: "handshake", fail: why, exit: 5} }

// with changes a copy.
func (o outcome) with(change func(*outcome)) outcome {
	change(&o)
	return o
}

func (o outcome) saying(reason string) outcome {
	return o.with(func(o *outcome) { o.reason = reason })
}

func (o outcome) losing(n int) outcome {
	return o.with(func(o *outcome) { o.exit, o.lost = 6, n })
}

func (o outcome) exiting(code int) outcome { return o.with(func(o *outcome) { o.exit = code }) }

func (o outcome) lateBy(n int) outcome { return o.with(func(o *outcome) { o.late = n }) }

func (o outcome) sending(n int) outcome { return o.with(func(o *outcome) { o.others = n }) }

func (o outcome) heldFor(d time.Duration) outcome {
	return o.with(func(o *outcome) { o.upgrade = d })
}

func (o outcome) delayedBy(d time.Duration) outcome {
	return o.with(func(o *outcome) { o.echo = d })
}

func (o outcome) jitteredBy(d time.Duration) outcome {
	return o.with(func(o *outcome) { o.deviation = d })
}

func (o outcome) pinging() outcome { return o.with(func(o *outcome) { o.pings = 2 }) }

func (o outcome) fragmented(n int) outcome { return o.with(func(o *outcome) { o.frame = n }) }

// wired reports whether only a relay can observe the outcome.
func (o outcome) wired() bool { return o.pings > 0 || o.frame > 0 }

// unanswered is a close frame of the probe without an answer.
func (o outcome) unanswered() outcome {
	return o.with(func(o *outcome) { o.closed, o.cause = 0, "no close frame was received" })
}

// meets reports whether an outcome is the expected one.
func (o outcome) meets(want outcome) bool {
	for _, part := range []struct{ got, want *string }{{&o.reason, &want.reason}, {&o.cause, &want.cause}, {&o.fail, &want.fail}} {
		if !strings.Contains(*part.got, *part.want) || *part.want == "" && *part.got != "" {
			return false
		}
		*part.got = *part.want
	}
	if want.others < 0 {
		o.others = want.others
	}
	const early = 2 * time.Millisecond // of the timers of other languages
	if o.upgrade < want.upgrade-early || o.echo < want.echo-early || o.deviation < want.deviation || o.pings < want.pings {
		return false
	}
	o.upgrade, o.echo, o.deviation, o.pings = want.upgrade, want.echo, want.deviation, want.pings
	if want.frame == 0 {
		o.frame = 0
	}
	return o == want
}

// busy reports whether a busy machine, or chance, can be the cause of the difference. It is
// so if the connection was not opened in time, or if the number of replies or pings or the
// deviation differs.
func (o outcome) busy(want outcome) bool {
	if strings.Contains(o.fail, "no whole answer within the ") {
		return true
	}
	o.lost, o.late, o.exit, o.others, o.pings, o.deviation = want.lost, want.late, want.exit, want.others, want.pings, want.deviation
	return o.meets(want)
}

// cell is the text of an outcome in the matrix, without the exit code.
func (o outcome) cell() string {
	text := fmt.Sprintf("`%s`", o.kind)
	switch {
	case o.step != "":
		text = o.step
		if status, ok := strings.CutPrefix(o.fail, "the answer is "); ok {
			text += " " + status[:3]
		}
	case o.code != 0:
		text += fmt.Sprint(" ", o.code)
	}
	if o.lost > 0 {
		text += fmt.Sprintf(", %d lost", o.lost)
	}
	if o.late > 0 {
		text += fmt.Sprintf(", %d late", o.late)
	}
	return text
}
