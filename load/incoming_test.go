package load

import (
	"bytes"
	"errors"
	"testing"

	wire "example.com/wsecho/internal/frame"
)

// FuzzIncoming checks that the result does not depend on how the input is split. Only
// correct echoes are counted.
func FuzzIncoming(f *testing.F) {
	plan := Plan{Size: 5, InFlight: 8}
	frame := func(first byte, payload []byte) []byte {
		return append(wire.Header{First: first, Length: uint64(len(payload))}.Append(nil, 0), payload...)
	}
	runOf := func(compression bool) *run {
		p := plan
		p.Compression = compression
		m, err := newMessages(p)
		if err != nil {
			f.Fatal(err)
		}
		p.InFlight = 8
		return &run{plan: &p, messages: m}
	}
	plain, deflate := runOf(false), runOf(true)
	one, two := plain.messages.at(0), plain.messages.at(1)
	small, err := deflated(one)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(append(frame(0x81, one), frame(0x81, two)...), uint8(3), false)
	f.Add(append(append(frame(0x01, one[:2]), frame(0x89, []byte("ping"))...), frame(0x80, one[2:])...), uint8(1), false)
	f.Add(frame(0x88, []byte{3, 0xe9, 'x'}), uint8(1), false)
	f.Add(frame(0xc1, small), uint8(2), true)
	f.Add([]byte{0x81, 127, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, uint8(7), true)
	f.Fuzz(func(t *testing.T, b []byte, cut uint8, compression bool) {
		which := plain
		if compression {
			which = deflate
		}
		judge := func(step int) (done int64, pongs int, err error) {
			c := &conn{opened: &opened{}, owner: which, inline: false, wake: make(chan struct{}, 1)}
			c.due.Store(8)
			c.in.init(c, 64)
			var kept []byte
			for rest := b; len(rest) > 0 && err == nil; {
				n := min(step, len(rest))
				kept, err = c.in.check(append(bytes.Clone(kept), rest[:n]...))
				rest = rest[n:]
				if err == nil && len(kept) > 13 { // a header has at most 14 bytes, with a masking key
					t.Fatalf("%d bytes are kept", len(kept))
				}
			}
			return c.in.echoed, len(c.wake), err
		}
		whole, pongs, err := judge(len(b) + 1)
		parts, pongsOfParts, errOfParts := judge(1 + int(cut))
		if whole != parts || pongs != pongsOfParts || (err == nil) != (errOfParts == nil) {
			t.Errorf("%d, %d, %v at once, and %d, %d, %v in parts", whole, pongs, err, parts, pongsOfParts, errOfParts)
		}
		if err != nil && !errors.As(err, new(fault)) {
			t.Errorf("%v is no fault", err)
		}
		if whole > 8 || int(whole)*5 > len(b) && !compression {
			t.Errorf("%d messages in %d bytes", whole, len(b))
		}
	})
}
