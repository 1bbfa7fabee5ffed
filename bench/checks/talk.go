package checks

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"example.com/wsecho/internal/frame"
	"example.com/wsecho/wstest"
)

// A target is the checked server.
type target struct {
	ctx context.Context
	url string
	tls *tls.Config

	gone atomic.Bool // it accepts no connections
}

func newTarget(ctx context.Context, addr string, o Options) *target {
	if o.TLS != nil {
		return &target{ctx: ctx, url: "wss://" + addr + "/", tls: o.TLS}
	}
	return &target{ctx: ctx, url: "ws://" + addr + "/"}
}

// A talk is one connection to it.
type talk struct {
	*wstest.Peer
	release  func() bool
	received []reply       // replies that next has not returned yet
	message  *wstest.Frame // begun; nil: none
	drop     bool          // payloads of messages, as they come
}

// dialing is for so many at once: a hundred handshakes of TLS take long together.
var dialing = make(chan struct{}, 8)

// dial connects. The connection is reset when the context ends.
func (s *target) dial(dial func(string, wstest.DialOptions) (*wstest.Peer, error), extensions string) (*talk, error) {
	select {
	case dialing <- struct{}{}:
		defer func() { <-dialing }()
	case <-s.ctx.Done():
		return nil, context.Cause(s.ctx)
	}
	d := net.Dialer{Timeout: patience}
	p, err := dial(s.url, wstest.DialOptions{
		Extensions: extensions, TLS: s.tls, Timeout: patience,
		Dial: func(network, addr string) (net.Conn, error) { return d.DialContext(s.ctx, network, addr) },
	})
	if err != nil {
		return nil, s.cause(err)
	}
	return &talk{Peer: p, release: context.AfterFunc(s.ctx, func() { _ = p.RST() })}, nil
}

// cause is the context's where that has ended.
func (s *target) cause(err error) error {
	if err != nil && s.ctx.Err() != nil {
		return context.Cause(s.ctx)
	}
	return err
}

// end gives the connection up. What the server makes of that is not looked at.
func (t *talk) end() {
	t.release()
	_ = t.RST()
}

// on makes a trial of what is said on a connection after the handshake.
func on(name string, do func(*target, *talk) (verdict, error)) trial {
	return with("", name, do)
}

// with is on with an extension that the server has to accept.
func with(extensions, name string, do func(*target, *talk) (verdict, error)) trial {
	return trial{name, func(s *target) (verdict, error) {
		t, err := s.dial(wstest.Dial, extensions)
		if err != nil {
			return verdict{}, err
		}
		defer t.end()
		if extensions != "" && t.Response.Header.Get("Sec-WebSocket-Extensions") == "" {
			return verdict{}, fmt.Errorf("the server did not accept %s", extensions)
		}
		v, err := do(s, t)
		return v, s.cause(err)
	}}
}

// The kinds of replies.
type kind int

const (
	nothing kind = iota // until the time was up
	message             // whole
	pong
	closing // a close frame
	ended   // TCP, without a close frame
	illegal // a frame that no server may send
)

// A reply is what it did.
type reply struct {
	kind  kind
	said  string // in a few words
	frame wstest.Frame
	code  uint16 // of a close frame
}

// next waits for a reply, for at most d.
func (t *talk) next(d time.Duration) (reply, error) {
	if len(t.received) == 0 {
		ctx, cancel := context.WithTimeout(context.Background(), d)
		defer cancel()
		// No answer to anything: that would be more than was asked.
		e, err := t.Answer(ctx, wstest.AnswerOptions{NoPong: true, NoClose: true, Each: func(f wstest.Frame) {
			if r, whole := t.take(f); whole {
				t.received = append(t.received, r)
				cancel()
			}
		}})
		if len(t.received) == 0 {
			return over(e, err, d)
		}
	}
	r := t.received[0]
	t.received = t.received[1:]
	return r, nil
}

// over says how the stream has ended, or that it has not.
func over(e wstest.End, err error, d time.Duration) (reply, error) {
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return reply{said: fmt.Sprintf("nothing in %.3g s", d.Seconds())}, nil
	case err != nil:
		return reply{}, err
	case e.RST:
		return reply{kind: ended, said: "TCP reset without a close frame"}, nil
	case e.Truncated:
		return reply{kind: ended, said: "TCP closed inside a frame"}, nil
	}
	return reply{kind: ended, said: "TCP closed without a close frame"}, nil
}

// take takes a frame, and reports whether it makes a reply.
func (t *talk) take(f wstest.Frame) (r reply, whole bool) {
	if v := t.violation(f); v != "" {
		return reply{kind: illegal, said: "sent an illegal frame: " + v, frame: f}, true
	}
	switch f.Opcode {
	case wstest.Ping: // the server's heartbeat
		return reply{}, false
	case wstest.Pong:
		return reply{kind: pong, said: "answered with a pong", frame: f}, true
	case wstest.Close:
		r := reply{kind: closing, frame: f}
		r.code, _ = wstest.ParseClose(f.Payload)
		switch len(f.Payload) {
		case 0:
			r.said = "closed with no code"
		case 1:
			r.said = "closed with half a code"
		default:
			r.said = fmt.Sprintf("closed with %d", r.code)
		}
		return r, true
	}
	if t.message == nil {
		t.message = &wstest.Frame{Rsv: f.Rsv, Opcode: f.Opcode}
	}
	if !t.drop {
		t.message.Payload = append(t.message.Payload, f.Payload...)
	}
	if !f.Fin {
		return reply{}, false
	}
	m := *t.message
	t.message = nil
	return reply{kind: message, said: "echoed", frame: m}, true
}

// violation says why no server may send f now; "" if it may.
func (t *talk) violation(f wstest.Frame) string {
	h := frame.Header{First: f.Rsv<<4 | f.Opcode, Masked: f.Masked, Length: uint64(len(f.Payload))}
	if f.Fin {
		h.First |= frame.Fin
	}
	if err := h.CheckServer(t.message != nil, t.Response.Header.Get("Sec-WebSocket-Extensions") != ""); err != nil {
		return err.Error()
	}
	return ""
}

// fails reports whether the server has failed the connection (section 7.1.7).
// It should say why with an appropriate code but need not, so that the end of
// TCP alone is enough. 1000 says that all was well, which it was not.
func (r reply) fails() bool {
	if r.kind == closing && !r.empty() {
		return r.legal() && r.code != 1000
	}
	return r.kind == closing || r.kind == ended
}

// legal reports whether the code of a close frame may be sent (section 7.4). It may be
// one that the IANA has registered since.
func (r reply) legal() bool { return frame.LegalCode(websocket.StatusCode(r.code)) }

// empty reports whether a close frame had no payload.
func (r reply) empty() bool { return len(r.frame.Payload) == 0 }
