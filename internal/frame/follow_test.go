package frame

import (
	"testing"

	"example.com/wsecho/wstest"
)

func TestFollower(t *testing.T) {
	var stream []byte
	type end struct {
		at             int
		closing        bool
		messages, size int64
	}
	var ends []end
	var e end
	for _, f := range []wstest.Frame{
		wstest.TextFrame("a"), wstest.TextFrame(""), wstest.TextFrame("abc").Open(),
		{Payload: make([]byte, 126)}, wstest.PingFrame("p"), wstest.PongFrame(""),
		{Fin: true, Payload: make([]byte, 65536)}, wstest.BinaryFrame(make([]byte, 65535)), wstest.CloseFrame(1000, ""),
	} {
		stream = f.Append(stream)
		e.at = len(stream)
		e.closing = f.Opcode == Close
		if f.Opcode < Close {
			e.size += int64(len(f.Payload))
			if f.Fin {
				e.messages++
			}
		}
		ends = append(ends, e)
	}
	for _, step := range []int{1, 2, 3, 7, 1000, 1 << 20} {
		var f Follower
		next := 0
		for at := 0; at < len(stream); {
			n := min(step, len(stream)-at)
			f.Follow(stream[at : at+n])
			at += n
			for next < len(ends) && ends[next].at < at {
				next++
			}
			boundary := ends[next].at == at
			if f.Whole() != boundary {
				t.Fatalf("steps of %d: at %d: got whole %v", step, at, f.Whole())
			}
			got := end{at, f.Closing, f.Messages, f.Bytes}
			if boundary && got != ends[next] {
				t.Errorf("steps of %d: got %v, want %v", step, got, ends[next])
			}
		}
	}
}
