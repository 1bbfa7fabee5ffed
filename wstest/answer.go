package wstest

import (
	"context"
	"time"
)

// AnswerOptions say how [Peer.Answer] answers. The zero value is a correct peer
// that drops all messages.
type AnswerOptions struct {
	// NoPong leaves pings unanswered, NoClose close frames.
	NoPong  bool
	NoClose bool

	// Pong returns the payload of the pong for that of the ping. Nil is the
	// same payload, as it should be.
	Pong func(ping []byte) []byte

	// Code answers a close frame with this code and no reason, instead of with
	// the same payload. Zero is the same payload.
	Code uint16

	// Echo sends every frame of a message back as it came, but unmasked or
	// masked anew.
	Echo bool

	// Each is called with every frame before it is answered. It may use the
	// peer to write. Nil is nothing.
	Each func(Frame)
}

// Answer reads frames and answers them until the stream ends or ctx does, and
// returns how, as [Peer.End] would. It answers one close frame, and none if
// Send has sent one; after the second of the two a server sends FIN (section
// 7.1.1) and a client reads on. The caller still has to close the peer.
//
// Once a write fails there are no more answers; Answer reads on. Other
// goroutines may write meanwhile. The error is the cause of ctx if that is what
// ended it, and the peer can be used further.
func (p *Peer) Answer(ctx context.Context, o AnswerOptions) (End, error) {
	p.conn.SetReadDeadline(time.Time{})
	interrupted := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(interrupted)
		p.conn.SetReadDeadline(time.Unix(1, 0))
	})
	mute := false
	e, err := p.drain(time.Now(), func(f Frame) {
		if o.Each != nil {
			o.Each(f)
		}
		if !mute {
			mute = p.answer(f, o) != nil
		}
	})
	if !stop() {
		// The deadline that this sets must not hit whoever reads next.
		<-interrupted
		if err != nil {
			err = context.Cause(ctx)
		}
	}
	return e, err
}

// answer answers one frame.
func (p *Peer) answer(f Frame, o AnswerOptions) error {
	reply := Frame{Fin: f.Fin, Rsv: f.Rsv, Opcode: f.Opcode, Payload: f.Payload}
	switch f.Opcode {
	case Pong:
		return nil
	case Ping:
		if o.NoPong {
			return nil
		}
		reply.Opcode = Pong
		if o.Pong != nil {
			reply.Payload = o.Pong(f.Payload)
		}
		return p.Send(reply)
	case Close:
		if o.NoClose {
			return nil
		}
		if o.Code != 0 {
			reply.Payload = CloseBody(o.Code, "")
		}
		if err := p.sendCloseOnce(reply); err != nil {
			return err
		}
		if p.server {
			return p.FIN()
		}
		return nil
	}
	if !o.Echo {
		return nil
	}
	return p.Send(reply)
}

// sendCloseOnce sends a close frame unless a close frame was sent before.
func (p *Peer) sendCloseOnce(f Frame) error {
	b, _ := p.encode([]Frame{f})
	p.writing.Lock()
	defer p.writing.Unlock()
	if p.sentClose {
		return nil
	}
	p.sentClose = true
	return p.write(b)
}

// Echo is a handler for [Serve] that is a correct server which sends every
// message back.
func Echo(p *Peer) {
	p.Answer(context.Background(), AnswerOptions{Echo: true})
}

// Silent is a handler for [Serve] that reads nothing and writes nothing until
// the test ends or the peer is closed. A client is silent by doing nothing.
func Silent(p *Peer) {
	<-p.closed
}
