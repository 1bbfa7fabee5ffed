// Package transport is the net.Conn under a server's WebSocket. It is between
// github.com/coder/websocket and the socket. Only package server uses it.
//
//   - Errors. The end of the stream is an error of its own. coder would treat an io.EOF
//     as the end of a message.
//   - Bounds. Each wait for the peer inside a message, each write and each close has a
//     deadline. A violation of the protocol is found before coder sees it. A close
//     frame with a code then answers it.
//   - Economy. A connection that waits has no buffer. Replies are sent together if the
//     handler reads again at once. With ServeReady a message needs two system calls.
//   - State for the heartbeat. It has the time of the last byte, and whether a read waits.
//     It also has the time at which the ping left, and the bytes that the kernel has not
//     sent.
//
// The files have these tasks:
//
//   - read.go passes input to coder. from_socket.go reads it.
//   - wait.go and ready.go wait for input. park.go prepares a wait without a goroutine.
//   - write.go sends output. flusher.go decides whether replies are batched, and sends a
//     batch that has waited too long. stall.go bounds a write with too little progress.
//   - control.go inserts pings and pongs between frames.
//   - tryclose.go, pending_close.go and hangup.go end the connection.
//   - compress.go and decompress.go apply permessage-deflate between coder and the others.
//
// Packages frame, socket, deflate and fairness implement frames, system calls, compressed
// messages and yielding.
package transport

import (
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/coder/websocket"

	"example.com/wsecho/internal/deflate"
	"example.com/wsecho/internal/fairness"
	"example.com/wsecho/internal/frame"
	"example.com/wsecho/internal/socket"
)

// Options are the bounds of a Conn. The server sets all of them. A timeout of 0 is none.
type Options struct {
	Read, Write    *Pool           // of the buffers; a Conn has one only while it contains something
	ReadLimit      int64           // bytes of one message's payload, inflated; negative: none
	Deflate        *deflate.Params // the negotiated parameters of permessage-deflate; nil: none
	MessageTimeout time.Duration   // of the waits inside a message
	WriteTimeout   time.Duration   // of a write that makes too little progress
	MinWriteRate   int64           // the bytes per second of enough progress; 0: any progress is enough
	ServeReady     bool            // ServeReady waits for messages, and Wait does not; ignored if CanPark is false
	Flusher        *Flusher        // of the server; nil: each reply is sent at once

	// The reader calls these for each ping, each pong, and the peer's close frame. It
	// calls OnClose before coder sees the frame. If OnClose returns false, coder does not see
	// the frame and does not answer it. Hangup may call OnClose instead.
	// Nil: not called.
	OnPing  func()
	OnPong  func(payload []byte)
	OnClose func(code websocket.StatusCode, reason string) (answer bool)

	// Pong answers each ping, instead of a pong with the ping's payload. It may call send
	// with another payload of at most 125 bytes, later, or never. After the end of the
	// Conn, send does nothing. Nil: the payload is sent at once.
	Pong func(payload []byte, send func(payload []byte))
}

// A Conn is the stream that coder/websocket reads and writes. coder's locks ensure that
// one goroutine at a time calls Read. The other methods may be called concurrently.
type Conn struct {
	opts     Options
	sock     net.Conn        // what net/http accepted: TCP, TLS, a unix socket, a pipe
	base     net.Conn        // the connection beneath TLS; without TLS it is sock
	isTCP    bool            // sock is TCP, without TLS
	raw      syscall.RawConn // of sock, for system calls of this package; nil: sock has none
	openedAt time.Time

	mu            sync.Mutex // guards the fields up to lastFrame
	writeBy       time.Time  // the deadline of writes while lockSoon waits; zero: none
	readDeadline  time.Time  // the read deadline that is set now
	writeDeadline time.Time  // the write deadline that is set now
	interruptible bool       // a read that waits now is one of Wait or ServeReady
	closed        bool       // coder has closed: nothing more is written, unless lastFrame is set
	lastFrame     *pendingClose

	pendingReset atomic.Pointer[error] // a socket error that a write or a peek has met; the kernel reports it once

	closeBy       atomic.Pointer[time.Time] // the deadline of every wait for the peer; nil: not closing; set under mu
	peerCloseRead atomic.Bool               // in.CloseCode is set; for Hangup, which does not wait for in.mu

	in  input  // of the reading goroutine
	out output // under out.mu

	yielder fairness.Yielder // of reading

	received     atomic.Int64          // when the last byte was received, in nanoseconds since openedAt; 0: never
	waiting      atomic.Int64          // since when a read waits; 0: none does
	failed       atomic.Pointer[error] // the error of all later reads; set under mu, the first one stays; beside waiting, for Waiting
	stalledSince atomic.Int64          // since when a write waits; 0: none does
	pinged       atomic.Int64          // when the newest ping left
	pingsSent    atomic.Int64          // the number of pings sent, each of which the peer may answer
	countIn      counters
	countOut     counters

	ext *extension // nil: not negotiated
}

// counters are the published counts of one direction, by type as frame.ByType.
type counters [2]struct{ messages, bytes atomic.Int64 }

// publish makes the counts of one goroutine visible to others. A load costs much less than
// a store.
func (c *counters) publish(n *frame.ByType) {
	for i := range c {
		if c[i].messages.Load() != n[i].Messages {
			c[i].messages.Store(n[i].Messages)
		}
		if c[i].bytes.Load() != n[i].Bytes {
			c[i].bytes.Store(n[i].Bytes)
		}
	}
}

func (c *counters) load() (n frame.ByType) {
	for i := range c {
		n[i] = frame.Counts{Messages: c[i].messages.Load(), Bytes: c[i].bytes.Load()}
	}
	return n
}

// New returns a Conn over sock. Its input begins with first, which net/http had read
// before the hijack.
func New(sock net.Conn, first []byte, o Options) *Conn {
	c := &Conn{opts: o, sock: sock, base: socketUnder(sock), openedAt: time.Now()}
	_, c.isTCP = sock.(*net.TCPConn)
	if c.raw = socket.Raw(sock); c.raw == nil {
		c.opts.ServeReady = false
	}
	if o.Deflate != nil {
		c.ext = newExtension(c, *o.Deflate)
	}
	c.in.init(c)
	c.out.init(c)
	if len(first) > 0 {
		c.in.begin(first)
	}
	c.received.Store(c.now())
	return c
}

// socketUnder returns the socket under TLS, and under any other layer with such a method.
func socketUnder(sock net.Conn) net.Conn {
	for {
		layer, ok := sock.(interface{ NetConn() net.Conn })
		if !ok {
			return sock
		}
		sock = layer.NetConn()
	}
}

// now returns the nanoseconds since openedAt, never 0.
func (c *Conn) now() int64 { return max(1, int64(time.Since(c.openedAt))) }

// Began returns when the connection was hijacked from net/http.
func (c *Conn) Began() time.Time { return c.openedAt }

func (c *Conn) at(v *atomic.Int64) time.Time {
	if d := v.Load(); d != 0 {
		return c.openedAt.Add(time.Duration(d))
	}
	return time.Time{}
}

// Fail makes err the error of a read that waits and of all later reads. They return the
// buffered input first. The first error stays.
func (c *Conn) Fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fail(err)
}

func (c *Conn) fail(err error) {
	if c.Err() == nil {
		c.setFailed(err)
		c.arm(longAgo)
	}
}

// setFailed sets failed. c.mu is held.
func (c *Conn) setFailed(err error) {
	first := err // the address of err would move err to the heap in callers too
	c.failed.Store(&first)
}

// SetReadLimit sets Options.ReadLimit for the messages whose header has not been read. It
// waits for a Read in progress.
func (c *Conn) SetReadLimit(limit int64) {
	c.in.mu.Lock()
	defer c.in.mu.Unlock()
	c.in.Limit = limit
}

// Err returns the error of all later reads, nil if there is none yet.
func (c *Conn) Err() error {
	if err := c.failed.Load(); err != nil {
		return *err
	}
	return nil
}

// CloseBy sets the deadline of every wait for the peer from now on. A later call can only
// make it earlier.
func (c *Conn) CloseBy(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing() && !t.Before(*c.closeBy.Load()) {
		return
	}
	c.closeBy.Store(&t)
	if c.interruptible {
		c.arm(longAgo)
	} else if c.readDeadline.IsZero() || t.Before(c.readDeadline) {
		c.arm(t)
	}
	if c.writeDeadline.IsZero() || t.Before(c.writeDeadline) {
		c.armWrite(c.writeLimit())
	}
}

// closing reports whether CloseBy was called.
func (c *Conn) closing() bool { return c.closeBy.Load() != nil }

// closeLimit returns the time of CloseBy. Zero means that it was not called.
func (c *Conn) closeLimit() time.Time {
	if t := c.closeBy.Load(); t != nil {
		return *t
	}
	return time.Time{}
}

// Close is called by coder. It ends reads and writes. Hangup closes the socket later:
// a close with unread input would destroy a close frame that is in transit.
func (c *Conn) Close() error {
	c.out.sendBatch()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stalledFor(time.Second) {
		// coder closes if it cannot write a control frame for five seconds, and it keeps
		// no error.
		c.fail(c.stallError())
	}
	c.fail(net.ErrClosed)
	c.closed = true
	c.armWrite(c.writeLimit())
	return nil
}

// writesEnded reports whether coder has closed, and no pending close frame permits more
// writes. c.mu is held.
func (c *Conn) writesEnded() bool { return c.closed && c.lastFrame == nil }

// OurClose returns the code and reason of this side's close frame, if the kernel has
// accepted all of it. Code 0 means that it has not. coder answers a close frame while it
// reads. So the frame may be an answer even if this side closed first.
func (c *Conn) OurClose() (websocket.StatusCode, string) {
	o := &c.out
	o.mu.Lock()
	defer o.unlock()
	if !o.closeSent {
		return 0, ""
	}
	code, reason, _ := frame.ParseClose(o.ClosePayload) // this side sends no illegal one
	return websocket.StatusCode(code), string(reason)
}

// Counts returns the counts of each direction. In each count, a later call returns at least
// as much.
func (c *Conn) Counts() (in, out frame.ByType) { return c.countIn.load(), c.countOut.load() }

// Stalls returns how many writes have waited for the kernel for at least 20 ms. A write
// in progress does not count.
func (c *Conn) Stalls() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.out.stall == nil {
		return 0
	}
	return c.out.stall.count
}

// LastReceived returns when the last byte was received. The handshake counts.
func (c *Conn) LastReceived() time.Time { return c.at(&c.received) }

// ReadingSince returns since when a read has been waiting for the peer. Zero means that
// none waits. If the kernel has input, no read waits. After a pause of the process a timer
// may run before the read.
func (c *Conn) ReadingSince() time.Time {
	since := c.at(&c.waiting)
	if !since.IsZero() && socket.Unread(c.base) > 0 {
		return time.Time{}
	}
	return since
}

// Waiting reports whether a read waits for the peer, or c is parked. It returns false if
// reading has failed, because a parked connection may get no event of the socket then.
func (c *Conn) Waiting() bool { return c.waiting.Load() != 0 && c.failed.Load() == nil }

// PingSent returns when the kernel accepted the newest ping. Zero means never.
func (c *Conn) PingSent() time.Time { return c.at(&c.pinged) }

// Writing reports whether a write has waited for the kernel for at least 20 ms.
func (c *Conn) Writing() bool { return c.stalledFor(minStall) }

func (c *Conn) stalledFor(d time.Duration) bool {
	s := c.stalledSince.Load()
	return s != 0 && c.now()-s >= int64(d)
}

// Unsent returns the number of written bytes that have not been sent. These are the bytes
// that wait for the kernel. On Linux they include bytes that the kernel cannot send
// because the peer's window is full. It is negative if the peer does not acknowledge
// earlier bytes.
func (c *Conn) Unsent() int {
	n := int(c.out.unsent.Load()) + socket.NotSent(c.base)
	if n > 0 && socket.Unanswered(c.base) {
		return -1
	}
	return n
}

// arm sets the read deadline. Zero clears it. c.mu is held.
func (c *Conn) arm(t time.Time) {
	if !t.Equal(c.readDeadline) {
		c.readDeadline = t
		_ = c.sock.SetReadDeadline(t) // fails only if the socket is closed, which the read reports
	}
}

// armWrite sets the write deadline. Zero clears it. c.mu is held.
func (c *Conn) armWrite(t time.Time) {
	if !t.Equal(c.writeDeadline) {
		c.writeDeadline = t
		_ = c.sock.SetWriteDeadline(t) // fails only if the socket is closed, which the write reports
	}
}

func (c *Conn) LocalAddr() net.Addr  { return c.sock.LocalAddr() }
func (c *Conn) RemoteAddr() net.Addr { return c.sock.RemoteAddr() }

// A Conn sets its own deadlines. coder sets none.
func (c *Conn) SetDeadline(time.Time) error      { return nil }
func (c *Conn) SetReadDeadline(time.Time) error  { return nil }
func (c *Conn) SetWriteDeadline(time.Time) error { return nil }

var longAgo = time.Unix(1, 0)

var _ net.Conn = (*Conn)(nil)
