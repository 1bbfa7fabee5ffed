package inprocess

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// A pipe is one direction of a connection. Unlike net.Pipe it has a buffer, so that a
// write need not wait for a read.
type pipe struct {
	writing sync.Mutex // held for a whole write

	mu       sync.Mutex
	readable sync.Cond // on mu, as is writable
	writable sync.Cond
	buffer   []byte
	from, n  int  // the buffered bytes: n from here on, around the end
	closed   bool // the writer closed it: reads end with io.EOF
	gone     bool // the reader closed it
	reads    deadline
	writes   deadline
}

func newPipe(size int) *pipe {
	p := &pipe{buffer: make([]byte, size)}
	p.readable.L, p.writable.L = &p.mu, &p.mu
	p.reads.waiting, p.writes.waiting = &p.readable, &p.writable
	return p
}

// A deadline bounds the reads or the writes of a pipe.
type deadline struct {
	at      time.Time // zero: none
	timer   *time.Timer
	waiting *sync.Cond
}

func (d *deadline) passed() bool { return !d.at.IsZero() && !time.Now().Before(d.at) }

// set sets a deadline of p. Its timer wakes the waiting calls when it has passed.
func (p *pipe) set(d *deadline, at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	d.at = at
	switch left := time.Until(at); {
	case at.IsZero():
		if d.timer != nil {
			d.timer.Stop()
		}
	case left <= 0:
		d.waiting.Broadcast()
	case d.timer == nil:
		d.timer = time.AfterFunc(left, func() {
			p.mu.Lock()
			defer p.mu.Unlock()
			d.waiting.Broadcast()
		})
	default:
		d.timer.Reset(left)
	}
}

func (p *pipe) read(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		switch {
		case p.gone:
			return 0, net.ErrClosed
		case p.reads.passed():
			return 0, os.ErrDeadlineExceeded
		case len(b) == 0:
			return 0, nil
		case p.n > 0:
			n := copy(b, p.buffer[p.from:min(p.from+p.n, len(p.buffer))])
			n += copy(b[n:], p.buffer[:p.n-n])
			p.from, p.n = (p.from+n)%len(p.buffer), p.n-n
			if p.n == 0 {
				p.from = 0 // the start of the buffer is in the processor's cache
			}
			p.writable.Broadcast()
			return n, nil
		case p.closed:
			return 0, io.EOF
		}
		p.readable.Wait()
	}
}

func (p *pipe) write(b []byte) (written int, err error) {
	p.writing.Lock()
	defer p.writing.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		switch {
		case p.closed:
			return written, net.ErrClosed
		case p.gone:
			return written, io.ErrClosedPipe
		case p.writes.passed():
			return written, os.ErrDeadlineExceeded
		case len(b) == 0:
			return written, nil
		}
		if p.n == len(p.buffer) {
			p.writable.Wait()
			continue
		}
		to := (p.from + p.n) % len(p.buffer)
		n := copy(p.buffer[to:min(to+len(p.buffer)-p.n, len(p.buffer))], b)
		b, written, p.n = b[n:], written+n, p.n+n
		p.readable.Broadcast()
	}
}

// end sets one of closed and gone, and wakes all waiting calls.
func (p *pipe) end(how *bool, d *deadline) {
	p.mu.Lock()
	defer p.mu.Unlock()
	*how = true
	if d.timer != nil {
		d.timer.Stop()
	}
	p.readable.Broadcast()
	p.writable.Broadcast()
}

// A conn is one end of a connection.
type conn struct{ in, out *pipe }

// newConn returns the ends of a connection with a buffer of this size each way.
func newConn(size int) (client, server net.Conn) {
	a, b := newPipe(size), newPipe(size)
	return &conn{a, b}, &conn{b, a}
}

func (c *conn) Read(b []byte) (int, error)  { return c.in.read(b) }
func (c *conn) Write(b []byte) (int, error) { return c.out.write(b) }

func (c *conn) Close() error {
	c.out.end(&c.out.closed, &c.out.writes)
	c.in.end(&c.in.gone, &c.in.reads)
	return nil
}

func (c *conn) SetReadDeadline(t time.Time) error {
	c.in.set(&c.in.reads, t)
	return nil
}

func (c *conn) SetWriteDeadline(t time.Time) error {
	c.out.set(&c.out.writes, t)
	return nil
}

func (c *conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// addr has the form that servers expect of an address.
var addr = &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1}

func (c *conn) LocalAddr() net.Addr  { return addr }
func (c *conn) RemoteAddr() net.Addr { return addr }

// A listener accepts connections of this process.
type listener struct {
	size    int // of the buffers
	waiting chan net.Conn
	closed  chan struct{}
	closing sync.Once
}

func listen(size int) *listener {
	return &listener{size: size, waiting: make(chan net.Conn), closed: make(chan struct{})}
}

// dial returns the client's end of a connection. It waits at most d for Accept.
func (l *listener) dial(d time.Duration) (net.Conn, error) {
	client, server := newConn(l.size)
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case l.waiting <- server:
		return client, nil
	case <-l.closed:
		return nil, net.ErrClosed
	case <-timer.C:
		return nil, os.ErrDeadlineExceeded
	}
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.waiting:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *listener) Close() error {
	l.closing.Do(func() { close(l.closed) })
	return nil
}

func (l *listener) Addr() net.Addr { return addr }
