// Package transport is the net.Conn under a server's WebSocket. It stands
// between github.com/coder/websocket and the socket, and it does there what
// cannot be done above:
//
//   - Truth. An end of stream is an error of its own and never an io.EOF, which
//     coder would take for the end of a message.
//   - Bounds. Every wait for the peer inside a message, every write and every
//     close has an end. A violation of the protocol is found before coder sees
//     it, so that it is answered with a close code and not with a dead socket.
//   - Economy. A connection that waits holds no buffer, replies leave together, and
//     where Attend is used, a message alone takes two system calls.
//   - TransportState for the heartbeat: last heard, whether a read is waiting, whether
//     the ping has left, what the kernel still holds.
//
// What a frame may be is package frame's to say, how a socket is read by hand package
// socket's, what is in a compressed message package inflate's, and whose turn it is
// package turn's. Here is what a connection does with that, and when: read.go hands
// input on, from_socket.go reads it, wait.go, attend.go and rest.go wait for it;
// write.go lets output leave, stall.go sees to it where it does not, control.go puts
// pings and pongs in between; hangup.go is the end. With permessage-deflate, inflate.go
// and deflate.go stand between that and coder. Only package server uses it.
package transport

import (
	"crypto/tls"
	"encoding/binary"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/coder/websocket"

	"example.com/wsecho/internal/deflate"
	"example.com/wsecho/internal/fairness"
	"example.com/wsecho/internal/socket"
)

// Options are the bounds of a Conn. The server fills them in; zero timeouts are
// no timeouts.
type Options struct {
	Read, Write    *Pool           // where buffers come from while there is something in them
	ReadLimit      int64           // bytes of one message's payload, inflated; negative: none
	Deflate        *deflate.Params // permessage-deflate was negotiated, with these parameters; nil: it was not
	MessageTimeout time.Duration   // time waited for the rest of a message that has begun
	WriteTimeout   time.Duration   // how long neither the kernel nor the peer may take a byte
	ServeReady     bool            // ServeReady waits for messages, so Wait does not; false if CanPark is
	Hold           bool            // keep replies back while more input is in hand

	// The reader calls these for each ping, which is answered, for each pong, and for
	// the peer's close frame before coder sees it. Nil: not called.
	OnPing  func()
	OnPong  func(payload []byte)
	OnClose func(code websocket.StatusCode, reason string)
}

// A Conn is the stream that coder/websocket reads and writes. Read is called by
// one goroutine at a time, as coder's locks see to; everything else may be
// called by any.
type Conn struct {
	opts  Options
	sock  net.Conn        // what net/http accepted: TCP, TLS, a unix socket, a pipe
	base  net.Conn        // the connection beneath TLS; sock itself elsewhere
	isTCP bool            // sock is TCP, without TLS
	raw   syscall.RawConn // of sock, where its reads and writes may be done by hand; else nil
	born  time.Time

	mu      sync.Mutex // guards what follows
	failed  error      // why reads end; the first reason stays
	closeBy time.Time  // nothing waits for the peer beyond this; zero: not closing
	early   bool       // it is Wait that waits, if anybody does
	armed   time.Time  // the read deadline that is set now
	writeBy time.Time  // the write deadline that is set now
	closed  bool       // coder has closed: nothing is written any more

	told atomic.Pointer[error] // a reset that a write has met, and what peekSome has: the kernel tells it once

	closing atomic.Bool // CloseBy has been called

	in  input  // of the reading goroutine
	out output // under out.mu

	turn fairness.Yielder // of reading

	heard   atomic.Int64 // when the last byte came; nanoseconds since born, 0 never
	waiting atomic.Int64 // since when a read waits; 0 none does
	stuck   atomic.Int64 // since when a write waits; 0 none does
	pinged  atomic.Int64 // when the newest ping left
	asked   atomic.Int64 // pings of ours, each of which the peer may answer
	count   counters

	ext *extension // nil: not negotiated
}

type counters struct {
	messagesIn, messagesOut, bytesIn, bytesOut atomic.Int64
}

// New returns a Conn over sock that begins with the bytes in first, which
// net/http had read before the connection was taken from it.
func New(sock net.Conn, first []byte, o Options) *Conn {
	c := &Conn{opts: o, sock: sock, base: sock, born: time.Now()}
	if s, ok := sock.(*tls.Conn); ok {
		c.base = s.NetConn()
	}
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
	c.heard.Store(c.now())
	return c
}

// now is the time since the connection began, never 0.
func (c *Conn) now() int64 { return max(1, int64(time.Since(c.born))) }

// Began returns when the connection was taken over from net/http.
func (c *Conn) Began() time.Time { return c.born }

func (c *Conn) at(v *atomic.Int64) time.Time {
	if d := v.Load(); d != 0 {
		return c.born.Add(time.Duration(d))
	}
	return time.Time{}
}

// Fail ends all waiting for input with err, now: a read that waits returns it,
// and so does every later one, once it has handed on what had already come. The
// first reason stays.
func (c *Conn) Fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fail(err)
}

func (c *Conn) fail(err error) {
	if c.failed == nil {
		c.failed = err
		c.arm(longAgo)
	}
}

// Err returns why reads end, nil as long as they do not.
func (c *Conn) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failed
}

// CloseBy bounds every wait for the peer from here on. It can be brought
// forward, not put off.
func (c *Conn) CloseBy(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closeBy.IsZero() && !t.Before(c.closeBy) {
		return
	}
	c.closeBy = t
	c.closing.Store(true)
	if c.early {
		c.arm(longAgo)
	} else if c.armed.IsZero() || t.Before(c.armed) {
		c.arm(t)
	}
	if c.writeBy.IsZero() || t.Before(c.writeBy) {
		c.armWrite(t)
	}
}

// Close is coder's: it ends reads and writes and leaves the socket to Hangup,
// since closing with unread input would destroy the close frame on its way.
func (c *Conn) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stuckFor(time.Second) {
		// coder gives up a control frame that it cannot write after five
		// seconds, and closes. Nobody else would know why.
		c.fail(c.stalled())
	}
	c.fail(net.ErrClosed)
	c.closed = true
	c.armWrite(longAgo)
	return nil
}

// isClosed reports whether coder has closed.
func (c *Conn) isClosed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

// OurClose returns the code and reason of the close frame of ours that went to
// the kernel whole; code 0 means that none has. It may be the answer to the
// peer's, whoever wanted to close: coder answers while it reads.
func (c *Conn) OurClose() (websocket.StatusCode, string) {
	o := &c.out
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case !o.closeSent:
		return 0, ""
	case len(o.Goodbye) < 2:
		return websocket.StatusNoStatusRcvd, ""
	}
	return websocket.StatusCode(binary.BigEndian.Uint16(o.Goodbye)), string(o.Goodbye[2:])
}

// Counts returns the whole data messages and their payload bytes on the wire,
// each way.
func (c *Conn) Counts() (messagesIn, bytesIn, messagesOut, bytesOut int64) {
	n := &c.count
	return n.messagesIn.Load(), n.bytesIn.Load(), n.messagesOut.Load(), n.bytesOut.Load()
}

// LastReceived returns when the last byte came from the peer; that of the handshake
// counts.
func (c *Conn) LastReceived() time.Time { return c.at(&c.heard) }

// ReadingSince returns since when a read has been waiting for the peer; zero:
// none is. A read does not wait for input that the kernel has: after a pause of the
// process a timer may be earlier than the read.
func (c *Conn) ReadingSince() time.Time {
	since := c.at(&c.waiting)
	if !since.IsZero() && socket.Unread(c.base) > 0 {
		return time.Time{}
	}
	return since
}

// PingSent returns when the newest ping was taken by the kernel; zero: never.
func (c *Conn) PingSent() time.Time { return c.at(&c.pinged) }

// Writing reports whether a write is waiting for the kernel, and not just
// passing through.
func (c *Conn) Writing() bool { return c.stuckFor(passing) }

func (c *Conn) stuckFor(d time.Duration) bool {
	s := c.stuck.Load()
	return s != 0 && c.now()-s >= int64(d)
}

// Unsent returns the bytes that were written and have not left: those which
// wait for the kernel, and on Linux those which the kernel has and could not yet
// send because the peer does not take them. It is negative where that is not the
// reason: nothing has been heard of what was sent before.
func (c *Conn) Unsent() int {
	n := int(c.out.pending.Load()) + socket.NotSent(c.base)
	if n > 0 && socket.Unanswered(c.base) {
		return -1
	}
	return n
}

// arm sets the read deadline; zero clears it. c.mu is held.
func (c *Conn) arm(t time.Time) {
	if !t.Equal(c.armed) {
		c.armed = t
		_ = c.sock.SetReadDeadline(t) // fails only where the socket is closed: the read will say
	}
}

// armWrite sets the write deadline in the same way.
func (c *Conn) armWrite(t time.Time) {
	if !t.Equal(c.writeBy) {
		c.writeBy = t
		_ = c.sock.SetWriteDeadline(t) // as above: the write will say
	}
}

func (c *Conn) LocalAddr() net.Addr  { return c.sock.LocalAddr() }
func (c *Conn) RemoteAddr() net.Addr { return c.sock.RemoteAddr() }

// The deadlines of a Conn are its own: nobody above sets any.
func (c *Conn) SetDeadline(time.Time) error      { return nil }
func (c *Conn) SetReadDeadline(time.Time) error  { return nil }
func (c *Conn) SetWriteDeadline(time.Time) error { return nil }

var longAgo = time.Unix(1, 0)

var _ net.Conn = (*Conn)(nil)
