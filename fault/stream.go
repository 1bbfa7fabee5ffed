package fault

import (
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"example.com/wsecho/internal/socket"
)

// A stream is the connection beneath the frames of a server. It reads and writes as the
// plan demands, and its frames are those of the rewriter.
type stream struct {
	net.Conn
	base      net.Conn // beneath TLS
	readStall bool
	readRate  int // bytes per second; 0: any
	writeRate int
	readBy    deadline
	writeBy   deadline
	over      atomic.Bool // CloseWrite was called; only the rest of the input is read
	nextRead  time.Time   // of readRate

	ending  sync.Mutex  // guards the deadlines and dropped
	dropped atomic.Bool // stopIO was called; the server sees no input and no end of it

	mu        sync.Mutex // guards writing
	boundary  sync.Cond  // of mu; no frame may be in progress now
	frames    rewriter
	pending   []byte // rewritten, and not written yet
	consumed  int    // bytes of the next Write that pending contains
	nextWrite time.Time
	broken    bool // a write failed
	noInsert  bool
}

func newStream(sock net.Conn, p *plan) *stream {
	s := &stream{Conn: sock, base: sock, readStall: p.readStall, readRate: p.readRate, writeRate: p.writeRate,
		frames: rewriter{fragment: p.fragment, mask: p.mask}}
	s.boundary.L = &s.mu
	for {
		layer, ok := s.base.(interface{ NetConn() net.Conn })
		if !ok {
			break
		}
		s.base = layer.NetConn()
	}
	if b, ok := s.base.(interface{ SetReadBuffer(int) error }); ok && (p.readStall || p.readRate > 0) {
		_ = b.SetReadBuffer(4 << 10) // else the kernel would read megabytes for us
	}
	if b, ok := s.base.(interface{ SetWriteBuffer(int) error }); ok && p.writeRate > 0 {
		_ = b.SetWriteBuffer(4 << 10)
	}
	return s
}

// NetConn returns the connection that s wraps.
func (s *stream) NetConn() net.Conn { return s.Conn }

// CloseWrite ends the stream to the peer.
func (s *stream) CloseWrite() error {
	s.over.Store(true)
	half, ok := s.Conn.(interface{ CloseWrite() error })
	if !ok {
		return errors.ErrUnsupported
	}
	return half.CloseWrite()
}

func (s *stream) SetReadDeadline(t time.Time) error {
	s.ending.Lock()
	defer s.ending.Unlock()
	s.readBy.set(t)
	if s.dropped.Load() { // drop reads
		return nil
	}
	return s.Conn.SetReadDeadline(t)
}

func (s *stream) SetWriteDeadline(t time.Time) error {
	s.ending.Lock()
	defer s.ending.Unlock()
	if s.dropped.Load() {
		return nil
	}
	s.writeBy.set(t)
	return s.Conn.SetWriteDeadline(t)
}

func (s *stream) SetDeadline(t time.Time) error {
	if err := s.SetReadDeadline(t); err != nil {
		return err
	}
	return s.SetWriteDeadline(t)
}

// chunk returns the size of a read or write at a rate: that of 50 ms.
func chunk(n, rate int) int { return min(n, max(1, rate/20)) }

// timeOf returns how long n bytes take at a rate.
func timeOf(n, rate int) time.Duration {
	return time.Duration(float64(n) / float64(rate) * float64(time.Second))
}

// stallCheck is how often a stalled Read checks whether the peer has disconnected. 10,000
// such connections cost a tenth of a processor.
const stallCheck = time.Second

// Read stalls until the peer has disconnected, or reads slowly.
func (s *stream) Read(p []byte) (int, error) {
	for s.readStall && !s.over.Load() && !socket.Ended(s.base) {
		if err := s.readBy.waitUntil(time.Now().Add(stallCheck)); err != nil {
			return 0, err
		}
	}
	limited := s.readRate > 0 && !s.over.Load()
	if limited {
		if err := s.readBy.waitUntil(s.nextRead); err != nil {
			return 0, err
		}
		p = p[:chunk(len(p), s.readRate)]
	}
	n, err := s.Conn.Read(p)
	for s.dropped.Load() { // the end of the connection sets a deadline
		if err := s.readBy.waitUntil(time.Now().Add(time.Hour)); err != nil {
			return 0, err
		}
	}
	if limited {
		s.nextRead = time.Now().Add(timeOf(n, s.readRate))
	}
	return n, err
}

// Write writes the frames of p, or pieces of them. After os.ErrDeadlineExceeded it can be
// called again with the bytes that it has not written.
func (s *stream) Write(p []byte) (n int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.boundary.Broadcast()
	for {
		if s.dropped.Load() { // the server must not take it for a failed write
			return len(p), nil
		}
		if s.consumed > len(p)-n {
			return n, net.ErrClosed
		}
		written, err := s.writePaced(s.pending)
		s.pending = s.pending[written:]
		if err != nil {
			if s.dropped.Load() {
				continue
			}
			s.broken = s.broken || !errors.Is(err, os.ErrDeadlineExceeded)
			return n, err
		}
		n += s.consumed
		s.pending, s.consumed = nil, 0
		if n == len(p) {
			return n, nil
		}
		next := p[n:]
		if s.writeRate > 0 { // the server needs to see the progress
			next = next[:chunk(len(next), s.writeRate)]
		}
		s.pending, s.consumed = s.frames.next(next)
	}
}

// writePaced writes p at the rate. s.mu is held.
func (s *stream) writePaced(p []byte) (n int, err error) {
	for n < len(p) {
		size := len(p) - n
		var due time.Time // not the time after a timer that is late, which would lower the rate
		if s.writeRate > 0 {
			if due = time.Now(); due.Before(s.nextWrite) {
				due = s.nextWrite
			}
			if err := s.writeBy.waitUntil(due); err != nil {
				return n, err
			}
			size = chunk(size, s.writeRate)
		}
		w, err := s.Conn.Write(p[n : n+size])
		n += w
		if s.writeRate > 0 {
			s.nextWrite = due.Add(timeOf(w, s.writeRate))
		}
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// insert writes bytes between two frames. It waits for the frame in progress.
func (s *stream) insert(p []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for !s.broken && !s.dropped.Load() && !s.noInsert && !(s.frames.atBoundary() && len(s.pending) == 0) {
		s.boundary.Wait()
	}
	if s.broken || s.dropped.Load() || s.noInsert {
		return net.ErrClosed
	}
	_, err := s.writePaced(p)
	s.broken = err != nil
	return err
}

// endInsert ends the calls of insert that wait, and all later ones.
func (s *stream) endInsert() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.noInsert = true
	s.boundary.Broadcast()
}

// stopIO ends a Write in progress, and a Read within lingerTime. The server writes and
// reads nothing afterwards.
func (s *stream) stopIO() {
	s.ending.Lock()
	defer s.ending.Unlock()
	s.dropped.Store(true)
	past := time.Unix(1, 0)
	s.writeBy.set(past)
	_ = s.Conn.SetWriteDeadline(past)
	_ = s.Conn.SetReadDeadline(time.Now().Add(lingerTime))
}

// truncate writes the beginning of a frame, unless a frame is in progress. It takes
// lingerTime at most. A call of drop must follow.
func (s *stream) truncate(p []byte) {
	s.stopIO()
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.broken && s.frames.atBoundary() && len(s.pending) == 0 {
		_ = s.Conn.SetWriteDeadline(time.Now().Add(lingerTime))
		_, _ = s.Conn.Write(p)
	}
}

// drop ends TCP with FIN, or prepares the RST that the close then sends. With FIN it
// discards input until the peer's FIN, for a second at most. Otherwise the kernel would
// answer unread input with RST. The server writes and reads nothing afterwards.
func (s *stream) drop(rst bool) {
	s.stopIO()
	s.mu.Lock()
	s.boundary.Broadcast()
	s.mu.Unlock()
	if rst {
		if tcp, ok := s.base.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
		return
	}
	half, ok := s.base.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	limit := time.Now().Add(lingerTime)
	_ = s.base.SetReadDeadline(limit)
	for b := make([]byte, 4<<10); time.Now().Before(limit); {
		if _, err := s.base.Read(b); err != nil {
			return
		}
	}
}

const lingerTime = time.Second

var _ net.Conn = (*stream)(nil)
