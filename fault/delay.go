package fault

import (
	"bytes"
	"context"
	"math/rand/v2"
	"time"

	"github.com/coder/websocket"
	"golang.org/x/sync/semaphore"
)

// A delayLine sends the messages of one connection later, in their order. Up to
// delayedMessages of them, with delayedBytes together, wait while the connection is read.
// Beyond that, and if memory is spent, write blocks.
type delayLine struct {
	delay, jitter time.Duration
	send          func(websocket.MessageType, []byte) error
	memory        *semaphore.Weighted // of all connections
	room          *semaphore.Weighted // delayedBytes less the messages that wait
	queue         chan delayed
	last          time.Time // when the newest message is due
	ctx           context.Context
	cancel        context.CancelCauseFunc
}

type delayed struct {
	due  time.Time
	typ  websocket.MessageType
	data []byte
}

const (
	delayedMessages = 64
	delayedBytes    = 64 << 10
	delayedMemory   = 4 << 20 // of all connections of a PerConn
)

// newDelayLine returns a delayLine until ctx ends or send fails. Its run must be started.
func newDelayLine(ctx context.Context, p *plan, memory *semaphore.Weighted, send func(websocket.MessageType, []byte) error) *delayLine {
	l := &delayLine{delay: p.delay, jitter: p.jitter, send: send, memory: memory,
		room: semaphore.NewWeighted(delayedBytes), queue: make(chan delayed, delayedMessages)}
	l.ctx, l.cancel = context.WithCancelCause(ctx)
	return l
}

// run sends the messages until the line has ended.
func (l *delayLine) run() {
	for {
		select {
		case m := <-l.queue:
			err := l.sendAt(m)
			l.release(m)
			if err != nil {
				return
			}
		case <-l.ctx.Done():
			return
		}
	}
}

// end discards the messages that wait, after run and the last write have returned.
func (l *delayLine) end() {
	l.cancel(nil)
	for {
		select {
		case m := <-l.queue:
			l.release(m)
		default:
			return
		}
	}
}

// write sends a copy of p later. One goroutine at a time may call it. It returns the error
// of an earlier message, or the cause of the end of ctx.
func (l *delayLine) write(typ websocket.MessageType, p []byte) error {
	m := delayed{l.due(), typ, p}
	size := sizeOf(p)
	if size <= delayedBytes && l.room.Acquire(l.ctx, size) == nil {
		if l.memory.TryAcquire(size) {
			m.data = bytes.Clone(p)
			select {
			case l.queue <- m:
				return nil
			case <-l.ctx.Done():
				l.release(m)
				return context.Cause(l.ctx)
			}
		}
		l.room.Release(size)
	}
	if l.room.Acquire(l.ctx, delayedBytes) != nil { // waits until the others are sent
		return context.Cause(l.ctx)
	}
	defer l.room.Release(delayedBytes)
	return l.sendAt(m)
}

// sendAt sends m when it is due. An error ends the line.
func (l *delayLine) sendAt(m delayed) error {
	if !sleep(l.ctx, time.Until(m.due)) {
		return context.Cause(l.ctx)
	}
	err := l.send(m.typ, m.data)
	if err != nil {
		l.cancel(err)
	}
	return err
}

func (l *delayLine) release(m delayed) {
	l.memory.Release(sizeOf(m.data))
	l.room.Release(sizeOf(m.data))
}

// sizeOf returns the size of a message in a line. It is never 0, so that no message
// overtakes an empty one.
func sizeOf(p []byte) int64 { return max(1, int64(len(p))) }

// due returns when a message of now is sent: not before an earlier one.
func (l *delayLine) due() time.Time {
	d := l.delay
	if l.jitter > 0 {
		d += time.Duration(rand.Int64N(2*int64(l.jitter)+1)) - l.jitter
	}
	if due := time.Now().Add(d); due.After(l.last) {
		l.last = due
	}
	return l.last
}
