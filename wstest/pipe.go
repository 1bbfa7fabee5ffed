package wstest

import (
	"bytes"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// pipeBuffer is the number of bytes that a direction of a Pipe buffers by default.
const pipeBuffer = 64 << 10

// Pipe returns the two ends of a connection in memory. It behaves like TCP as far as a test
// can tell, and it works in a bubble of testing/synctest:
//
//   - Each direction buffers 64 KiB. A full buffer blocks Write.
//   - Deadlines work as on a socket.
//   - Close sends FIN, or RST if this end has unread bytes. Bytes that were sent before can
//     still be read.
//   - The methods CloseWrite, SetLinger and SetReadBuffer are those of a *net.TCPConn.
//     SetLinger(0) makes Close send RST.
//
// The errors are those of a socket too: io.EOF after FIN, ECONNRESET after RST,
// net.ErrClosed, and os.ErrDeadlineExceeded. A write to an end that was closed returns
// EPIPE.
func Pipe() (client, server net.Conn) {
	k := new(link)
	k.changed.L = &k.mu
	up := &direction{capacity: pipeBuffer, ended: make(chan struct{})}
	down := &direction{capacity: pipeBuffer, ended: make(chan struct{})}
	return &pipe{link: k, in: down, out: up}, &pipe{link: k, in: up, out: down}
}

// link is the lock of both ends, and wakes all that wait.
type link struct {
	mu      sync.Mutex
	changed sync.Cond
}

// direction is the bytes from one end to the other, and how they end.
type direction struct {
	buf      bytes.Buffer
	capacity int
	fin, rst bool
	unread   bool          // the reading end was closed
	ended    chan struct{} // closed by fin and rst
}

func (d *direction) end(rst bool) {
	if !d.fin && !d.rst {
		close(d.ended)
	}
	d.fin, d.rst = d.fin || !rst, d.rst || rst
}

// pipe is one end of a Pipe. The lock of link guards all of it.
type pipe struct {
	*link
	in, out         *direction
	closed          bool
	linger0         bool
	readBy, writeBy pipeDeadline
}

func (p *pipe) Read(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		switch {
		case p.closed:
			return 0, pipeError("read", net.ErrClosed)
		case p.readBy.passed():
			return 0, pipeError("read", os.ErrDeadlineExceeded)
		case len(b) == 0:
			return 0, nil
		case p.in.buf.Len() > 0:
			p.changed.Broadcast()
			return p.in.buf.Read(b)
		case p.in.rst:
			return 0, pipeError("read", os.NewSyscallError("read", syscall.ECONNRESET))
		case p.in.fin:
			return 0, io.EOF
		}
		p.changed.Wait()
	}
}

func (p *pipe) Write(b []byte) (n int, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		switch {
		case p.closed:
			return n, pipeError("write", net.ErrClosed)
		case p.writeBy.passed():
			return n, pipeError("write", os.ErrDeadlineExceeded)
		case p.in.rst:
			return n, pipeError("write", os.NewSyscallError("write", syscall.ECONNRESET))
		case p.out.fin, p.out.unread:
			return n, pipeError("write", os.NewSyscallError("write", syscall.EPIPE))
		case n == len(b):
			return n, nil
		}
		if room := p.out.capacity - p.out.buf.Len(); room > 0 {
			some := min(room, len(b)-n)
			p.out.buf.Write(b[n : n+some])
			n += some
			p.changed.Broadcast()
			continue
		}
		p.changed.Wait()
	}
}

func (p *pipe) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return pipeError("close", net.ErrClosed)
	}
	p.closed = true
	p.readBy.set(p.link, time.Time{})
	p.writeBy.set(p.link, time.Time{})
	p.out.end(p.linger0 || p.in.buf.Len() > 0)
	p.in.unread = true
	p.in.buf.Reset()
	p.changed.Broadcast()
	return nil
}

// CloseWrite sends FIN.
func (p *pipe) CloseWrite() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return pipeError("close", net.ErrClosed)
	}
	p.out.end(false)
	p.changed.Broadcast()
	return nil
}

// SetLinger makes Close send RST if sec is 0.
func (p *pipe) SetLinger(sec int) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.linger0 = sec == 0
	return nil
}

// SetReadBuffer sets the number of bytes that are buffered before this end reads them. It
// is at least 1.
func (p *pipe) SetReadBuffer(n int) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.in.capacity = max(n, 1)
	p.changed.Broadcast()
	return nil
}

// inputEnded returns a channel that is closed when the other end sends FIN or RST.
func (p *pipe) inputEnded() <-chan struct{} { return p.in.ended }

func (p *pipe) SetDeadline(t time.Time) error {
	return p.setDeadlines(t, &p.readBy, &p.writeBy)
}

func (p *pipe) SetReadDeadline(t time.Time) error { return p.setDeadlines(t, &p.readBy) }

func (p *pipe) SetWriteDeadline(t time.Time) error { return p.setDeadlines(t, &p.writeBy) }

func (p *pipe) setDeadlines(t time.Time, deadlines ...*pipeDeadline) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return pipeError("set", net.ErrClosed)
	}
	for _, d := range deadlines {
		d.set(p.link, t)
	}
	p.changed.Broadcast()
	return nil
}

func (p *pipe) LocalAddr() net.Addr { return pipeAddr{} }

func (p *pipe) RemoteAddr() net.Addr { return pipeAddr{} }

// pipeDeadline is a deadline, which wakes all that wait.
type pipeDeadline struct {
	at    time.Time // zero: none
	timer *time.Timer
}

func (d *pipeDeadline) set(k *link, t time.Time) {
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	d.at = t
	if wait := time.Until(t); !t.IsZero() && wait > 0 {
		d.timer = time.AfterFunc(wait, func() {
			k.mu.Lock()
			defer k.mu.Unlock()
			k.changed.Broadcast()
		})
	}
}

func (d *pipeDeadline) passed() bool { return !d.at.IsZero() && !time.Now().Before(d.at) }

func pipeError(op string, err error) error {
	return &net.OpError{Op: op, Net: pipeAddr{}.Network(), Addr: pipeAddr{}, Err: err}
}

// pipeAddr is the address of each end of a Pipe.
type pipeAddr struct{}

func (pipeAddr) Network() string { return "pipe" }

func (pipeAddr) String() string { return "pipe" }
