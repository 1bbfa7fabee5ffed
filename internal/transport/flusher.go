package transport

import (
	"sync"
	"time"
)

// A Flusher sends batches whose handler has not read again. One Flusher serves all
// connections of a server. The zero Flusher is ready to use. It may be used concurrently.
// It has no goroutine, and its timer is armed only while a batch waits.
type Flusher struct {
	mu      sync.Mutex // a leaf: nothing is locked under it
	outputs []*output  // for each, inFlusher is true
	timer   *time.Timer
}

// flushInterval is the time between two ticks. A tick sends a batch that has waited since
// the tick before, or since it armed the timer. So a batch waits for one to two intervals,
// and on an idle process for one. There Go's timers may be a millisecond late.
const flushInterval = 250 * time.Microsecond

// add makes the Flusher watch the batch of o, unless it does.
//
// The order matters: batch makes o.batchSeq odd and then calls add. A tick clears
// o.inFlusher and then loads o.batchSeq. So either add lists o, or the tick sees the
// batch.
func (f *Flusher) add(o *output) {
	if o.inFlusher.Load() || !o.inFlusher.CompareAndSwap(false, true) {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.outputs = append(f.outputs, o)
	if len(f.outputs) > 1 { // the timer is armed, and the next tick is too soon
		o.watchedSeq = 0 // even: no batch
		return
	}
	o.watchedSeq = o.batchSeq.Load()
	if f.timer == nil {
		f.timer = time.AfterFunc(flushInterval, f.tick)
	} else {
		f.timer.Reset(flushInterval)
	}
}

// tick sends the batches that have waited for an interval. It does not wait for a peer.
func (f *Flusher) tick() {
	f.mu.Lock()
	var late []*output
	kept := f.outputs[:0]
	for _, o := range f.outputs {
		b := o.batchSeq.Load()
		if b&1 != 0 && b == o.watchedSeq {
			late = append(late, o)
			continue
		}
		if b&1 == 0 {
			o.inFlusher.Store(false)
			if b = o.batchSeq.Load(); b&1 == 0 || !o.inFlusher.CompareAndSwap(false, true) {
				continue
			}
		}
		o.watchedSeq = b
		kept = append(kept, o)
	}
	clear(f.outputs[len(kept):])
	if f.outputs = kept; len(kept) > 0 {
		f.timer.Reset(flushInterval)
	}
	f.mu.Unlock()
	for _, o := range late {
		o.flushLate(f)
	}
}

// flushLate sends the batch of a reader that has not read again. The reader is not trusted
// any more.
//
// TryLock: the holder of the lock may wait for the peer. If it leaves the batch unsent,
// add lists the batch again. Either batchSeq is odd here, or the holder's own call of add
// finds inFlusher false.
func (o *output) flushLate(f *Flusher) {
	o.trusted.Store(false)
	o.inFlusher.Store(false)
	if !o.mu.TryLock() {
		if o.batching() {
			f.add(o)
		}
		return
	}
	if o.err == nil && o.batching() {
		o.tryFlush(false)
	}
	o.unlockNow()
}

// unlockNow is unlock for the Flusher. A close frame may need 20 milliseconds on a socket
// without system calls of its own. There the goroutine of flushLater sends what is pending.
func (o *output) unlockNow() {
	if o.c.raw != nil {
		o.unlock()
		return
	}
	o.mu.Unlock()
	if !o.hasPending.Load() || !o.mu.TryLock() { // see flushPending
		return
	}
	failed := o.err != nil
	if !failed {
		o.flushLater()
	}
	o.mu.Unlock()
	if failed {
		o.flushPending()
	}
}

// A reader is trusted after minPromptReads prompt reads. A read is prompt if it follows a
// reply within promptTime, while more input is buffered.
const (
	promptTime     = 50 * time.Microsecond
	minPromptReads = 8
)

// wroteEarly records that a reply was sent although more input is buffered, because the
// reader is not trusted.
func (o *output) wroteEarly() {
	if o.c.opts.Flusher != nil && !o.Closing && o.c.in.hasInput.Load() {
		o.wroteAt.Store(o.c.now())
	}
}

// updateTrust decides whether the reader is trusted. The reader calls it before it gets the
// next input.
func (in *input) updateTrust() {
	o := &in.c.out
	at := o.wroteAt.Load()
	if at == 0 {
		return
	}
	o.wroteAt.Store(0)
	if in.c.now()-at > int64(promptTime) {
		in.promptReads = 0
		return
	}
	if in.promptReads++; in.promptReads == minPromptReads {
		in.promptReads = 0
		o.trusted.Store(true)
	}
}
