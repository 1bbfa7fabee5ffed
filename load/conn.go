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

// A conn is one connection of a run. One goroutine reads. In a closed loop of small
// messages it writes too. Otherwise a second goroutine writes. If the reader waited in a
// write while the server waits in a write too, both would wait for ever.
type conn struct {
	*opened
	owner *run
	id    int
	first int // the index of its first message; it differs between connections
	shard *shard

	due      atomic.Int64 // messages that may be sent, since the start
	received atomic.Int64 // echoed messages; only the reader writes it
	moved    atomic.Int64 // counts progress inside messages, for watch

	in       incoming
	greeting error                  // of skipGreeting
	readyAt  []int64                // closed loop: when each message in flight could be sent
	inline   bool                   // the reader writes
	closing  bool                   // the close frame was sent, and nothing may follow it
	wake     chan struct{}          // the writer has something to send
	quit     chan struct{}          // the writer ends
	pong     atomic.Pointer[[]byte] // to be sent by the writer
	writeErr atomic.Pointer[error]
	aborted  atomic.Pointer[fault] // why watch has ended it
	late     lateness              // of the writer
}

// inlineBytes is the largest number of bytes in flight with which no write of the reader
// can wait. The server may send nothing meanwhile. Systems buffer 64 KiB of received data
// and 16 KiB to send.
const inlineBytes = 72 << 10

func newConn(t *run, o *opened, id int) *conn {
	c := &conn{opened: o, owner: t, id: id, first: id * 37 % t.messages.n, shard: t.recorder.shard(id)}
	p := t.plan
	if p.Rate == 0 {
		c.readyAt = make([]int64, p.InFlight)
		c.inline = p.InFlight*len(t.messages.out)/t.messages.n <= inlineBytes
	}
	if !c.inline {
		c.wake, c.quit = make(chan struct{}, 1), make(chan struct{})
	}
	expected := max(p.InFlight, 16) * (t.messages.size + 10)
	c.in.init(c, min(max(expected, 4<<10), 64<<10))
	return c
}

// greetingTime is the time after all handshakes in which a greeting is noticed.
// skipGreetingTime is the longest wait for those of Plan.SkipGreeting.
const (
	greetingTime     = 10 * time.Millisecond
	skipGreetingTime = time.Second
)

// skipGreeting ignores the messages of Plan.SkipGreeting. A further message before
// anything was sent is an error, which it stores.
func (c *conn) skipGreeting() {
	if c.in.skip > 0 {
		c.greeting = c.readFor(skipGreetingTime, func() bool { return c.in.skip == 0 })
	}
	if c.greeting == nil {
		c.greeting = c.readFor(greetingTime, func() bool { return false })
	}
	_ = c.SetReadDeadline(time.Time{})
}

// readFor reads for a time, or until done.
func (c *conn) readFor(d time.Duration, done func() bool) error {
	_ = c.SetReadDeadline(time.Now().Add(d))
	for !done() {
		if err := c.in.read(); errors.Is(err, os.ErrDeadlineExceeded) {
			return nil
		} else if err != nil {
			return faultOf(err)
		}
	}
	return nil
}

// run measures with c until each message that was due was echoed and no more are due.
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
	err := c.greeting
	if err == nil {
		err = c.read()
	}
	if err != nil {
		c.Close() // the writer may wait in a write
	}
	if !c.inline {
		close(c.quit)
	}
	<-written
	if err == nil {
		err = c.closingHandshake()
	}
	c.Close()
	c.in.inflate.Release()
	if err != nil {
		c.owner.fail(c, err)
	}
}

// read is the reader.
func (c *conn) read() error {
	t := c.owner
	if t.plan.Rate == 0 { // each connection sends at least these, even after the end of the time
		c.allow(t.plan.InFlight, t.now())
	}
	for {
		before := c.received.Load()
		if t.stopped.Load() && before == c.due.Load() {
			return nil
		}
		err := c.in.read()
		now := t.now()
		if n := int(c.in.echoed - before); n > 0 {
			c.record(before, n, now)
			c.received.Store(c.in.echoed)
			if err == nil && t.plan.Rate == 0 && !t.ended(now) {
				c.allow(n, now)
			}
		}
		if err != nil {
			if err = c.reason(err); err != nil {
				return err
			}
		}
	}
}

// reason returns the fault for an error of reading, nil if the reader must continue.
func (c *conn) reason(err error) error {
	if f := c.aborted.Load(); f != nil {
		return *f
	}
	writeErr := c.writeErr.Load()
	if writeErr != nil && (ending.IsReset(*writeErr) && errors.Is(err, io.EOF) || errors.Is(err, os.ErrDeadlineExceeded)) {
		return faultOf(*writeErr) // the system reports a reset once, here to the writer
	}
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		return faultOf(err)
	}
	// stop has interrupted this read.
	_ = c.SetReadDeadline(time.Time{})
	if c.aborted.Load() != nil || c.writeErr.Load() != nil {
		_ = c.SetReadDeadline(time.Unix(1, 0)) // the call above may have removed that deadline
	}
	return nil
}

// allow lets n more messages be sent, in a closed loop.
func (c *conn) allow(n int, now time.Duration) {
	from := c.due.Load()
	for i := range int64(n) {
		c.readyAt[(from+i)%int64(len(c.readyAt))] = int64(now)
	}
	c.due.Add(int64(n))
	if !c.inline {
		c.wakeWriter()
		return
	}
	c.send(int(from), n)
}

// wakeWriter tells the writer that there is something to send.
func (c *conn) wakeWriter() {
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
			if sent == due || c.writeErr.Load() != nil {
				break
			}
			n := int(min(due-sent, maxBatch))
			if c.owner.plan.Rate > 0 {
				c.late.before(c, sent, n, c.owner.now())
			}
			c.send(int(sent), n)
			if c.owner.plan.Rate > 0 {
				c.late.lastWrite = c.owner.now()
			}
			sent += int64(n)
		}
	}
}

// maxBatch is the largest number of messages that are sent between two checks for a pong.
const maxBatch = 64

// send writes n messages, beginning with message from.
func (c *conn) send(from, n int) {
	for n > 0 {
		b, k := c.owner.messages.frames(c.first+from, n)
		c.put(b)
		from, n = from+k, n-k
	}
}

// put writes b. It leaves an error to the reader, which may still read the cause.
func (c *conn) put(b []byte) {
	const most = 256 << 10 // small enough that watch sees progress
	for len(b) > 0 && c.writeErr.Load() == nil {
		n, err := c.Write(b[:min(len(b), most)])
		if b = b[n:]; len(b) > 0 {
			c.moved.Add(1)
		}
		if err != nil {
			c.writeErr.Store(&err)
			_ = c.SetReadDeadline(time.Now().Add(time.Second))
		}
	}
}

// answerPing answers a ping with the payload p.
func (c *conn) answerPing(p []byte) {
	if c.closing {
		return
	}
	b := frame.AppendMasked(nil, frame.Fin|frame.Pong, [4]byte{}, p)
	if c.inline {
		c.put(b)
		return
	}
	c.pong.Store(&b) // the newest pong alone is enough (RFC 6455, section 5.5.3)
	c.wakeWriter()
}

// closingHandshake sends a close frame with 1000 and waits up to a second for the answer.
// The next run then finds an idle server. A message in place of the answer is an error.
func (c *conn) closingHandshake() error {
	if c.owner.messages.bytes {
		return nil
	}
	c.closing = true
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
	// The server closes TCP first (section 7.1.1).
	var b [1]byte
	_, _ = c.Read(b[:])
	return nil
}
