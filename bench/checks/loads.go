package checks

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"example.com/wsecho/wstest"
)

// hugeFrameSent is the number of payload bytes that the check sends. Section 10.4 demands
// a limit on messages. Every server of the comparison should have a lower one.
const hugeFrameSent = 64 << 20

// floodTime is the duration of a flood.
const floodTime = time.Second

// loadTimeout is the replyTimeout of the checks that run alone.
const loadTimeout = time.Second

// loads returns the checks that may end the server. Each then checks whether the server
// still accepts connections.
func loads() []check {
	return []check{
		// Section 5.2: the most significant bit of a 64-bit length is 0.
		{name: "length-top-bit", title: "a length of 2^63 and more", want: "closed with 1002", alone: true, trials: []trial{
			thenAccepts(frameOfLength("2^63", 1<<63)), thenAccepts(frameOfLength("2^64-1", 1<<64-1)),
		}},
		// Section 10.4: the server must protect itself against large frames. It may also
		// wait until too many bytes have arrived.
		{name: "length-2^62", title: "a frame header with a length of 2^62 bytes", want: "closed with 1009", alone: true, trials: []trial{
			thenAccepts(on("", hugeFrame)),
		}},
		// The RFC does not limit the number of fragments. The server may close the
		// connection or read all fragments, but other connections must not wait.
		{name: "tiny-fragments", title: "an endless message in fragments of one byte", want: "closed, or other connections echoed meanwhile", alone: true, trials: []trial{
			thenAccepts(on("", flooded)),
		}},
	}
}

func frameOfLength(name string, n uint64) trial {
	return on(name, func(_ *target, t *conn) (verdict, error) {
		_ = t.SendRaw(wstest.Header(0x80|wstest.Binary, true, key, n, 64))
		return t.refuses(loadTimeout)
	})
}

// thenAccepts runs the trial, and then checks whether the server still accepts connections.
func thenAccepts(t trial) trial {
	do := t.do
	t.do = func(s *target) (verdict, error) {
		v, err := do(s)
		if err != nil {
			return v, err
		}
		after, err := s.dial(wstest.Dial, "")
		if s.ctx.Err() != nil {
			return verdict{}, s.cause(err)
		}
		if err != nil {
			s.gone.Store(true)
			return verdict{v.got + ", and then the server accepted no connection", false}, nil
		}
		after.end()
		return v, nil
	}
	return t
}

// hugeFrame sends a header alone, and then up to hugeFrameSent bytes of the payload.
func hugeFrame(_ *target, t *conn) (verdict, error) {
	t.drop = true
	if err := t.SendRaw(wstest.Header(0x80|wstest.Binary, true, key, 1<<62, 64)); err != nil {
		return verdict{}, err
	}
	r, err := t.next(loadTimeout / 2)
	if r.kind != nothing || err != nil {
		return verdict{r.text, r.fails()}, err
	}
	chunk := make([]byte, 1<<20)
	stop := t.writeRepeatedly(chunk, func(sent int) bool { return sent*len(chunk) < hugeFrameSent })
	r, err = t.next(loadTimeout)
	return verdict{fmt.Sprintf("%s, with %d MiB of it sent", r.text, stop()*len(chunk)>>20), r.fails()}, err
}

// writeRepeatedly writes b repeatedly while more returns true. stop ends the connection
// and returns the number of complete writes.
func (t *conn) writeRepeatedly(b []byte, more func(sent int) bool) (stop func() int) {
	sent := 0
	var writing sync.WaitGroup
	writing.Go(func() {
		for more(sent) && t.SendRaw(b) == nil {
			sent++
		}
	})
	return func() int {
		_ = t.RST()
		writing.Wait()
		return sent
	}
}

// flood lets one Run at a time flood its server. Otherwise the floods of other servers
// would delay the answers.
var flood = make(chan struct{}, 1)

// flooded sends fragments while a second connection sends messages.
func flooded(s *target, t *conn) (verdict, error) {
	select {
	case flood <- struct{}{}:
		defer func() { <-flood }()
	case <-s.ctx.Done():
		return verdict{}, context.Cause(s.ctx)
	}
	t.drop = true
	second, err := s.dial(wstest.Dial, "")
	if err != nil {
		return verdict{}, err
	}
	defer second.end()
	if err := t.Send(wstest.TextFrame("a").Open()); err != nil {
		return verdict{}, err
	}
	const batch = 4096
	fragments := bytes.Repeat(raw(data(wstest.Continuation, "a").Open()), batch)
	until := time.Now().Add(floodTime)
	stop := t.writeRepeatedly(fragments, func(int) bool { return time.Now().Before(until) })
	var others sync.WaitGroup
	var other verdict
	var otherErr error
	others.Go(func() {
		f := wstest.TextFrame("second")
		for other.right = true; other.right && otherErr == nil && time.Now().Before(until); time.Sleep(floodTime / 100) {
			if otherErr = second.Send(f); otherErr == nil {
				other, otherErr = second.echoes(loadTimeout, f)
			}
		}
	})
	r, err := t.next(time.Until(until))
	others.Wait() // before the flood ends: an answer must not depend on its end
	n := stop() * batch
	if err = errors.Join(err, otherErr); err != nil {
		return verdict{}, err
	}
	got := r.text
	if r.kind == nothing {
		got = fmt.Sprintf("read fragments for %v, %d of them", floodTime, n)
	}
	if !other.right {
		return verdict{got + "; meanwhile another connection: " + other.got, false}, nil
	}
	return verdict{got, r.kind == nothing || r.fails()}, nil
}
