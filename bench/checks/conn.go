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

	gone atomic.Bool // the server accepts no connections
}

func newTarget(ctx context.Context, addr string, o Options) *target {
	if o.TLS != nil {
		return &target{ctx: ctx, url: "wss://" + addr + "/", tls: o.TLS}
	}
	return &target{ctx: ctx, url: "ws://" + addr + "/"}
}

// A conn is one connection to the target.
type conn struct {
	*wstest.Peer
	release  func() bool
	received []reply       // replies that next has not returned yet
	message  *wstest.Frame // the unfinished message; nil: none
	drop     bool          // discard the payloads of messages
}

// dialSlots limits concurrent dials, because a hundred TLS handshakes at once take long.
var dialSlots = make(chan struct{}, 8)

// dial connects. When the context ends, it resets the connection.
func (s *target) dial(dial func(string, wstest.DialOptions) (*wstest.Peer, error), extensions string) (*conn, error) {
	select {
	case dialSlots <- struct{}{}:
		defer func() { <-dialSlots }()
	case <-s.ctx.Done():
		return nil, context.Cause(s.ctx)
	}
	d := net.Dialer{Timeout: replyTimeout}
	p, err := dial(s.url, wstest.DialOptions{
		Extensions: extensions, TLS: s.tls, Timeout: replyTimeout,
		Dial: func(network, addr string) (net.Conn, error) { return d.DialContext(s.ctx, network, addr) },
	})
	if err != nil {
		return nil, s.cause(err)
	}
	return &conn{Peer: p, release: context.AfterFunc(s.ctx, func() { _ = p.RST() })}, nil
}

// cause returns the cause of the context if the context has ended, or err.
func (s *target) cause(err error) error {
	if err != nil && s.ctx.Err() != nil {
		return context.Cause(s.ctx)
	}
	return err
}

// end resets the connection. No check evaluates the server's reaction.
func (t *conn) end() {
	t.release()
	_ = t.RST()
}

// on returns a trial that calls do after the handshake.
func on(name string, do func(*target, *conn) (verdict, error)) trial {
	return with("", name, do)
}

// with is like on, with an extension that the server must accept.
func with(extensions, name string, do func(*target, *conn) (verdict, error)) trial {
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
	nothing kind = iota // no frame within the time
	message             // complete
	pong
	closing // a close frame
	ended   // the end of TCP, without a close frame
	illegal // a frame that no server may send
)

// A reply is a reaction of the server.
type reply struct {
	kind  kind
	text  string // a short description
	frame wstest.Frame
	code  uint16 // of a close frame
}

// next waits for a reply, for at most d.
func (t *conn) next(d time.Duration) (reply, error) {
	if len(t.received) == 0 {
		ctx, cancel := context.WithTimeout(context.Background(), d)
		defer cancel()
		// Answer must not send pongs or close frames: the trial sends all frames itself.
		e, err := t.Answer(ctx, wstest.AnswerOptions{NoPong: true, NoClose: true, Each: func(f wstest.Frame) {
			if r, whole := t.add(f); whole {
				t.received = append(t.received, r)
				cancel()
			}
		}})
		if len(t.received) == 0 {
			return endReply(e, err, d)
		}
	}
	r := t.received[0]
	t.received = t.received[1:]
	return r, nil
}

// endReply describes the end of the stream, or returns nothing if it has not ended.
func endReply(e wstest.End, err error, d time.Duration) (reply, error) {
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return reply{text: fmt.Sprintf("nothing in %.3g s", d.Seconds())}, nil
	case err != nil:
		return reply{}, err
	case e.RST:
		return reply{kind: ended, text: "TCP reset without a close frame"}, nil
	case e.Truncated:
		return reply{kind: ended, text: "TCP closed inside a frame"}, nil
	}
	return reply{kind: ended, text: "TCP closed without a close frame"}, nil
}

// add adds a received frame, and reports whether it completes a reply.
func (t *conn) add(f wstest.Frame) (r reply, whole bool) {
	if v := t.violation(f); v != "" {
		return reply{kind: illegal, text: "sent an illegal frame: " + v, frame: f}, true
	}
	switch f.Opcode {
	case wstest.Ping: // the server's heartbeat
		return reply{}, false
	case wstest.Pong:
		return reply{kind: pong, text: "answered with a pong", frame: f}, true
	case wstest.Close:
		r := reply{kind: closing, frame: f}
		r.code, _ = wstest.ParseClose(f.Payload)
		switch len(f.Payload) {
		case 0:
			r.text = "closed with no code"
		case 1:
			r.text = "closed with one byte"
		default:
			r.text = fmt.Sprintf("closed with %d", r.code)
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
	return reply{kind: message, text: "echoed", frame: m}, true
}

// violation returns the reason why a server must not send f now, or "".
func (t *conn) violation(f wstest.Frame) string {
	h := frame.Header{First: f.Rsv<<4 | f.Opcode, Masked: f.Masked, Length: uint64(len(f.Payload))}
	if f.Fin {
		h.First |= frame.Fin
	}
	if err := h.CheckServer(t.message != nil, t.Response.Header.Get("Sec-WebSocket-Extensions") != ""); err != nil {
		return err.Error()
	}
	return ""
}

// fails reports whether the server has failed the connection (section 7.1.7). The end of
// TCP suffices, because the close frame is a SHOULD. The code 1000 means success, so it
// does not count.
func (r reply) fails() bool {
	if r.kind == closing && !r.empty() {
		return r.legal() && r.code != 1000
	}
	return r.kind == closing || r.kind == ended
}

// legal reports whether a close frame may have this code (section 7.4). Codes that the
// IANA has registered later are legal too.
func (r reply) legal() bool { return frame.LegalCode(websocket.StatusCode(r.code)) }

// empty reports whether a close frame had no payload.
func (r reply) empty() bool { return len(r.frame.Payload) == 0 }
