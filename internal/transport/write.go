package transport

import (
	"cmp"
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"example.com/wsecho/ending"
	"example.com/wsecho/internal/frame"
	"example.com/wsecho/internal/socket"
)

// docs/architecture.md has the order of all locks. Those of this package are:
//
//   - in.mu guards reading. A reader holds it while it flushes replies and sends pongs.
//   - out.mu guards writing. Its holder may wait for the peer until the write deadline.
//   - pendingControl.mu guards control frames that wait for out.mu.
//   - Conn.mu guards the deadlines, the errors and a pending close frame. Its holder never
//     waits for the peer.

// output is the write side. coder writes a frame in pieces. output sends a complete frame
// in one write, or a batch of frames.
type output struct {
	c  *Conn
	mu sync.Mutex // guards the fields that are not atomic

	frame.Tracker
	buf *block // nil: nothing is buffered
	n   int    // bytes in buf
	err error  // of all later writes

	pingBuffered    bool         // buf contains a ping
	pongBuffered    bool         // buf contains pongs
	onlyPings       bool         // flush sends nothing but pings
	closeSent       bool         // the kernel has accepted a close frame
	insideTLSRecord atomic.Bool  // a plain write is in progress, or has failed inside a TLS record
	failed          atomic.Bool  // a write of the socket has failed
	unsent          atomic.Int64 // bytes that wait for the kernel

	trusted    atomic.Bool   // the handler reads again soon, so replies may wait in buf
	wroteAt    atomic.Int64  // when a reply was sent early, as Conn.received; 0: none, or the handler has read since
	batchSeq   atomic.Uint32 // odd: buf contains complete frames that wait for others; only holders of mu change it
	inFlusher  atomic.Bool   // the Flusher watches the batch
	watchedSeq uint32        // batchSeq at its last tick; guarded by Flusher.mu

	hasPending atomic.Bool // pending contains a frame
	pending    pendingControl
	writers    atomic.Int32   // calls of Write that wait for mu
	flushing   bool           // flusher waits for mu, to flush
	flusher    sync.WaitGroup // the goroutine of flushLater

	remaining  []byte             // the bytes that writeSome has to write
	onWritable func(uintptr) bool // writeSome, made once
	errWrite   error              // of writeSome

	stall *stall // nil: no write has waited yet
}

func (o *output) init(c *Conn) {
	o.c = c
	o.onWritable = o.writeSome
}

// Write writes a piece of a frame. It blocks only while the kernel accepts no bytes.
func (c *Conn) Write(p []byte) (int, error) {
	o := &c.out
	o.lockForData()
	defer o.unlock()
	if o.err != nil {
		return 0, o.err
	}
	if x := c.ext; x != nil {
		o.compress(&x.out, p)
	} else {
		o.Track(p)
		o.buffer(p)
	}
	if o.AtBoundary() && !o.batch() {
		o.flush()
		o.wroteEarly()
	}
	if o.err != nil {
		return 0, o.err
	}
	return len(p), nil
}

// lockForData locks o.mu for a Write. A ping that waits for the peer has a limit then.
//
// TryLock: only the first look. If it fails, Lock follows.
func (o *output) lockForData() {
	if o.mu.TryLock() {
		return
	}
	o.writers.Add(1)
	o.mu.Lock()
	o.writers.Add(-1)
}

// buffer appends p to the buffer. It sends a full buffer.
func (o *output) buffer(p []byte) {
	for len(p) > 0 && o.err == nil {
		o.acquireBuffer()
		n := copy(o.buf.b[o.n:], p)
		o.n += n
		p = p[n:]
		if len(p) == 0 {
			return
		}
		o.send(o.buf.b[:o.n])
		if len(p) >= len(o.buf.b) { // a copy into the buffer would save no write
			o.send(p)
			return
		}
	}
}

// batch reports whether the buffered frames wait for others. They do while input is
// buffered and the reader is trusted. The order matters: batch makes batchSeq odd and then
// loads in.hasInput. The reader clears in.hasInput and then loads batchSeq. So either batch
// sees that no input is left, or the reader sees the batch and flushes it. The compressor may
// have all data of a fragment, so that nothing is buffered.
func (o *output) batch() bool {
	if !o.trusted.Load() || o.Closing || o.n == 0 {
		return false
	}
	if o.batchSeq.Load()&1 == 0 { // a store costs more than a load
		o.batchSeq.Add(1)
	}
	if !o.c.in.hasInput.Load() {
		return false
	}
	o.c.opts.Flusher.add(o)
	return true
}

// endBatch records that the buffered frames do not wait any more.
func (o *output) endBatch() {
	if o.batchSeq.Load()&1 != 0 {
		o.batchSeq.Add(1)
	}
}

// batching reports whether complete frames wait in the buffer and no goroutine is sending
// them.
func (o *output) batching() bool { return o.batchSeq.Load()&1 != 0 }

// flushBatch sends the batch. The reader calls it before it waits. An incomplete frame
// behind the batch is sent too, because its end may be written much later.
func (o *output) flushBatch() {
	if !o.batching() {
		return
	}
	o.mu.Lock()
	defer o.unlock()
	if o.err == nil && o.batching() {
		o.flush()
	}
}

// sendBatch sends the bytes of the batch that the socket accepts at once, when the
// connection ends. Nothing can be written afterwards.
func (o *output) sendBatch() {
	if !o.batching() || o.c.pendingClose() != nil { // the close frame is sent with the batch
		return
	}
	o.lockSoon()
	defer o.unlock()
	if o.err != nil || !o.batching() {
		return
	}
	n, err := o.trySend(o.buf.b[:o.n])
	if err == nil && n == o.n {
		o.n = 0
		o.flush()
	}
	o.err = cmp.Or(err, net.ErrClosed)
}

// lockSoon locks o.mu. A holder that waits for the peer, or begins to, has 20 milliseconds.
//
// TryLock: only the first look. If it fails, Lock follows.
func (o *output) lockSoon() {
	if o.mu.TryLock() {
		return
	}
	c := o.c
	c.mu.Lock()
	c.writeBy = time.Now().Add(minStall)
	c.armWrite(c.writeLimit())
	c.mu.Unlock()
	o.mu.Lock()
	c.mu.Lock()
	c.writeBy = time.Time{}
	c.mu.Unlock()
}

// end releases the buffers. Nothing is written afterwards. If wait is false, it does
// nothing while another goroutine writes. Otherwise it waits for the goroutine of
// flushLater too.
//
// TryLock: Hangup calls end(false) to release memory early. It always calls end(true)
// later, which acquires the lock and does the same.
func (o *output) end(wait bool) {
	if !o.mu.TryLock() {
		if !wait {
			return
		}
		o.mu.Lock()
	}
	o.releaseBuffer()
	if x := o.c.ext; x != nil {
		x.out.end()
	}
	if o.err == nil {
		o.err = net.ErrClosed
	}
	o.mu.Unlock()
	if wait {
		o.flusher.Wait()
	}
}

// flush sends the buffer and releases it.
func (o *output) flush() {
	o.endBatch()
	if o.n > 0 {
		o.send(o.buf.b[:o.n])
	}
	o.releaseBuffer()
	if o.err != nil {
		return
	}
	c := o.c
	if s := o.stall; s != nil && s.waited > 0 {
		c.mu.Lock()
		s.waited, s.moved = 0, 0
		c.mu.Unlock()
	}
	c.countOut.publish(&o.Counts)
	if o.pingBuffered {
		o.pingBuffered = false
		c.pinged.Store(c.now())
	}
	o.closeSent = o.Closing
}

func (o *output) acquireBuffer() {
	if o.buf == nil {
		o.buf = o.c.opts.Write.get()
	}
}

func (o *output) releaseBuffer() {
	if o.buf == nil {
		return
	}
	if len(o.buf.b) == o.c.opts.Write.size { // see insert
		o.c.opts.Write.put(o.buf)
	}
	o.buf, o.n, o.pongBuffered = nil, 0, false
}

// send writes all of p to the socket, or sets o.err. It fails if the write makes too little
// progress: see stall.
func (o *output) send(p []byte) {
	if o.err != nil {
		return
	}
	c := o.c
	o.endBatch()
	o.n = 0
	o.unsent.Store(int64(len(p)))
	var err error
	if c.raw != nil {
		err = o.sendRaw(p)
	} else {
		err = o.sendPlain(p)
	}
	if err == nil {
		o.unsent.Store(0)
		return
	}
	o.fail(err)
}

// fail makes err, which a write of the socket has returned, the error of all later writes.
func (o *output) fail(err error) {
	c := o.c
	o.err = err
	o.failed.Store(true)
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		if ending.IsReset(err) {
			reset := err // the address of err would move err to the heap in each call
			c.pendingReset.Store(&reset)
		}
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if o.err = c.Err(); o.err != nil {
		return
	}
	o.err = c.stallError()
	if !c.closing() && c.writeBy.IsZero() {
		c.fail(o.err)
	}
}

// sendRaw writes with system calls of its own. A write that does not wait starts no timer.
func (o *output) sendRaw(p []byte) error {
	c := o.c
	o.remaining, o.errWrite = p, nil
	err := c.raw.Write(o.onWritable)
	if err != nil && o.completeFrame() {
		err = nil
	}
	o.remaining = nil
	if c.stalledSince.Load() != 0 {
		o.endStall()
	}
	if err == nil {
		err = o.errWrite
	}
	return err
}

// writeSome is the callback of sendRaw. It returns false to wait until the socket is
// writable.
func (o *output) writeSome(fd uintptr) bool {
	before := len(o.remaining)
	for len(o.remaining) > 0 {
		n, err := socket.Write(fd, o.remaining)
		if n > 0 {
			o.remaining = o.remaining[n:]
			o.unsent.Store(int64(len(o.remaining)))
			continue
		}
		if err == socket.ErrAgain {
			if o.c.stalledSince.Load() == 0 {
				o.beginStall()
			} else if len(o.remaining) < before {
				o.c.stalledSince.Store(o.c.now())
			}
			return false
		}
		o.errWrite = os.NewSyscallError("write", err)
		break
	}
	return true
}

// sendPlain writes to a connection that shows progress only between writes. Under TLS
// each write is one record.
func (o *output) sendPlain(p []byte) error {
	c := o.c
	c.mu.Lock()
	ended := c.writesEnded()
	c.mu.Unlock()
	if ended { // tls.Conn would count a record that is never sent
		return net.ErrClosed
	}
	o.beginStall()
	defer o.endStall()
	o.insideTLSRecord.Store(true)
	for len(p) > 0 {
		c.stalledSince.Store(c.now())
		n, err := c.sock.Write(p[:min(len(p), maxRecord)])
		p = p[n:]
		o.unsent.Store(int64(len(p)))
		if err != nil && !(n > 0 && errors.Is(err, os.ErrDeadlineExceeded) && o.resumeStall()) {
			return err
		}
	}
	o.insideTLSRecord.Store(false)
	return nil
}

// maxRecord is the payload of the largest TLS record.
const maxRecord = 16 << 10
