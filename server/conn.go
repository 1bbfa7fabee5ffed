package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
	"golang.org/x/sync/errgroup"

	"example.com/wsecho/ending"
	"example.com/wsecho/heartbeat"
	"example.com/wsecho/internal/frame"
	"example.com/wsecho/internal/transport"
)

// A Conn is one WebSocket. Its methods are those of a [websocket.Conn]; what
// they add is that each read is checked and each ending is noted. Reader and
// Read are for one goroutine at a time, the rest for any.
//
// The contexts that the methods take may be the handler's own, which costs
// nothing, or others: when one of those ends during the call, so does the
// connection, with kind Local.
type Conn struct {
	srv  *Server
	ws   *websocket.Conn
	tr   *transport.Conn
	beat *heartbeat.Monitor // nil: no heartbeat

	id                    uint64
	remote, ip, host, uri string
	subprotocol           string
	value                 any

	ctx    context.Context // the handler's, which lasts as long as c does
	cancel context.CancelFunc
	pulse  pulse

	timers   []*time.Timer // of age and idleness
	group    errgroup.Group
	rests    bool  // between messages there is no handler
	handled  error // what the handler has returned in an Attend
	draining latch // set when a drain has reached c

	reading     sync.Mutex            // held by a read; see learn
	msg         message               // that is being read
	lastMessage atomic.Int64          // when it began, in Unix nanoseconds; only with an IdleTimeout
	writeFailed atomic.Pointer[error] // the first error of a write

	pings pings

	mu     sync.Mutex
	end    ending.Ending // the first reason; Open until there is one
	ended  time.Time
	hasEnd atomic.Bool // there is one: set under mu, read without
	over   latch       // set when the goodbye for it, if any, is done

	answered bool // a close frame that has left is no goodbye: set before over is
}

// Reader waits for a message and returns its type and a reader of its payload,
// which must be read to io.EOF before the next. A text message is checked to be
// UTF-8 as it is read (RFC 6455, section 8.1). The error is [ErrIdle] where
// Options.Stateless asks for that; any other is of the connection's end.
func (c *Conn) Reader(ctx context.Context) (websocket.MessageType, io.Reader, error) {
	c.reading.Lock()
	defer c.reading.Unlock()
	if c.msg.r != nil && c.msg.err == nil {
		// coder would take what is left for the next frame.
		c.msg.release()
		err := &ending.Error{Kind: ending.Failed, Cause: errors.New("a message was not read to its end before the next")}
		c.conclude(err.Ending())
		return 0, nil, err
	}
	release := c.bind(ctx)
	size, idle := c.tr.Wait()
	if idle {
		release()
		return 0, nil, ErrIdle
	}
	typ, r, err := c.ws.Reader(context.Background())
	if err != nil {
		release()
		return 0, nil, c.readFailed(err)
	}
	c.msg.begin(r, typ == websocket.MessageText, size, release)
	return typ, &c.msg, nil
}

// Read returns the next message whole.
func (c *Conn) Read(ctx context.Context) (websocket.MessageType, []byte, error) {
	typ, r, err := c.Reader(ctx)
	if err != nil {
		return 0, nil, err
	}
	p, err := io.ReadAll(r)
	if err != nil {
		return 0, nil, err
	}
	return typ, p, nil
}

// Write sends a message. An error says that it was not sent whole, not why; the
// next read knows.
func (c *Conn) Write(ctx context.Context, typ websocket.MessageType, p []byte) error {
	defer c.bind(ctx)()
	return c.wrote(c.ws.Write(context.Background(), typ, p))
}

// Writer returns a writer of one message; it is sent when the writer is closed.
// Until then no other message can be.
func (c *Conn) Writer(ctx context.Context, typ websocket.MessageType) (io.WriteCloser, error) {
	release := c.bind(ctx)
	w, err := c.ws.Writer(context.Background(), typ)
	if err != nil {
		release()
		return nil, c.wrote(err)
	}
	return &writer{c: c, w: w, release: release}, nil
}

// A writer writes one message. What coder gives out is the same for every
// message: closed twice, it would end the next one.
type writer struct {
	c       *Conn
	w       io.WriteCloser
	release func()
	closed  bool
}

var errWriterClosed = errors.New("server: the writer of the message is closed")

func (w *writer) Write(p []byte) (int, error) {
	if w.closed {
		return 0, errWriterClosed
	}
	n, err := w.w.Write(p)
	return n, w.c.wrote(err)
}

func (w *writer) Close() error {
	if w.closed {
		return errWriterClosed
	}
	w.closed = true
	defer w.release()
	return w.c.wrote(w.w.Close())
}

// wrote notes that a write has failed.
func (c *Conn) wrote(err error) error {
	if err != nil {
		first := err // a copy, so that err itself need not be on the heap
		c.writeFailed.CompareAndSwap(nil, &first)
	}
	return err
}

// Close ends the connection with code and reason, of at most 123 bytes. It
// returns when the peer has answered or the CloseTimeout is over.
func (c *Conn) Close(code websocket.StatusCode, reason string) error {
	if !frame.LegalCode(code) {
		return fmt.Errorf("server: close code %d may not be sent (RFC 6455, section 7.4)", code)
	}
	if !c.conclude(ending.Ending{Kind: ending.Closed, Code: code, Reason: reason, By: ending.Local}) {
		return net.ErrClosed
	}
	return nil
}

// CloseNow ends the connection without a word.
func (c *Conn) CloseNow() error {
	won := c.note(ending.Ending{Kind: ending.Closed, By: ending.Local})
	c.tr.Abort()
	if !won {
		return net.ErrClosed
	}
	c.answered = true
	c.over.release()
	c.stop()
	return nil
}

// Draining is closed when the server ends and asks to finish. After
// Options.DrainNotice the peer is told 1001 and nothing more can be sent.
func (c *Conn) Draining() <-chan struct{} { return c.draining.done() }

// Value returns the value that Options.Admit returned for the request.
func (c *Conn) Value() any { return c.value }

// Subprotocol is the subprotocol that was chosen; "" where there is none.
func (c *Conn) Subprotocol() string { return c.subprotocol }

// RemoteAddr is the request's, as "IP:port".
func (c *Conn) RemoteAddr() string { return c.remote }

// nothing is what a bind of the handler's own context releases.
var nothing = func() {}

// bind ends the connection if ctx ends before release is called. The handler's
// own context needs no watching: run does that, once.
func (c *Conn) bind(ctx context.Context) (release func()) {
	if ctx == c.ctx || ctx.Done() == nil || ctx.Done() == c.ctx.Done() {
		return nothing
	}
	stop := context.AfterFunc(ctx, func() {
		c.tr.Fail(&ending.Error{Kind: ending.Closed, Cause: context.Cause(ctx)})
		c.conclude(ending.Ending{Kind: ending.Closed, By: ending.Local, Cause: context.Cause(ctx)})
	})
	return func() { stop() }
}

// readFailed notes how the connection ended, and returns the error that tells
// it best.
func (c *Conn) readFailed(err error) error {
	if websocket.CloseStatus(err) == -1 {
		err = c.truth(err)
	}
	c.conclude(ending.Of(err))
	return err
}

// truth finds the reason behind an error that is no close frame. Where coder has
// closed, it says net.ErrClosed in its place, but the transport saw it first.
func (c *Conn) truth(err error) error {
	var known *ending.Error
	first, failed := c.tr.Err(), c.writeFailed.Load()
	switch {
	case errors.As(err, &known):
	case errors.As(first, &known):
		err = known
	case errors.Is(err, net.ErrClosed) && first == net.ErrClosed:
		// Whoever closed may have read the frame that this read waited for.
		if code, reason := c.tr.PeerClose(); code != 0 {
			return fmt.Errorf("received close frame: %w", websocket.CloseError{Code: code, Reason: reason})
		}
		if failed != nil {
			return *failed
		}
	case errors.Is(err, net.ErrClosed) && first != nil:
		return first
	case errors.Is(err, net.ErrClosed) && failed != nil: // there was no more to learn
		return *failed
	}
	return err
}
