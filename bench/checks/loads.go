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

// enough is more than any server should keep of one message unasked. It is a
// bound of this table; section 10.4 only says that there must be one.
const enough = 64 << 20

// flooding is how long a server is flooded.
const flooding = time.Second

// impatience is patience in what is done alone.
const impatience = time.Second

// Each looks afterwards whether the server is still there.
func loads() []check {
	return []check{
		// Section 5.2: the top bit of 64 is 0.
		{name: "length-top-bit", title: "a length of 2^63 and more", want: "closed with 1002", alone: true, trials: []trial{
			survived(lengthy("2^63", 1<<63)), survived(lengthy("2^64-1", 1<<64-1)),
		}},
		// Section 10.4: a server that cannot store it must protect itself. It may also
		// wait until too much has arrived.
		{name: "length-2^62", title: "a frame that is announced with 2^62 bytes", want: "closed with 1009", alone: true, trials: []trial{
			survived(on("", announced)),
		}},
		// The RFC does not limit the number of fragments. A server with a limit closes
		// the connection; one without reads on. It is wrong if other connections wait.
		{name: "tiny-fragments", title: "an endless message in fragments of one byte", want: "closed, or others echoed meanwhile", alone: true, trials: []trial{
			survived(on("", flooded)),
		}},
	}
}

func lengthy(name string, n uint64) trial {
	return on(name, func(_ *target, t *talk) (verdict, error) {
		_ = t.SendRaw(wstest.Header(0x80|wstest.Binary, true, key, n, 64))
		return t.refuses(impatience)
	})
}

// survived has the trial, and then looks whether the server still accepts.
func survived(t trial) trial {
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

// announced sends the header alone, and then enough of the payload.
func announced(_ *target, t *talk) (verdict, error) {
	t.drop = true
	if err := t.SendRaw(wstest.Header(0x80|wstest.Binary, true, key, 1<<62, 64)); err != nil {
		return verdict{}, err
	}
	r, err := t.next(impatience / 2)
	if r.kind != nothing || err != nil {
		return verdict{r.said, r.fails()}, err
	}
	chunk := make([]byte, 1<<20)
	stop := t.pour(chunk, func(sent int) bool { return sent*len(chunk) < enough })
	r, err = t.next(impatience)
	return verdict{fmt.Sprintf("%s, with %d MiB of it sent", r.said, stop()*len(chunk)>>20), r.fails()}, err
}

// pour writes b again and again while more allows it. stop ends the connection
// and returns how often b was written.
func (t *talk) pour(b []byte, more func(sent int) bool) (stop func() int) {
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

// flood is for one Run at a time: what others wait for must be the server, and not
// the floods of other servers.
var flood = make(chan struct{}, 1)

// flooded sends fragments, while another connection sends messages.
func flooded(s *target, t *talk) (verdict, error) {
	select {
	case flood <- struct{}{}:
		defer func() { <-flood }()
	case <-s.ctx.Done():
		return verdict{}, context.Cause(s.ctx)
	}
	t.drop = true
	beside, err := s.dial(wstest.Dial, "")
	if err != nil {
		return verdict{}, err
	}
	defer beside.end()
	if err := t.Send(wstest.TextFrame("a").Open()); err != nil {
		return verdict{}, err
	}
	const batch = 4096
	fragments := bytes.Repeat(raw(data(wstest.Continuation, "a").Open()), batch)
	until := time.Now().Add(flooding)
	stop := t.pour(fragments, func(int) bool { return time.Now().Before(until) })
	var others sync.WaitGroup
	var other verdict
	var otherErr error
	others.Go(func() {
		f := wstest.TextFrame("and I?")
		for other.right = true; other.right && otherErr == nil && time.Now().Before(until); time.Sleep(flooding / 100) {
			if otherErr = beside.Send(f); otherErr == nil {
				other, otherErr = beside.echoes(impatience, f)
			}
		}
	})
	r, err := t.next(time.Until(until))
	others.Wait() // before the flood is stopped: an answer must not wait for that
	n := stop() * batch
	if err = errors.Join(err, otherErr); err != nil {
		return verdict{}, err
	}
	got := r.said
	if r.kind == nothing {
		got = fmt.Sprintf("read on for %v, %d fragments", flooding, n)
	}
	if !other.right {
		return verdict{got + "; meanwhile another connection: " + other.got, false}, nil
	}
	return verdict{got, r.kind == nothing || r.fails()}, nil
}
