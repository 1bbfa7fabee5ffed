package frame

import (
	"bytes"
	"encoding/binary"
	"testing"

	"example.com/wsecho/ending"
)

// masked returns a client's frame with this first byte.
func masked(first byte, payload []byte) []byte {
	return AppendMasked(nil, first, [4]byte{0x12, 0xf4, 0x56, 0x9a}, payload)
}

// TestCloseCodes checks all 65536 codes in a close frame.
func TestCloseCodes(t *testing.T) {
	for code := range 1 << 16 {
		var s Scanner
		var body [2]byte
		binary.BigEndian.PutUint16(body[:], uint16(code))
		_, _, err := s.Next(masked(Fin|Close, body[:]), 0)
		legal := code >= 1000 && code <= 1003 || code >= 1007 && code <= 1014 || code >= 3000 && code <= 4999
		if legal != (err == nil) || legal != (s.CloseCode != 0) {
			t.Errorf("code %d: got %v, want legal %v", code, err, legal)
		}
	}
}

// TestHonestFragments splits a message into many fragments. The smallest fragments that
// honest peers send must pass, and smaller ones must not.
func TestHonestFragments(t *testing.T) {
	for _, test := range []struct {
		size, n int
		kind    ending.Kind
	}{
		{64, 4 << 20 / 64, ending.Open},
		{8, 100_000, ending.Open},
		{7, 100_000, ending.Flood},
		{1, 100_000, ending.Flood},
		{0, 100_000, ending.Flood},
	} {
		s := Scanner{Limit: 4 << 20}
		f := masked(Continuation, make([]byte, test.size))
		got := ending.Open
		for i := range test.n {
			f[0] = Continuation
			if i == 0 {
				f[0] = Binary
			}
			if _, _, err := s.Next(f, 0); err != nil {
				got = err.Kind
				break
			}
		}
		if got != test.kind {
			t.Errorf("%d fragments of %d: got %v, want %v", test.n, test.size, got, test.kind)
		}
	}
}

// TestResume splits a frame of each form of length at several places. The two fragments
// must have the frame's payload.
func TestResume(t *testing.T) {
	for _, size := range []int{1, 2, 125, 126, 127, 300, 65535, 65536, 70000} {
		payload := make([]byte, size)
		for i := range payload {
			payload[i] = byte(i * 7)
		}
		wire := masked(Fin|Binary, payload)
		for _, cut := range []int{1, 2, 3, 4, 5, 125, 126, 65535, 65536, size - 1} {
			if cut >= size || cut < 1 {
				continue
			}
			s := Scanner{Limit: -1}
			head := len(wire) - size
			a := bytes.Clone(wire[:head+cut])
			end, _, err := s.Next(a, 0)
			if err != nil || end != len(a) {
				t.Fatalf("got %d, %v, want %d", end, err, len(a))
			}
			b := append(make([]byte, MaxHeader), wire[head+cut:]...)
			from, to := s.Resume(b, MaxHeader, len(b))
			f, n := ParseHeader(a)
			g, m := ParseHeader(b[from:to])
			if int(f.Length) != len(a)-n || int(g.Length) != to-from-m || f.Fin() || !g.Fin() || g.Opcode() != Continuation ||
				!bytes.Equal(append(Payload(a), Payload(b[from:to])...), payload) {
				t.Errorf("%d cut at %d: got %+v and %+v", size, cut, f, g)
			}
			if n := s.Counts.Total(); s.Inside() || n != (Counts{1, int64(size)}) {
				t.Errorf("%d cut at %d: got %+v, inside %v", size, cut, n, s.Inside())
			}
		}
	}
}
