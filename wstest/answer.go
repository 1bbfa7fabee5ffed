package wstest

import (
	"context"
	"time"
)

// AnswerOptions configure [Peer.Answer]. The zero value is a correct peer that drops all
// messages.
type AnswerOptions struct {
	// NoPong answers no ping. NoClose answers no close frame.
	NoPong  bool
	NoClose bool

	// Pong returns the payload of the pong for that of the ping. Nil: the same payload,
	// as RFC 6455 requires.
	Pong func(ping []byte) []byte

	// Code is the code of the answer to a close frame, without a reason. 0: the answer
	// has the payload of the peer's frame.
	Code uint16

	// Echo sends each frame of a message back, unmasked or with a new mask.
	Echo bool

	// Each is called with each frame before its answer. It may write with the peer. Nil:
	// not called.
	Each func(Frame)
}

// Answer reads frames and answers them until the stream or ctx ends. It returns the End of
// the stream, as [Peer.End] does. It answers one close frame, or none if Send has sent
// one. After both close frames a server sends FIN (section 7.1.1), and a client continues
// to read. The caller must still close the peer.
//
// If a write fails, Answer sends nothing more and continues to read. Other goroutines may
// write meanwhile. If ctx has ended Answer, the error is its cause, and the peer can still
// be used.
func (p *Peer) Answer(ctx context.Context, o AnswerOptions) (End, error) {
	p.conn.SetReadDeadline(time.Time{})
	interrupted := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(interrupted)
		p.conn.SetReadDeadline(time.Unix(1, 0))
	})
	failed := false // a write
	e, err := p.drain(time.Now(), func(f Frame) {
		if o.Each != nil {
			o.Each(f)
		}
		if !failed {
			failed = p.answer(f, o) != nil
		}
	})
	if !stop() {
		// Its deadline must not interrupt the next read.
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

// Echo is a handler for [Serve]: a correct server that sends each message back.
func Echo(p *Peer) {
	p.Answer(context.Background(), AnswerOptions{Echo: true})
}

// Silent is a handler for [Serve] that reads and writes nothing until the test ends or the
// peer is closed.
func Silent(p *Peer) {
	<-p.closed
}
