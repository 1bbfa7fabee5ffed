package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"example.com/wsecho/ending"
	"example.com/wsecho/heartbeat"
	"example.com/wsecho/internal/frame"
	"example.com/wsecho/internal/transport"
)

// A Conn is one WebSocket. Its methods are those of a [websocket.Conn]. In addition each
// read is checked and the reason for the end is recorded. One goroutine at a time may
// call Reader and Read; the other methods may be called concurrently.
//
// The methods accept the handler's own context, which costs nothing, or another one. If
// another one ends during the call, the connection ends with kind Closed. The server then
// sends 1001 if the socket accepts it at once. If the context has ended before the call,
// the call returns its error and the connection stays open.
//
// The end of a connection wakes every call on it.
//
// docs/architecture.md has the order of all locks.
type Conn struct {
	srv       *Server
	ws        *websocket.Conn
	tr        *transport.Conn
	heartbeat atomic.Pointer[heartbeat.Monitor] // nil: none; SetPingInterval replaces it beside Info
	state     atomic.Uint32                     // a state; written under mu; beside tr, as needsInspection reads both

	id                    uint64
	remote, ip, host, uri string
	subprotocol           string
	request               *requestLog // nil: nothing of it is logged
	value                 any
	connOptions           *ConnOptions // of Options.PerConn; nil: c is like the others

	ctx    context.Context // the handler's; it ends when c is closed
	cancel context.CancelCauseFunc

	timers   []*time.Timer // of MaxAge and IdleTimeout
	draining onceSignal    // set when a drain has reached c

	// Of the owner: the run, or else see parker.
	canPark     bool        // Options.ParkAfter applies
	neverPark   bool        // drainAtOnce was set, or the system cannot watch the socket
	polled      bool        // the parker's poller has the socket
	drainAtOnce bool        // a drain has begun before c was added
	started     atomic.Bool // OnStart has returned
	tickDue     time.Time   // of the heartbeat, while parked
	handlerErr  error       // of the handler called by ServeReady

	reading     sync.Mutex             // held by a read; see drainForReason
	msg         message                // in progress
	reads       uint                   // calls of Reader and of a message's Read; under reading
	lastMessage atomic.Int64           // when it was read, since the opening of the transport; only with an IdleTimeout
	writeFailed atomic.Pointer[error]  // the first error of a write
	writer      atomic.Pointer[writer] // the newest

	watched       watched       // see Server.watch
	reportedStuck atomic.Bool   // the log has a line about the handler, which does not return
	closeRead     chan struct{} // closed when the goroutine of CloseRead has returned; nil: there is none; under mu
	atOnce        chan struct{} // closed when closeAtOnce returns; nil: the reason is not from it; under mu

	pings pings

	mu        sync.Mutex
	reason    ending.Ending // why c ends, from closing on
	reasonAt  time.Time
	abort     *time.Timer           // armed from closing to teardown; under mu
	peerClose *websocket.CloseError // the peer's close frame; nil: none was received
}

// Reader waits for a message and returns its type and a reader of its payload. Read the
// payload to io.EOF before the next call. The reader checks that a text message is
// UTF-8 (RFC 6455, section 8.1). With Options.ParkAfter the error may be
// [ErrNoMessage]. Any other error means that the connection has ended.
func (c *Conn) Reader(ctx context.Context) (websocket.MessageType, io.Reader, error) {
	release, err := c.bind(ctx)
	if err != nil {
		return 0, nil, err
	}
	c.reading.Lock()
	defer c.reading.Unlock()
	c.reads++
	if c.msg.r != nil && c.msg.err == nil {
		release()
		// coder would parse the remaining payload as the next frame.
		c.msg.release()
		err := &ending.Error{Kind: ending.Failed, Cause: errors.New("a message was not read to its end before the next")}
		c.startClose(err.Ending())
		return 0, nil, err
	}
	size, idle := c.tr.Wait()
	if idle {
		release()
		return 0, nil, ErrNoMessage
	}
	typ, r, err := c.ws.Reader(context.Background())
	if err != nil {
		release()
		return 0, nil, c.readFailed(err)
	}
	c.msg.begin(r, typ == websocket.MessageText, size, release)
	return typ, &c.msg, nil
}

// Read returns the next message.
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

// Write sends a message. An error means that the message was not sent completely. The
// next Read reports the cause.
//
// When Write returns, the kernel may not have the message yet. If more input is buffered
// and the handler reads again at once, its messages are sent together. A message waits
// about a millisecond at most. The next read of the handler, a Ping or the end of the
// connection sends it earlier. See docs/limits.md.
func (c *Conn) Write(ctx context.Context, typ websocket.MessageType, p []byte) error {
	release, err := c.bind(ctx)
	if err != nil {
		return err
	}
	defer release()
	return c.recordWriteError(c.ws.Write(context.Background(), typ, p))
}

// Writer returns a writer of one message, which Close completes. Until then no other
// message can be sent.
func (c *Conn) Writer(ctx context.Context, typ websocket.MessageType) (io.WriteCloser, error) {
	release, err := c.bind(ctx)
	if err != nil {
		return nil, err
	}
	w, err := c.ws.Writer(context.Background(), typ)
	if err != nil {
		release()
		return nil, c.recordWriteError(err)
	}
	mw := &writer{c: c, w: w, release: release}
	if c.writer.Store(mw); c.isClosed() { // perhaps after releaseBinds
		release()
	}
	return mw, nil
}

// A writer writes one message. coder uses one writer for all messages. So a second Close
// of coder's writer would end the next message.
type writer struct {
	c       *Conn
	w       io.WriteCloser
	release func()
	closed  bool
}

var errWriterClosed = errors.New("server: the message writer is closed")

func (w *writer) Write(p []byte) (int, error) {
	if w.closed {
		return 0, errWriterClosed
	}
	n, err := w.w.Write(p)
	return n, w.c.recordWriteError(err)
}

func (w *writer) Close() error {
	if w.closed {
		return errWriterClosed
	}
	w.closed = true
	defer w.release()
	return w.c.recordWriteError(w.w.Close())
}

// recordWriteError records the first error of a write, and returns err.
func (c *Conn) recordWriteError(err error) error {
	if err != nil {
		first := err // a copy, so that err itself need not be on the heap
		c.writeFailed.CompareAndSwap(nil, &first)
	}
	return err
}

// Close sends a close frame with code and reason, which is truncated to 123 bytes. It
// blocks until the peer has answered or the CloseTimeout is over.
func (c *Conn) Close(code websocket.StatusCode, reason string) error {
	if !frame.LegalCode(code) {
		return fmt.Errorf("server: close code %d may not be sent (RFC 6455, section 7.4)", code)
	}
	if !c.startClose(ending.Ending{Kind: ending.Closed, Code: code, Reason: reason, By: ending.Local}) {
		return net.ErrClosed
	}
	return nil
}

// CloseNow closes the connection without sending a close frame. After a missed pong, or the
// end of a call's context, the connection is ending already. The peer then gets 1001.
func (c *Conn) CloseNow() error {
	won := c.setReason(ending.Ending{Kind: ending.Closed, By: ending.Local})
	c.mu.Lock()
	atOnce := c.atOnce
	c.mu.Unlock()
	if atOnce == nil { // else closeAtOnce ends each call, and perhaps has not sent its close frame
		c.tr.Abort()
	}
	if !won {
		return net.ErrClosed
	}
	c.setClosed()
	_ = c.ws.CloseNow() // a call may wait for a lock of coder
	return nil
}

// Draining returns a channel that is closed when the server drains the connection. The
// server sends 1001 after Options.DrainNotice, and nothing can be sent after that.
func (c *Conn) Draining() <-chan struct{} { return c.draining.done() }

// ID returns the number of c in its Server, from 1.
func (c *Conn) ID() uint64 { return c.id }

// SetReadLimit sets the ReadLimit of c in bytes. 0 means that of the Options, and negative
// means none. Call it in Options.OnStart, or between two messages on the goroutine that
// reads: it waits for a read in progress. A message of which the server has received the
// header keeps its limit.
func (c *Conn) SetReadLimit(limit int64) {
	limit = max(-1, cmp.Or(limit, c.srv.opts.ReadLimit))
	c.tr.SetReadLimit(limit)
	c.ws.SetReadLimit(limit)
}

// SetPingInterval sets the PingInterval of c. 0 means that of the Options, and negative
// means no heartbeat. If the PingTimeout of the Options is longer than d, the timeout of
// c becomes the default for d. A connection with a shorter interval than that of the
// Options is never parked. Call it in Options.OnStart; later it returns an error, as for
// a wrong interval.
func (c *Conn) SetPingInterval(d time.Duration) error {
	if c.started.Load() {
		return errors.New("server: SetPingInterval is for OnStart, and the heartbeat of this connection runs already")
	}
	o := c.srv.opts
	if d = cmp.Or(d, o.PingInterval); d > 0 && o.PingTimeout > d {
		o.PingTimeout = 0
	}
	c.neverPark = c.neverPark || d > 0 && (o.PingInterval < 0 || d < o.PingInterval)
	o.PingInterval = d
	if err := o.checkBounds(); err != nil {
		return err
	}
	m, err := o.monitor()
	if err != nil {
		return err
	}
	if m != nil {
		m.Use(c.tr)
	}
	c.heartbeat.Store(m)
	return nil
}

// Value returns the value that Options.Admit returned for the request.
func (c *Conn) Value() any { return c.value }

// Subprotocol returns the negotiated subprotocol, "" for none.
func (c *Conn) Subprotocol() string { return c.subprotocol }

// RemoteAddr returns the client's address as "IP:port". Behind a proxy of
// Options.TrustedProxies it is the one that the proxy names. It is the RemoteAddr of the
// request otherwise.
func (c *Conn) RemoteAddr() string { return c.remote }

// noRelease is the release function of a bind of the handler's own context.
var noRelease = func() {}

// bind ends the connection if ctx ends before release is called. The handler's own
// context ends only with the connection. The error is that of a ctx that has ended.
func (c *Conn) bind(ctx context.Context) (release func(), err error) {
	if ctx == c.ctx || ctx.Done() == nil || ctx.Done() == c.ctx.Done() {
		return noRelease, nil
	}
	if ctx.Err() != nil {
		return nil, contextError(ctx)
	}
	stop := c.closeAfter(ctx)
	return func() { stop() }, nil
}

// closeAfter ends the connection when ctx ends, until stop is called.
func (c *Conn) closeAfter(ctx context.Context) (stop func() bool) {
	return context.AfterFunc(ctx, func() {
		c.closeAtOnce(ending.Ending{Kind: ending.Closed, By: ending.Local, Cause: context.Cause(ctx)})
	})
}

// releaseBinds releases the contexts of a message and of a writer that the handler has not
// finished. Such a context may outlive c, and it would keep c in memory. c is closed, so
// no other message or writer begins.
func (c *Conn) releaseBinds() {
	c.reading.Lock()
	c.msg.release()
	c.reading.Unlock()
	if w := c.writer.Load(); w != nil {
		w.release()
	}
}

// contextError returns the error of a context that has ended, with its cause.
func contextError(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if err == cause {
		return fmt.Errorf("server: the context has ended: %w", err)
	}
	return fmt.Errorf("server: the context has ended: %w: %w", err, cause)
}

// readFailed ends the connection for the error of a read, and returns the error that
// describes the reason best.
func (c *Conn) readFailed(err error) error {
	if websocket.CloseStatus(err) == -1 {
		err = c.readReason(err)
	}
	if !c.startClose(ending.Of(err)) && c.peerClosedFirst() {
		_ = c.ws.CloseNow() // coder has answered the close frame
		c.setClosed()
	}
	return err
}

// readReason returns the reason behind an error that is no close frame. If coder has
// closed the transport, its error is net.ErrClosed. Then the transport or a write may have
// the reason.
func (c *Conn) readReason(err error) error {
	var known *ending.Error
	first, failed := c.tr.Err(), c.writeFailed.Load()
	switch {
	case errors.As(err, &known):
	case errors.As(first, &known):
		err = known
	case errors.Is(err, net.ErrClosed) && first == net.ErrClosed:
		// The goroutine that closed may have read the close frame instead.
		c.mu.Lock()
		frame := c.peerClose
		c.mu.Unlock()
		if frame != nil {
			return fmt.Errorf("received close frame: %w", *frame)
		}
		if failed != nil {
			return *failed
		}
	case errors.Is(err, net.ErrClosed) && first != nil:
		return first
	case errors.Is(err, net.ErrClosed) && failed != nil:
		return *failed
	}
	return err
}
