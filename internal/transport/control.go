package transport

import (
	"sync"

	"example.com/wsecho/ending"
	"example.com/wsecho/internal/frame"
)

// Pings and pongs do not reach coder. It would answer each ping under a lock and
// a clock of its own, and end the connection when a write before it takes longer
// than five seconds; and a connection that only ever sees heartbeats would have
// coder's stack for it. Here they are a few bytes more in the write buffer.

// heed takes a ping or pong that has come, or says that there were too many. It
// does not wait for the write of anybody else.
func (c *Conn) heed(op byte, payload []byte) *ending.Error {
	if err := c.spend(); err != nil {
		return err
	}
	if op == frame.Pong {
		if f := c.opts.OnPong; f != nil {
			f(payload)
		}
		return nil
	}
	if f := c.opts.OnPing; f != nil {
		f()
	}
	c.out.control(frame.Pong, payload)
	return nil
}

// Ping sends a ping with a payload of at most 125 bytes. While a write is under
// way it goes out behind that, and Ping returns at once; PingSent knows when it
// has left.
func (c *Conn) Ping(payload []byte) {
	c.asked.Add(1)
	c.out.control(frame.Ping, payload)
}

// owed are control frames that wait for the end of the frame that is being
// written: of pings and of pongs the newest, RFC 6455, section 5.5.3.
type owed struct {
	mu         sync.Mutex
	ping, pong []byte // encoded; nil: none
}

// control sends a control frame, now or at the end of the frame under way.
func (o *output) control(op byte, payload []byte) {
	if o.mu.TryLock() {
		if o.Whole() {
			o.insert(frame.Encode(op, payload))
			o.unlock()
			return
		}
		o.mu.Unlock()
	}
	w := &o.owed
	w.mu.Lock()
	slot := &w.pong
	if op == frame.Ping {
		slot = &w.ping
	}
	*slot = frame.Encode(op, payload)
	o.owes.Store(true)
	w.mu.Unlock()
	o.settle()
}

// insert puts a control frame between two frames. o.mu is held.
func (o *output) insert(f []byte) {
	if len(f) == 0 || o.err != nil || o.Closing {
		return
	}
	o.ping = o.ping || f[0] == frame.Fin|frame.Ping
	o.add(f)
	if !o.hold() {
		o.leave()
	}
}

// unlock ends a hold of o.mu and sees to what has come meanwhile.
func (o *output) unlock() {
	o.mu.Unlock()
	o.settle()
}

// settle sends what is owed, unless a write is under way, which settles after it.
func (o *output) settle() {
	for o.owes.Load() && o.mu.TryLock() {
		if !o.Whole() && o.err == nil {
			o.mu.Unlock()
			return
		}
		w := &o.owed
		w.mu.Lock()
		o.owes.Store(false)
		pong, ping := w.pong, w.ping
		w.pong, w.ping = nil, nil
		w.mu.Unlock()
		o.insert(pong)
		o.insert(ping)
		o.mu.Unlock()
	}
}
