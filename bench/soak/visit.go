package soak

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"example.com/wsecho/wstest"
)

// stepTimeout is the longest time that a peer waits. A busy machine may pause for seconds.
const stepTimeout = 30 * time.Second

// A visit is one connection, with counts of sent and received messages.
type visit struct {
	r     *rand.Rand
	p     *wstest.Peer
	slow  *atomic.Bool // the socket reads slowly
	codec *codec       // nil: permessage-deflate was not negotiated
	load  *Load

	sent, echoed           int64 // messages
	sentBytes, echoedBytes int64 // of their payload, on the wire
	queue                  []message
	pongs                  int  // received
	cannotSend             bool // no frame may follow, for example inside a frame
	insideMessage          bool // a message is incomplete; control frames may follow
	pings                  int  // sent
}

type message struct {
	opcode  byte
	payload []byte
}

// send sends a message with one frame for each part, and expects its echo.
func (v *visit) send(opcode byte, parts ...[]byte) error {
	frames := v.frames(opcode, parts...)
	return v.p.Send(frames...)
}

// frames returns the frames of a message, and expects its echo.
func (v *visit) frames(opcode byte, parts ...[]byte) []wstest.Frame {
	v.queue = append(v.queue, message{opcode, bytes.Join(parts, nil)})
	v.sent++
	if v.codec != nil {
		parts = v.codec.deflate(parts)
	}
	frames := make([]wstest.Frame, len(parts))
	for i, part := range parts {
		frames[i] = wstest.Frame{Opcode: wstest.Continuation, Payload: part, Fin: i == len(parts)-1}
		v.sentBytes += int64(len(part))
	}
	frames[0].Opcode = opcode
	if v.codec != nil {
		frames[0].Rsv = wstest.RSV1
	}
	return frames
}

// ping sends a ping.
func (v *visit) ping() error {
	v.pings++
	return v.p.Send(wstest.PingFrame("soak"))
}

// readEcho reads the next echo and compares it.
func (v *visit) readEcho() error {
	if len(v.queue) == 0 {
		return errors.New("no message waits for an echo")
	}
	want := v.queue[0]
	v.queue = v.queue[1:]
	var got message
	compressed := false
	for begun := false; ; {
		f, err := v.next()
		if err != nil {
			return err
		}
		switch {
		case f.Opcode == wstest.Close:
			code, reason := wstest.ParseClose(f.Payload)
			return fmt.Errorf("got a close frame %d %q, want an echo of %d bytes", code, reason, len(want.payload))
		case begun != (f.Opcode == wstest.Continuation):
			return fmt.Errorf("got an unexpected frame: %v", f)
		}
		if !begun {
			begun, got.opcode, compressed = true, f.Opcode, f.Rsv == wstest.RSV1
		}
		got.payload = append(got.payload, f.Payload...)
		if f.Fin {
			break
		}
	}
	v.echoed++
	v.echoedBytes += int64(len(got.payload))
	if v.codec != nil {
		var err error
		if got.payload, err = v.codec.inflate(got.payload, compressed); err != nil {
			return err
		}
	} else if compressed {
		return errors.New("a compressed echo without permessage-deflate")
	}
	return compare(got, want)
}

// compare returns an error that describes a wrong echo.
func compare(got, want message) error {
	if got.opcode != want.opcode {
		return fmt.Errorf("the echo has opcode %d, want %d", got.opcode, want.opcode)
	}
	if bytes.Equal(got.payload, want.payload) {
		return nil
	}
	n := min(len(got.payload), len(want.payload))
	at := 0
	for at < n && got.payload[at] == want.payload[at] {
		at++
	}
	return fmt.Errorf("the echo of %d bytes has %d bytes and differs from byte %d", len(want.payload), len(got.payload), at)
}

// readEchoes reads all missing echoes.
func (v *visit) readEchoes() error {
	for len(v.queue) > 0 {
		if err := v.readEcho(); err != nil {
			return err
		}
	}
	return nil
}

// next answers pings, counts pongs, and returns the next frame of another kind.
func (v *visit) next() (wstest.Frame, error) {
	for {
		f, err := v.p.Recv()
		switch {
		case err != nil:
			return f, err
		case f.Opcode == wstest.Ping:
			if !v.cannotSend {
				// Ignore the error: the server may have closed, but its last frames are still
				// readable.
				_ = v.p.Send(wstest.PongFrame(string(f.Payload)))
			}
		case f.Opcode == wstest.Pong:
			if v.pongs++; string(f.Payload) != "soak" || v.pongs > v.pings {
				return f, fmt.Errorf("an unsolicited pong: %v", f)
			}
		default:
			return f, nil
		}
	}
}

// exchange sends a message, waits for its echo and records the time.
func (v *visit) exchange(opcode byte, payload []byte) error {
	start := time.Now()
	if err := v.send(opcode, payload); err != nil {
		return err
	}
	err := v.readEcho()
	if err == nil && len(payload) <= 64<<10 {
		v.load.record(time.Since(start))
	}
	return err
}

// closeWith sends a close frame and reads to the end. Code 0 means no code.
func (v *visit) closeWith(code uint16, reason string) (Want, error) {
	w := v.want("normal", "peer")
	switch code {
	case 0:
		code = wstest.NoStatus
		w.Sent = int(wstest.NoStatus)
		reason = ""
	case 1000:
	case 1001:
		w.Kind = "going away"
	default:
		w.Kind = "peer code"
	}
	w.Code, w.Sent, w.Received = int(code), int(code), int(code)
	body := code
	if code == wstest.NoStatus {
		body = 0
	}
	if err := v.p.Send(wstest.CloseFrame(body, reason)); err != nil {
		return w, err
	}
	return w, v.end(code)
}

// end reads to the end. The server must have sent a close frame with code, and FIN.
func (v *visit) end(code uint16) error {
	for {
		f, err := v.next()
		if err != nil {
			break // End returns the details
		}
		if f.Opcode != wstest.Close {
			return fmt.Errorf("got %v after the last echo, want a close frame", f)
		}
	}
	e, err := v.p.End(stepTimeout)
	if err == nil && (e.Code != code || !e.FIN || e.Truncated) {
		err = fmt.Errorf("the end is %v, want close code %d and FIN", e, code)
	}
	return err
}

// want returns the expected Outcome of this visit, with its counts.
func (v *visit) want(kind, by string) Want {
	return Want{
		Kind: kind, By: by, MessagesIn: v.sent, MessagesOut: v.echoed, BytesIn: v.sentBytes, BytesOut: v.echoedBytes,
	}
}

// refused returns the expected Outcome of a visit that the server ends with a close frame.
func (v *visit) refused(kind string, code int) Want {
	w := v.want(kind, "local")
	w.Code, w.Sent, w.BytesIn = code, code, Any
	return w
}
