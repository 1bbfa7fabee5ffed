package load

import (
	"errors"
	"io"
	"os"
	"sync/atomic"
	"time"

	"example.com/wsecho/ending"
	"example.com/wsecho/internal/frame"
)

// A conn is one connection in a run. One goroutine reads, counts and, in a closed
// loop of small messages, writes. Otherwise a second one writes: it must not be kept
// from that by what is still to be read, or two peers that both write would wait for
// each other for ever.
type conn struct {
	*opened
	owner *run
	id    int
	first int // its first message among the messages; others begin elsewhere
	part  *part

	due      atomic.Int64 // messages that may be sent, since the beginning
	received atomic.Int64 // messages that have come back; the reader's to change
	moved    atomic.Int64 // counts what moves inside of messages, for the watch

	in      incoming
	at      []int64       // closed loop: when each message in flight could be sent
	inline  bool          // the reader writes
	leaving bool          // there is no writer any more, and nothing is said but goodbye
	wake    chan struct{} // there is something for the writer
	quit    chan struct{} // there will be nothing more; whoever has rouse may still call it
	pong    atomic.Pointer[[]byte]
	failed  atomic.Pointer[error] // of a write
	cut     atomic.Pointer[fault] // why the watch has cut it
	late    lateness              // the writer's
}

// inlineBytes is how much may be in flight so that a write never waits for a read of
// ours, whatever the server holds back: systems receive 64 KiB unread, and take 16 to
// send.
const inlineBytes = 72 << 10

func newConn(t *run, o *opened, id int) *conn {
	c := &conn{opened: o, owner: t, id: id, first: id * 37 % t.messages.n, part: t.recorder.part(id)}
	p := t.plan
	if p.Rate == 0 {
		c.at = make([]int64, p.InFlight)
		c.inline = p.InFlight*len(t.messages.out)/t.messages.n <= inlineBytes
	}
	if !c.inline {
		c.wake, c.quit = make(chan struct{}, 1), make(chan struct{})
	}
	expected := max(p.InFlight, 16) * (t.messages.size + 10)
	c.in.init(c, min(max(expected, 4<<10), 64<<10))
	return c
}

// run is the life of c, until everything it has sent is back and no more is due.
func (c *conn) run() {
	written := make(chan struct{})
	if c.inline {
		close(written)
	} else {
		go func() {
			defer close(written)
			c.write()
		}()
	}
	err := c.read()
	if err != nil {
		c.Close() // the writer may be in the midst of it
	}
	if !c.inline {
		close(c.quit)
	}
	<-written
	if err == nil {
		err = c.goodbye()
	}
	c.Close()
	if err != nil {
		c.owner.fail(c, err)
	}
}

// read is the reader.
func (c *conn) read() error {
	t := c.owner
	if t.plan.Rate == 0 { // whatever the time is: each has at least these
		c.release(t.plan.InFlight, t.now())
	}
	for {
		before := c.received.Load()
		if t.stopped.Load() && before == c.due.Load() {
			return nil
		}
		err := c.in.read()
		now := t.now()
		if n := int(c.in.done - before); n > 0 {
			c.account(before, n, now)
			c.received.Store(c.in.done)
			if err == nil && t.plan.Rate == 0 && !t.over(now) {
				c.release(n, now)
			}
		}
		if err != nil {
			if err = c.reason(err); err != nil {
				return err
			}
		}
	}
}

// reason is why reading has failed; nil if it should go on.
func (c *conn) reason(err error) error {
	if f := c.cut.Load(); f != nil {
		return *f
	}
	failed := c.failed.Load()
	if failed != nil && (ending.IsReset(*failed) && errors.Is(err, io.EOF) || errors.Is(err, os.ErrDeadlineExceeded)) {
		return faultOf(*failed) // a reset is told once, to whoever asks first
	}
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		return faultOf(err)
	}
	// The run has ended and woke this read.
	_ = c.SetReadDeadline(time.Time{})
	if c.cut.Load() != nil || c.failed.Load() != nil {
		_ = c.SetReadDeadline(time.Unix(1, 0)) // which may have been undone just now
	}
	return nil
}

// release lets n more messages go, in a closed loop.
func (c *conn) release(n int, now time.Duration) {
	from := c.due.Load()
	for i := range int64(n) {
		c.at[(from+i)%int64(len(c.at))] = int64(now)
	}
	c.due.Add(int64(n))
	if !c.inline {
		c.rouse()
		return
	}
	c.send(int(from), n)
}

// rouse tells the writer that there is something.
func (c *conn) rouse() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// write is the writer.
func (c *conn) write() {
	sent := int64(0)
	for {
		select {
		case <-c.quit:
			return
		case <-c.wake:
		}
		for {
			if p := c.pong.Swap(nil); p != nil {
				c.put(*p)
			}
			due := c.due.Load()
			if sent == due || c.failed.Load() != nil {
				break
			}
			n := int(min(due-sent, maxBatch))
			if c.owner.plan.Rate > 0 {
				c.late.before(c, sent, n, c.owner.now())
			}
			c.send(int(sent), n)
			if c.owner.plan.Rate > 0 {
				c.late.free = c.owner.now()
			}
			sent += int64(n)
		}
	}
}

// maxBatch is how many messages are sent before looking at what else there is.
const maxBatch = 64

// send writes n messages from the given one on.
func (c *conn) send(from, n int) {
	for n > 0 {
		b, k := c.owner.messages.frames(c.first+from, n)
		c.put(b)
		from, n = from+k, n-k
	}
}

// put writes b. An error is for the reader, which may yet read why.
func (c *conn) put(b []byte) {
	const most = 256 << 10 // so that what moves is seen to move
	for len(b) > 0 && c.failed.Load() == nil {
		n, err := c.Write(b[:min(len(b), most)])
		if b = b[n:]; len(b) > 0 {
			c.moved.Add(1)
		}
		if err != nil {
			c.failed.Store(&err)
			_ = c.SetReadDeadline(time.Now().Add(time.Second))
		}
	}
}

// answer answers a ping with the payload p.
func (c *conn) answer(p []byte) {
	if c.leaving {
		return
	}
	b := frame.AppendMasked(nil, frame.Fin|frame.Pong, [4]byte{}, p)
	if c.inline {
		c.put(b)
		return
	}
	c.pong.Store(&b) // the newest alone is enough: section 5.5.3
	c.rouse()
}

// goodbye closes with 1000, and waits a moment for the answer, so that the server has
// a good end of it and the next run a quiet machine. What else comes is a fault.
func (c *conn) goodbye() error {
	if c.owner.messages.bytes {
		return nil
	}
	c.leaving = true
	_ = c.SetDeadline(time.Now().Add(time.Second))
	c.put(frame.AppendMasked(nil, frame.Fin|frame.Close, [4]byte{}, []byte{1000 >> 8, 1000 & 0xff}))
	for {
		if err := c.in.read(); err != nil {
			var f fault
			if errors.As(err, &f) && f.what != closed {
				return f
			}
			break
		}
	}
	// The server is the one to close first (section 7.1.1).
	var b [1]byte
	_, _ = c.Read(b[:])
	return nil
}
