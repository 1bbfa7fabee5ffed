package transport

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/coder/websocket"

	"example.com/wsecho/internal/deflate"
	"example.com/wsecho/internal/frame"
	"example.com/wsecho/internal/testfull"
)

// A pendingPlan is the output of a server that ends. Its messages are written in pieces, as
// coder writes them, among pings and pongs. TryClose comes after some of the pieces.
type pendingPlan struct {
	kind     string
	options  Options
	messages []wireMessage
	pieces   [][]byte
	bounds   []bool // by piece: no frame is in progress behind it
	whole    []int  // by piece: the messages that are whole behind it
	controls []byte // by piece: the opcode of a control frame before it, or 0
	batches  []bool // by piece: input is buffered, so replies wait
	closeAt  int    // TryClose is called before this piece
	stopAt   int    // no piece from this one on is written
	atOnce   bool   // CloseBy of a peer that may be dead
	code     websocket.StatusCode
	reason   string
}

func newPendingPlan(seed uint64) *pendingPlan {
	rng := rand.New(rand.NewPCG(seed, 0))
	p := &pendingPlan{kind: "tcp", options: options(), atOnce: rng.IntN(2) == 0, code: 1001, reason: "over"}
	if rng.IntN(8) == 0 {
		p.kind = kinds[1+rng.IntN(2)]
	}
	if rng.IntN(4) == 0 {
		p.code, p.reason = websocket.StatusNoStatusRcvd, ""
	}
	p.options.Write = NewPool(512 << rng.IntN(4))
	switch rng.IntN(4) {
	case 0:
	case 1:
		p.options.Deflate = &deflate.Params{ServerBits: 8 + rng.IntN(8)}
	default:
		p.options.Deflate = &deflate.Params{ServerTakeover: true, ServerBits: 15}
	}
	most := []int{3, 100, 5000}[rng.IntN(3)]
	for range 1 + rng.IntN(5) {
		m := wireMessage{op: frame.Text + byte(rng.IntN(2))}
		var b []byte // of frames that coder has in its buffer
		var ends []int
		for left := rng.IntN(3); left >= 0; left-- {
			part := make([]byte, rng.IntN([]int{5, 200, 3000}[rng.IntN(3)]))
			bound := 1 + rng.IntN(256)
			for i := range part {
				part[i] = byte(rng.IntN(bound))
			}
			first := byte(frame.Continuation)
			if ends == nil {
				first = m.op
				m.packed = p.options.Deflate != nil && len(part) >= map[bool]int{false: 512, true: 128}[p.options.Deflate.ServerTakeover]
			}
			if left == 0 {
				first |= frame.Fin
			}
			b = append(frame.Header{First: first, Length: uint64(len(part))}.Append(b, 0), part...)
			ends = append(ends, len(b))
			m.payload = append(m.payload, part...)
		}
		for at := 0; at < len(b); {
			n := min(1+rng.IntN(most), len(b)-at)
			p.pieces = append(p.pieces, b[at:at+n])
			at += n
			p.bounds = append(p.bounds, slices.Contains(ends, at))
			p.whole = append(p.whole, len(p.messages))
		}
		p.messages = append(p.messages, m)
		p.whole[len(p.whole)-1]++
	}
	for range p.pieces {
		p.controls = append(p.controls, []byte{0, 0, 0, 0, 0, 0, frame.Ping, frame.Pong}[rng.IntN(8)])
		p.batches = append(p.batches, rng.IntN(2) == 0)
	}
	p.closeAt = rng.IntN(len(p.pieces) + 1)
	p.stopAt = len(p.pieces)
	if rng.IntN(3) == 0 {
		p.stopAt = p.closeAt + rng.IntN(p.stopAt-p.closeAt+1)
	}
	return p
}

// last returns the number of pieces before the close frame: it follows the frame in progress
// when TryClose is called. If that is never complete, there is no close frame.
func (p *pendingPlan) last() (pieces int, closes bool) {
	for n := p.closeAt; n <= p.stopAt; n++ {
		if n == 0 || p.bounds[n-1] {
			return n, true
		}
	}
	return p.stopAt, false
}

// wholeAfter returns the number of messages that are whole in n pieces.
func (p *pendingPlan) wholeAfter(n int) int {
	if n == 0 {
		return 0
	}
	return p.whole[n-1]
}

// check returns what is wrong with the stream that the peer got. sent has the control frames
// that were sent, and sure those sent between two frames before TryClose.
func (p *pendingPlan) check(r wireStream, sent, sure map[byte][]string) (bad []string) {
	expect := func(ok bool, format string, args ...any) {
		if !ok {
			bad = append(bad, fmt.Sprintf(format, args...))
		}
	}
	last, closes := p.last()
	if closes {
		expect(len(r.rest) == 0, "%d bytes of a frame follow the others", len(r.rest))
		expect(len(r.closes) == 1 && r.closes[0] == string(frame.EncodeClose(p.code, p.reason)[2:]), "got the close frames %q", r.closes)
	} else {
		expect(len(r.closes) == 0, "got the close frames %q, want none", r.closes)
	}
	whole := p.wholeAfter(last)
	if !closes && p.kind != "tcp" {
		// The end may interrupt the goroutine of flushLater.
		expect(len(r.messages) <= whole, "got %d messages, want %d at most", len(r.messages), whole)
		whole = min(whole, len(r.messages))
	}
	expect(len(r.messages) == whole, "got %d messages, want %d", len(r.messages), whole)
	for i, m := range r.messages[:min(len(r.messages), whole)] {
		expect(m.equal(p.messages[i]), "message %d is another", i)
	}
	if r.partial.op != 0 && whole < len(p.messages) {
		m := p.messages[whole]
		expect(m.op == r.partial.op && m.packed == r.partial.packed && bytes.HasPrefix(m.payload, r.partial.payload),
			"%d bytes of the message in progress are not its beginning", len(r.partial.payload))
	} else {
		expect(r.partial.op == 0, "a message in progress that nobody wrote")
	}
	for op, want := range sent {
		expect(subsequence(r.controls[op], want), "got the control frames %q of opcode %d, sent %q", r.controls[op], op, want)
	}
	if closes && p.kind == "tcp" {
		for op, want := range sure {
			expect(subsequence(want, r.controls[op]), "got the control frames %q of opcode %d, want %q at least", r.controls[op], op, want)
		}
	}
	return bad
}

// TestPendingCloseModel writes random messages, compressed or not, in random pieces. It calls
// TryClose at any point of them, and perhaps stops writing inside a frame. An oracle, which
// does not know how package transport works, judges the bytes that the peer gets.
//
//	PENDING_RUNS=100000 go test -timeout 0 -run TestPendingCloseModel ./internal/transport
//	PENDING_SEED=17 PENDING_RUNS=1 go test -run TestPendingCloseModel ./internal/transport
func TestPendingCloseModel(t *testing.T) {
	t.Parallel()
	seed, runs := rand.Uint64(), uint64(testfull.N(200, 1000))
	for name, value := range map[string]*uint64{"PENDING_SEED": &seed, "PENDING_RUNS": &runs} {
		if s := os.Getenv(name); s != "" {
			var err error
			if *value, err = strconv.ParseUint(s, 10, 64); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
	}
	for i := range runs {
		for attempt := 1; ; attempt++ {
			bad, late := playPending(t, newPendingPlan(seed+i))
			if late && attempt < 50 { // a slow machine
				continue
			}
			for _, b := range bad {
				t.Errorf("PENDING_SEED=%d PENDING_RUNS=1: %s", seed+i, b)
			}
			break
		}
		if t.Failed() {
			return
		}
	}
}

// playPending plays the plan. It reports late if that proves nothing, because a limit of
// a plain write has passed or another goroutine has the lock.
func playPending(t *testing.T, p *pendingPlan) (bad []string, late bool) {
	server, client := over(t, p.kind)
	defer server.Close()
	c := trusted(server, nil, p.options, true)
	got := drained(client)
	sent, sure := make(map[byte][]string), make(map[byte][]string)
	last, closes := p.last()
	hungUp := make(chan struct{})
	for i := 0; ; i++ {
		began := time.Now()
		if i == p.closeAt {
			atOnce := i == last && closes
			if c.TryClose(p.code, p.reason) != atOnce {
				// The goroutine of flushLater may have the lock. Then another frame can be first.
				late = true
				if p.kind == "tcp" {
					bad = append(bad, fmt.Sprintf("TryClose returned %v, want %v", !atOnce, atOnce))
				}
			}
			late = late || time.Since(began) >= minStall
			c.mu.Lock()
			waits := c.lastFrame != nil
			c.mu.Unlock()
			if waits {
				morePendingTime(c)
			}
			if limit := time.Now().Add(time.Minute); p.atOnce {
				c.CloseBy(time.Now())
			} else {
				c.CloseBy(limit)
			}
			_ = c.Close()
			if closes {
				go func() {
					c.Hangup()
					close(hungUp)
				}()
			}
		}
		if i == p.stopAt {
			break
		}
		boundary := i == 0 || p.bounds[i-1]
		if op := p.controls[i]; op != 0 {
			payload := strconv.Itoa(i)
			sent[op] = append(sent[op], payload)
			if boundary && i < p.closeAt {
				sure[op] = append(sure[op], payload)
			}
			if op == frame.Ping {
				c.Ping([]byte(payload))
			} else {
				c.out.sendControl(op, []byte(payload))
			}
		}
		c.in.hasInput.Store(p.batches[i])
		_, err := c.Write(p.pieces[i])
		late = late || time.Since(began) >= minStall
		if want := !closes || i < last; (err == nil) != want {
			bad = append(bad, fmt.Sprintf("the write of piece %d of %d: got %v, want success %v", i, len(p.pieces), err, want))
		}
		if err != nil {
			break
		}
	}
	if closes {
		within(t, hungUp)
	} else {
		c.mu.Lock()
		c.lastFrame.by = time.Now() // the frame in progress is given up
		c.mu.Unlock()
		c.Hangup()
	}
	r, err := understand(within(t, got), p.options.Deflate)
	if err != nil {
		bad = append(bad, err.Error())
	}
	bad = append(bad, p.check(r, sent, sure)...)
	code, reason := c.OurClose()
	if want := map[bool]websocket.StatusCode{true: p.code}[closes]; code != want || closes && reason != p.reason {
		bad = append(bad, fmt.Sprintf("sent %d %q, want %d", code, reason, want))
	}
	if _, out := c.Counts(); closes && out.Total() != r.data {
		bad = append(bad, fmt.Sprintf("got counts %+v, want %+v", out.Total(), r.data))
	}
	if c.ext != nil {
		checkReleased(t, c)
	}
	return bad, late && p.kind != "tcp"
}
