package server_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"example.com/wsecho/wstest"
)

// ours is the prefix of the handler's own messages. No message of a peer has it.
const ours = "handler: "

// An actor is the peer of one life. It records the data that it sends and receives. The
// Outcome must match these records.
type actor struct {
	p    *wstest.Peer
	plan *plan

	mu       sync.Mutex
	received *sync.Cond // signaled for an echo and for the end
	ended    bool

	// The sent data. A failed write counts, but not in sure.
	messages []sentMessage
	sure     int
	bytes    int64 // payload of the whole messages
	partial  int64 // payload of an incomplete message
	pings    []string
	mute     bool // later data does not count, or cannot be sent

	closed bool   // a close frame was sent while it counted
	code   uint16 // the code of the close frame; NoStatus if it had none
	reason string
	answer bool // the close frame followed the server's

	// The received data.
	echoes      int
	fromHandler int   // messages of the handler's own
	bytesGot    int64 // payload of echoes and of the handler's own messages
	pongs       []string
	wrong       []string // received data that is illegal
	end         wstest.End
	endErr      error
}

type sentMessage struct {
	opcode  byte
	payload []byte
}

func newActor(p *wstest.Peer, plan *plan) *actor {
	a := &actor{p: p, plan: plan}
	p.Timeout = soon
	a.received = sync.NewCond(&a.mu)
	return a
}

// send sends a message, with one frame for each part.
func (a *actor) send(opcode byte, parts ...[]byte) {
	a.mu.Lock()
	if a.mute || a.closed {
		a.mu.Unlock()
		return
	}
	m := sentMessage{opcode, bytes.Join(parts, nil)}
	a.messages = append(a.messages, m)
	a.mu.Unlock()
	for i, part := range parts {
		f := wstest.Frame{Opcode: opcode, Payload: part, Fin: i == len(parts)-1}
		if i > 0 {
			f.Opcode = wstest.Continuation
		}
		a.mu.Lock()
		if a.closed { // an answer was sent in between, so the message was not
			a.messages = a.messages[:len(a.messages)-1]
			a.mu.Unlock()
			return
		}
		// The lock covers the writes, so the record has the order of the wire. The
		// reader waits for the lock, but the server never waits for both.
		ok := a.p.Send(f) == nil
		if f.Fin && ok {
			a.sure++
		}
		if f.Fin {
			a.bytes += int64(len(m.payload))
			a.partial = 0
		} else {
			a.partial += int64(len(part))
		}
		a.mu.Unlock()
		if !f.Fin && a.plan.chatty {
			a.ping("between")
		}
	}
}

// sendInPieces sends a message of one frame in pieces, with a pause between them.
func (a *actor) sendInPieces(opcode byte, payload []byte, pieces int, pause time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.mute || a.closed {
		return
	}
	a.messages = append(a.messages, sentMessage{opcode, payload})
	a.bytes += int64(len(payload))
	b := wstest.Frame{Fin: true, Opcode: opcode, Payload: payload}.WithKey([4]byte{7, 1, 250, 9}).Append(nil)
	size := len(b)/pieces + 1
	ok := true
	for len(b) > 0 && ok {
		n := min(size, len(b))
		ok = a.p.SendRaw(b[:n]) == nil
		if b = b[n:]; len(b) > 0 {
			time.Sleep(pause)
		}
	}
	if ok {
		a.sure++
	}
}

func (a *actor) ping(text string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.mute && !a.closed {
		a.pings = append(a.pings, text)
		_ = a.p.Send(wstest.PingFrame(text))
	}
}

func (a *actor) pong(text string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.mute && !a.closed {
		_ = a.p.Send(wstest.PongFrame(text))
	}
}

// close sends a legal close frame. Code 0 means a frame without a code.
func (a *actor) close(code uint16, reason string, answer bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.mute || a.closed {
		return
	}
	a.closed, a.code, a.reason, a.answer = true, code, reason, answer
	if code == 0 {
		a.code = wstest.NoStatus
	}
	_ = a.p.Send(wstest.CloseFrame(code, reason))
}

// violate sends a violation or ends the stream, so later data does not count. Of its
// payload, the server may count partial bytes.
func (a *actor) violate(partial int, do func(p *wstest.Peer)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.closed && !a.mute {
		a.partial += int64(partial)
	}
	a.mute = true
	do(a.p)
}

// await waits for all echoes or for the end.
func (a *actor) await() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for !a.ended && a.echoes < len(a.messages) {
		a.received.Wait()
	}
}

// read reads until the stream ends. A peer that does not read starts when over is
// closed.
func (a *actor) read(over <-chan struct{}) {
	if a.plan.notReading {
		<-over
	}
	var opcode byte
	var message []byte
	for {
		f, err := a.p.Recv()
		if err != nil {
			break
		}
		switch f.Opcode {
		case wstest.Ping:
			if !a.plan.silent {
				a.pong(string(f.Payload))
			}
		case wstest.Close:
			if a.plan.answers {
				code, reason := wstest.ParseClose(f.Payload)
				if code == wstest.NoStatus {
					code = 0
				}
				a.close(code, reason, true)
			}
		case wstest.Pong:
			a.mu.Lock()
			a.pongs = append(a.pongs, string(f.Payload))
			a.mu.Unlock()
		default:
			if f.Opcode != wstest.Continuation {
				opcode = f.Opcode
			}
			if message = append(message, f.Payload...); f.Fin {
				a.receive(opcode, message)
				message = nil
			}
		}
	}
	end, err := a.p.End(soon)
	if a.plan.answers { // the server waits for the peer's FIN
		_ = a.p.Close()
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.end, a.endErr, a.ended = end, err, true
	// An aborted write under TLS leaves part of a record.
	if err != nil && !errors.Is(err, os.ErrClosed) && !a.mute && !a.plan.notReading {
		a.wrong = append(a.wrong, fmt.Sprintf("the stream has no end: %v", err))
	}
	if end.AfterClose > 0 {
		a.wrong = append(a.wrong, "there are frames after the close frame")
	}
	a.received.Broadcast()
}

// receive compares a received message with the expected one.
func (a *actor) receive(opcode byte, payload []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.bytesGot += int64(len(payload))
	switch {
	case bytes.HasPrefix(payload, []byte(ours)):
		a.fromHandler++
	case a.echoes == len(a.messages):
		a.wrong = append(a.wrong, fmt.Sprintf("an echo of nothing: %.50q", payload))
	default:
		m := a.messages[a.echoes]
		if m.opcode != opcode || !bytes.Equal(m.payload, payload) {
			a.wrong = append(a.wrong, fmt.Sprintf("the echo of message %d is another: %.50q (%d bytes)", a.echoes, payload, len(payload)))
		}
		a.echoes++
	}
	a.received.Broadcast()
}

func (a *actor) String() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := fmt.Sprintf("the peer sent %d messages (%d surely) of %d+%d bytes, %d pings", len(a.messages), a.sure, a.bytes, a.partial, len(a.pings))
	if a.closed {
		s += fmt.Sprintf(", close %d %q (an answer: %v)", a.code, a.reason, a.answer)
	}
	return s + fmt.Sprintf("; received %d echoes, %d others, %d bytes, pongs %.60s, and %v, %v", a.echoes, a.fromHandler, a.bytesGot, strings.Join(a.pongs, " "), a.end, a.endErr)
}
