package probe

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"os"
	"time"

	"example.com/wsecho/internal/frame"
)

// An idleTrial is the result of one connection.
type idleTrial struct {
	silence    time.Duration // up to the end, or the whole one
	survived   bool
	seen       bool
	code       int
	reason     string
	serverSent bool
	err        error
}

// trial opens a connection, is silent, and sends a ping.
func (o IdleOptions) trial(parent context.Context, rawURL string, silence time.Duration) (t idleTrial) {
	p, ctx, cancel, err := newProbing(parent, rawURL, o.Connect)
	if err != nil {
		return idleTrial{err: err}
	}
	defer cancel()
	if err := p.run(ctx, stepFunc{Connect, p.connect}, stepFunc{TLS, p.secure}, stepFunc{Handshake, p.handshake}); err != nil {
		p.teardown(ctx, false)
		return idleTrial{err: err}
	}
	tcp := p.conn.tcp
	defer func() {
		_ = tcp.SetWriteDeadline(time.Now().Add(time.Second))
		_ = p.conn.write(frame.Close, normalClosure)
		_ = tcp.Close()
	}()
	p.conn.stop()
	_ = tcp.SetDeadline(time.Time{})
	defer context.AfterFunc(parent, func() { _ = tcp.SetReadDeadline(past) })()

	began := time.Now()
	until := began.Add(silence)
	step := max(min(silence/20, time.Second), 20*time.Millisecond)
	next := began.Add(step) // the time of a pong of this side
	for {
		wait := until
		if o.Silent == ServerSilent && next.Before(until) {
			wait = next
		}
		ended, m, err := p.conn.within(parent, wait, p.o.Timeout)
		switch {
		case parent.Err() != nil:
			return idleTrial{err: context.Cause(parent)}
		case ended || m.opcode == frame.Close:
			t.silence = time.Since(began)
			t.ends(m, err)
			return t
		case err == nil: // a frame by the server
			t.serverSent = true
			if o.Silent == ServerSilent && m.opcode == frame.Ping {
				_ = p.conn.write(frame.Pong, m.bytes)
			}
			continue
		}
		if time.Now().Before(until) {
			_ = tcp.SetWriteDeadline(time.Now().Add(p.o.Timeout))
			if p.conn.write(frame.Pong, nil) != nil {
				t.silence, t.seen = time.Since(began), true
				return t
			}
			next = time.Now().Add(step)
			continue
		}
		break
	}
	t.silence = silence
	nonce := []byte(rand.Text())
	limit := time.Now().Add(p.o.Timeout)
	_ = tcp.SetWriteDeadline(limit)
	if p.conn.write(frame.Ping, nonce) != nil {
		return t
	}
	for {
		ended, m, err := p.conn.within(parent, limit, p.o.Timeout)
		switch {
		case parent.Err() != nil:
			return idleTrial{err: context.Cause(parent)}
		case errors.Is(err, io.EOF) || err == nil && m.opcode == frame.Close: // no answer to the ping: it crossed the end
			t.ends(m, err)
			return t
		case ended || err != nil:
			return t
		case m.opcode == frame.Pong && string(m.bytes) == string(nonce):
			t.survived = true
			return t
		}
	}
}

// ends records an end that was seen. m is the close frame if err is nil.
func (t *idleTrial) ends(m message, err error) {
	t.seen = true
	if m.opcode == frame.Close && err == nil {
		code, reason, _ := frame.ParseClose(m.bytes)
		t.code, t.reason = code, string(reason)
	}
}

// within reads a frame that begins before a time. The rest of the frame may take timeout.
// ended reports that the stream has ended or is wrong. Without a frame, err is
// os.ErrDeadlineExceeded, or the cause of ctx. The end of ctx sets a read deadline too.
func (c *conn) within(ctx context.Context, begins time.Time, timeout time.Duration) (ended bool, m message, err error) {
	if err := c.readBy(ctx, begins); err != nil {
		return false, message{}, err
	}
	if _, err := c.br.Peek(1); err != nil {
		return !errors.Is(err, os.ErrDeadlineExceeded), message{}, err
	}
	if err := c.readBy(ctx, time.Now().Add(timeout)); err != nil {
		return false, message{}, err
	}
	m, err = c.frame()
	return err != nil, m, err
}

// readBy sets the read deadline. It fails if ctx has ended, because t may have replaced the
// deadline that the end of ctx has set.
func (c *conn) readBy(ctx context.Context, t time.Time) error {
	_ = c.tcp.SetReadDeadline(t)
	return context.Cause(ctx)
}
