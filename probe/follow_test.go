package probe

import (
	"bytes"
	"strings"
	"testing"

	"example.com/wsecho/wstest"
)

// TestFollower checks that a violation is found at the same byte however the stream is cut.
func TestFollower(t *testing.T) {
	frames := func(all ...wstest.Frame) (b []byte) {
		for _, f := range all {
			b = f.Append(b)
		}
		return b
	}
	good := frames(wstest.TextFrame("hello"), wstest.PingFrame(""), wstest.BinaryFrame(make([]byte, 300)), wstest.BinaryFrame(make([]byte, 70_000)))
	for name, test := range map[string]struct {
		in     []byte
		n      int // bytes before the violation
		err    string
		inside bool
	}{
		"good":          {in: good, n: len(good)},
		"a mask":        {in: append(bytes.Clone(good), 0x81, 0x81, 1, 2, 3, 4, 5), n: len(good) + 1, err: "has a mask", inside: true},
		"a long length": {in: append(bytes.Clone(good), 0x81, 126, 0, 5, 'h'), n: len(good) + 3, err: "more bytes than it needs", inside: true},
		"half a header": {in: append(bytes.Clone(good), 0x81, 127, 0), n: len(good) + 3, inside: true},
		"half a frame":  {in: good[:len(good)-1], n: len(good) - 1, inside: true},
	} {
		for _, size := range []int{1, 2, 3, 5, 100, 1 << 20} {
			var f follower
			var err error
			n := 0
			for rest := test.in; len(rest) > 0 && err == nil; {
				part := rest[:min(size, len(rest))]
				rest = rest[len(part):]
				var m int
				m, err = f.next(part)
				n += m
			}
			if n != test.n || (err == nil) != (test.err == "") || err != nil && !strings.Contains(err.Error(), test.err) || f.inside() != test.inside {
				t.Errorf("%s in pieces of %d: got %d, %v, inside %v; want %d, %q", name, size, n, err, f.inside(), test.n, test.err)
			}
		}
	}
}
