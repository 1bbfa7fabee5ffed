package transport

import (
	"net"
	"time"

	"example.com/wsecho/internal/fairness"
	"example.com/wsecho/internal/socket"
)

// Hangup ends the connection, by CloseBy's time or a second from now, whichever
// is first: it sends FIN, reads off what the peer still sends, and closes the
// socket beneath any TLS. It is called once, at the end; reads and writes that are
// still under way then are woken by the close, and it waits for them.
func (c *Conn) Hangup() {
	limit := time.Now().Add(lingerTime)
	c.mu.Lock()
	if !c.closeBy.IsZero() && c.closeBy.Before(limit) {
		limit = c.closeBy
	}
	c.mu.Unlock()
	defer c.out.end(true)
	defer c.in.end(true)
	defer c.base.Close()
	top := c.sock
	if c.out.isTorn() {
		top = c.base // a close_notify behind what is missing would be read as a forgery
	}
	half, ok := top.(interface{ CloseWrite() error })
	if !ok || !time.Now().Before(limit) {
		return
	}
	// tls.Conn.CloseWrite sets deadlines of its own: only a close of the
	// connection beneath is sure to end it.
	timer := time.AfterFunc(time.Until(limit), func() { c.base.Close() })
	defer timer.Stop()
	_ = c.base.SetDeadline(limit)
	if half.CloseWrite() != nil {
		return
	}
	if half, ok := c.base.(interface{ CloseWrite() error }); ok && c.base != top {
		_ = half.CloseWrite() // TLS has sent its close_notify, and no FIN
	}
	// What it had to read and write with is not wanted meanwhile.
	c.in.end(false)
	c.out.end(false)
	discard(c.base, c.opts.Read, limit)
}

// Abort ends the connection at once, whoever is using it. Hangup must still be
// called.
func (c *Conn) Abort() {
	c.Fail(net.ErrClosed)
	if c.raw == nil || c.raw.Control(socket.Shutdown) != nil {
		c.base.Close()
	}
}

// discard reads off what the peer still sends, until limit, which is the socket's
// deadline, or the end. It waits without a buffer too: a server that ends has
// thousands of these. A peer that goes on and on is not listened to for so long.
func discard(sock net.Conn, p *Pool, limit time.Time) {
	raw := socket.Raw(sock)
	left := lingerBytes
	if raw == nil {
		for b := make([]byte, partSize); left > 0; {
			n, err := sock.Read(b)
			if err != nil {
				return
			}
			left -= n
		}
		return
	}
	over, others := false, fairness.Yielder{}
	some := func(fd uintptr) bool {
		b := p.get()
		defer p.put(b)
		for range 4 { // then the clock is looked at, and others have a turn
			n, err := socket.Drop(fd, b.b)
			if n <= 0 {
				over = err != socket.ErrAgain
				return over || left <= 0
			}
			left -= n
		}
		return true
	}
	for !over && left > 0 && time.Now().Before(limit) {
		if raw.Read(some) != nil {
			return
		}
		if !over {
			others.Yield()
		}
	}
}

// lingerTime is how long a close waits for the peer's FIN, so that what the peer
// has sent meanwhile does not make the kernel answer with a reset; and lingerBytes
// is how much of that it takes: what may be on the way, and not all that a peer
// has to send that does not listen.
const (
	lingerTime  = time.Second
	lingerBytes = 4 << 20
)
