package transport

import (
	"errors"
	"os"

	"example.com/wsecho/internal/socket"
)

// A connection without a message can do without the stack of whoever reads: it
// rests. What wakes it is looked at first, for mostly it is a pong.

// CanRest reports whether c can rest: whether readiness for reading is known.
func (c *Conn) CanRest() bool { return c.raw != nil }

// Idle deals with what has come and reports whether there is nothing to read for
// now: no part of a message, no end, no close of ours. It does not wait. Where it
// says so, Rest may follow.
func (c *Conn) Idle() bool {
	in := &c.in
	in.mu.Lock()
	defer in.mu.Unlock()
	err := in.get(atOnce)
	return err == errIdle && !in.Inside() && len(in.part) == 0
}

// Rest waits until there is something to read, or reading fails, or a close
// begins. It takes next to no stack.
func (c *Conn) Rest() {
	if x := c.ext; x != nil {
		x.out.rest()
	}
	c.waiting.CompareAndSwap(0, c.now())
	_ = c.raw.Read(c.in.peek) // who reads will see it
	c.waiting.Store(0)
}

// peekSome reports whether there is something to read, and takes nothing but an
// error, which the kernel tells only once.
func (c *Conn) peekSome(fd uintptr) bool {
	var b [1]byte
	_, err := socket.Peek(fd, b[:])
	if err == socket.ErrAgain {
		return false
	}
	if err != nil {
		told := os.NewSyscallError("read", err) // not err, or that would be on the heap each time
		c.told.Store(&told)
	}
	return true
}

// errIdle is a wait for a message that was long enough.
var errIdle = errors.New("transport: no message has come for a while")
