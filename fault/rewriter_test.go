package fault

import (
	"bytes"
	"testing"

	"example.com/wsecho/internal/frame"
)

// message is what a client understands of frames: the opcode and first byte of each
// message and its payload.
type message struct {
	first   byte
	payload []byte
}

// understand returns the messages in b, and whether b is all of them. It checks that each
// data frame has at most limit bytes, unless limit is 0.
func understand(t *testing.T, b []byte, limit int, mask bool) (all []message) {
	t.Helper()
	open := -1 // the message in progress
	for len(b) > 0 {
		h, size := frame.ParseHeader(b)
		if len(b) < size || uint64(len(b)-size) < h.Length {
			t.Fatalf("the frames are truncated")
		}
		if h.Masked != mask || !h.Shortest() {
			t.Fatalf("masked: %v, in the shortest form: %v", h.Masked, h.Shortest())
		}
		payload := bytes.Clone(b[size:][:h.Length])
		if h.Masked {
			frame.Mask(payload, h.Key)
		}
		b = b[size+int(h.Length):]
		switch op := h.Opcode(); {
		case op >= frame.Close:
			all = append(all, message{h.First, payload})
			continue
		case op == frame.Continuation && (open < 0 || h.First&0x70 != 0), op != frame.Continuation && open >= 0:
			t.Fatalf("a frame with %#x, message in progress: %v", h.First, open >= 0)
		case op != frame.Continuation:
			open = len(all)
			all = append(all, message{h.First | frame.Fin, nil})
		}
		if limit > 0 && len(payload) > limit {
			t.Fatalf("a frame of %d bytes", len(payload))
		}
		all[open].payload = append(all[open].payload, payload...)
		if h.Fin() {
			open = -1
		}
	}
	if open >= 0 {
		t.Fatal("a message has no end")
	}
	return all
}

// FuzzRewriter: a client understands the same messages, whatever the sizes of fragments
// and of the pieces that are written.
func FuzzRewriter(f *testing.F) {
	f.Add(3, true, 1, []byte("\x05hello\x00\x03abc"))
	f.Add(0, true, 5, bytes.Repeat([]byte("\xffx"), 300))
	f.Add(1, false, 70000, bytes.Repeat([]byte{200}, 20_000))
	f.Add(125, false, 2, bytes.Repeat([]byte{126}, 1000))
	f.Fuzz(func(t *testing.T, fragment int, mask bool, piece int, input []byte) {
		if fragment < 0 || piece < 1 || len(input) > 20_000 {
			t.Skip("out of the tested range")
		}
		// The input is the messages: a byte chooses the type and the length of each.
		firsts := []byte{0x81, 0x82, 0xc1, 0x89, 0x8a, 0x88}
		var in []byte
		for rest := input; len(rest) > 0; {
			n := int(rest[0])
			first := firsts[n%len(firsts)]
			if n > 125 && first&0xf < frame.Close {
				n *= 300
			}
			if first&0xf >= frame.Close {
				n = min(n, 125)
			}
			n = min(n, len(rest)-1)
			in = frame.Header{First: first, Length: uint64(n)}.Append(in, 0)
			in = append(in, rest[1:][:n]...)
			rest = rest[1+n:]
		}
		w := rewriter{fragment: fragment, mask: mask}
		var out []byte
		for p := in; len(p) > 0; {
			b, used := w.next(p[:min(piece, len(p))])
			if used == 0 || len(b) > 2*most+8*most {
				t.Fatalf("used %d bytes, and returned %d", used, len(b))
			}
			out = append(out, b...)
			p = p[used:]
		}
		if !w.atBoundary() {
			t.Fatal("a frame is in progress")
		}
		want, got := understand(t, in, 0, false), understand(t, out, fragment, mask)
		if len(got) != len(want) {
			t.Fatalf("got %d messages, want %d", len(got), len(want))
		}
		for i := range want {
			if got[i].first != want[i].first || !bytes.Equal(got[i].payload, want[i].payload) {
				t.Fatalf("message %d: got %#x %.30q, want %#x %.30q", i, got[i].first, got[i].payload, want[i].first, want[i].payload)
			}
		}
	})
}
