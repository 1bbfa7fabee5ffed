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

// patience is how long a peer waits for what must come. A machine may stand
// still for seconds.
const patience = 30 * time.Second

// A visit is one connection, and the account of what was said and heard on it.
type visit struct {
	r     *rand.Rand
	p     *wstest.Peer
	slow  *atomic.Bool // reads are slow
	codec *codec       // nil: permessage-deflate was not negotiated
	load  *Load

	said, heard         int64 // messages
	saidBytes, gotBytes int64 // of their payload, on the wire
	queue               []message
	pongs               int  // that have come
	mute                bool // nothing can be sent any more, for instance inside a frame
	between             bool // it can, though what was sent is not whole
	asked               int  // pings that were sent
}

type message struct {
	opcode  byte
	payload []byte
}

// send sends a message in one frame for each part, and remembers it.
func (v *visit) send(opcode byte, parts ...[]byte) error {
	frames := v.frames(opcode, parts...)
	return v.p.Send(frames...)
}

// frames are those of a message that is about to be sent.
func (v *visit) frames(opcode byte, parts ...[]byte) []wstest.Frame {
	v.queue = append(v.queue, message{opcode, bytes.Join(parts, nil)})
	v.said++
	if v.codec != nil {
		parts = v.codec.deflate(parts)
	}
	frames := make([]wstest.Frame, len(parts))
	for i, part := range parts {
		frames[i] = wstest.Frame{Opcode: wstest.Continuation, Payload: part, Fin: i == len(parts)-1}
		v.saidBytes += int64(len(part))
	}
	frames[0].Opcode = opcode
	if v.codec != nil {
		frames[0].Rsv = wstest.RSV1
	}
	return frames
}

// ping sends one.
func (v *visit) ping() error {
	v.asked++
	return v.p.Send(wstest.PingFrame("soak"))
}

// hear reads the next echo and compares it.
func (v *visit) hear() error {
	if len(v.queue) == 0 {
		return errors.New("nothing was sent that could come back")
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
			return fmt.Errorf("a close frame %d %q came in place of an echo of %d bytes", code, reason, len(want.payload))
		case begun != (f.Opcode == wstest.Continuation):
			return fmt.Errorf("a frame out of place: %v", f)
		}
		if !begun {
			begun, got.opcode, compressed = true, f.Opcode, f.Rsv == wstest.RSV1
		}
		got.payload = append(got.payload, f.Payload...)
		if f.Fin {
			break
		}
	}
	v.heard++
	v.gotBytes += int64(len(got.payload))
	if v.codec != nil {
		var err error
		if got.payload, err = v.codec.inflate(got.payload, compressed); err != nil {
			return err
		}
	} else if compressed {
		return errors.New("a compressed echo, and nobody asked for compression")
	}
	return compare(got, want)
}

// compare says what is wrong with an echo.
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
	return fmt.Errorf("the echo of %d bytes has %d, and differs from byte %d", len(want.payload), len(got.payload), at)
}

// hearAll reads all echoes that are still to come.
func (v *visit) hearAll() error {
	for len(v.queue) > 0 {
		if err := v.hear(); err != nil {
			return err
		}
	}
	return nil
}

// next reads the next frame that is no ping or pong. It answers pings.
func (v *visit) next() (wstest.Frame, error) {
	for {
		f, err := v.p.Recv()
		switch {
		case err != nil:
			return f, err
		case f.Opcode == wstest.Ping:
			if !v.mute {
				// It may be that this fails because the server has closed meanwhile: what it
				// said before can be read.
				_ = v.p.Send(wstest.PongFrame(string(f.Payload)))
			}
		case f.Opcode == wstest.Pong:
			if v.pongs++; string(f.Payload) != "soak" || v.pongs > v.asked {
				return f, fmt.Errorf("a pong that was not asked for: %v", f)
			}
		default:
			return f, nil
		}
	}
}

// converse sends a message and waits for its echo, and notes how long that took.
func (v *visit) converse(opcode byte, payload []byte) error {
	start := time.Now()
	if err := v.send(opcode, payload); err != nil {
		return err
	}
	err := v.hear()
	if err == nil && len(payload) <= 64<<10 {
		v.load.record(time.Since(start))
	}
	return err
}

// bye sends a close frame with a code, 0 for none, and reads to the end.
func (v *visit) bye(code uint16, reason string) (Want, error) {
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

// end reads to the end, for which the server has to have sent code, and FIN.
func (v *visit) end(code uint16) error {
	for {
		f, err := v.next()
		if err != nil {
			break // End says how
		}
		if f.Opcode != wstest.Close {
			return fmt.Errorf("%v came after the last echo", f)
		}
	}
	e, err := v.p.End(patience)
	if err == nil && (e.Code != code || !e.FIN || e.Truncated) {
		err = fmt.Errorf("the end is %v, want close code %d and FIN", e, code)
	}
	return err
}

// want is what this visit's counts have to be.
func (v *visit) want(kind, by string) Want {
	return Want{
		Kind: kind, By: by, MessagesIn: v.said, MessagesOut: v.heard, BytesIn: v.saidBytes, BytesOut: v.gotBytes,
	}
}

// refused is the want of a visit that the server has ended, and told so.
func (v *visit) refused(kind string, code int) Want {
	w := v.want(kind, "local")
	w.Code, w.Sent, w.BytesIn = code, code, Any
	return w
}
