package transport

import (
	"bytes"
	"net"
	"time"

	"github.com/coder/websocket"

	"example.com/wsecho/internal/fairness"
	"example.com/wsecho/internal/frame"
	"example.com/wsecho/internal/socket"
)

// Hangup sends FIN, discards the input until the peer's FIN, and closes the socket. It
// blocks for a second at most, and not beyond the time of CloseBy. Before that it waits for
// a pending close frame: see pendingClose. It waits for reads and writes in progress, which
// the close wakes. If the input that was not scanned ends with the peer's answer to this
// side's close frame, it calls Options.OnClose. It is called once.
func (c *Conn) Hangup() {
	limit := time.Now().Add(lingerTime)
	if t := c.closeBy.Load(); t != nil && t.Before(limit) {
		limit = *t
	}
	defer c.out.end(true)
	defer c.in.end(true)
	defer c.base.Close()
	c.awaitClose()
	top := c.sock
	if c.out.insideTLSRecord.Load() {
		top = c.base // a close_notify after a torn record would be reported as an attack
	}
	half, ok := top.(interface{ CloseWrite() error })
	if !ok || !time.Now().Before(limit) {
		return
	}
	// tls.Conn.CloseWrite sets deadlines of its own. Only a close of the connection
	// beneath ends it in time.
	timer := time.AfterFunc(time.Until(limit), func() { c.base.Close() })
	defer timer.Stop()
	_ = c.base.SetDeadline(limit)
	if half.CloseWrite() != nil {
		return
	}
	if half, ok := c.base.(interface{ CloseWrite() error }); ok && c.base != top {
		_ = half.CloseWrite() // tls.Conn sends a close_notify and no FIN
	}
	// The wait for the peer's FIN needs no buffers.
	end := c.in.end(false)
	c.out.end(false)
	// A refused peer may answer the close frame behind input that is discarded. Reading may
	// have ended inside the peer's close frame.
	code, _ := c.OurClose()
	if code == 0 || c.peerCloseRead.Load() {
		discard(c.base, c.opts.Read, limit, nil)
		return
	}
	discard(top, c.opts.Read, limit, &end)
	if reason, ok := end.answer(code); ok && c.opts.OnClose != nil {
		c.opts.OnClose(code, reason)
	}
}

// lastInput is the last bytes of the input, at most those of the largest close frame.
type lastInput []byte

func (t *lastInput) add(p []byte) {
	const most = 2 + 4 + 125
	*t = append(*t, p[max(0, len(p)-most):]...)
	*t = append((*t)[:0], (*t)[max(0, len(*t)-most):]...)
}

// answer reports whether the input ends with a client's close frame of this code, and
// returns its reason. The input before it is not parsed, because a violation may hide
// where frames begin.
func (t lastInput) answer(code websocket.StatusCode) (reason string, ok bool) {
	for n := 2; n <= len(t)-6; n++ {
		f := t[len(t)-6-n:]
		if f[0] != frame.Fin|frame.Close || f[1] != 0x80|byte(n) {
			continue
		}
		got, reason, err := frame.ParseClose(frame.Payload(bytes.Clone(f)))
		if err == nil && websocket.StatusCode(got) == code {
			return string(reason), true
		}
	}
	return "", false
}

// Abort ends the connection at once. It sends the buffered replies that the socket accepts
// without a wait. Under TLS that may wait for the peer for 20 milliseconds. Reads and writes
// in progress return. Hangup must still be called.
func (c *Conn) Abort() {
	c.Fail(net.ErrClosed)
	c.out.sendBatch()
	if c.raw == nil || c.raw.Control(socket.Shutdown) != nil {
		c.base.Close()
	}
}

// HungUp reports whether the kernel has received the peer's FIN or RST, or a write has
// failed. It does not wait and reads no input. On other systems than Linux it detects FIN and
// RST only if no input is unread, and not under TLS.
func (c *Conn) HungUp() (over bool) {
	if c.out.failed.Load() || socket.Ended(c.base) {
		return true
	}
	if c.raw == nil || socket.HaveQueue {
		return false
	}
	_ = c.raw.Control(func(fd uintptr) { // fails only if the socket is closed
		var b [1]byte
		n, err := socket.Peek(fd, b[:])
		over = n == 0 && err == nil || err != nil && err != socket.ErrAgain
	})
	return over
}

// discard discards input until the end of the stream, limit, which is the socket's
// deadline, or lingerBytes. The last bytes go to end; nil: they do not. It has no buffer
// while it waits, because a drain has thousands of these waits.
func discard(sock net.Conn, p *Pool, limit time.Time, end *lastInput) {
	raw := socket.Raw(sock)
	left := lingerBytes
	if raw == nil {
		for b := make([]byte, maxIncompleteFrame); left > 0; {
			n, err := sock.Read(b)
			if err != nil {
				return
			}
			left -= n
			if end != nil {
				end.add(b[:n])
			}
		}
		return
	}
	over, others := false, fairness.Yielder{}
	some := func(fd uintptr) bool {
		b := p.get()
		defer p.put(b)
		for range 4 { // then check the clock and yield
			get := socket.Drop
			if end != nil {
				get = socket.Read
			}
			n, err := get(fd, b.b)
			if n <= 0 {
				over = err != socket.ErrAgain
				return over || left <= 0
			}
			left -= n
			if end != nil {
				end.add(b.b[:n])
			}
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

// A close waits lingerTime for the peer's FIN and discards lingerBytes of input at most.
// Otherwise the kernel would answer input in transit with a reset, and the peer might lose
// the close frame.
const (
	lingerTime  = time.Second
	lingerBytes = 4 << 20
)
