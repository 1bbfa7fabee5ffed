package frame

import "testing"

// TestTracker gives a Tracker the frames of a server in steps of several sizes. It must
// know each boundary and the counts there.
func TestTracker(t *testing.T) {
	var stream []byte
	type end struct {
		at             int
		closing        bool
		messages, size int64
	}
	var ends []end
	var e end
	for _, f := range []struct {
		first byte
		size  int64
	}{
		{Fin | Text, 1}, {Fin | Text, 0}, {Text, 3}, {Continuation, 126}, {Fin | Ping, 1}, {Fin | Pong, 0},
		{Fin | Continuation, 65536}, {Fin | Binary, 65535}, {Fin | Close, 2},
	} {
		h := Header{First: f.first, Length: uint64(f.size)}
		stream = append(h.Append(stream, 0), make([]byte, f.size)...)
		e.at = len(stream)
		e.closing = h.Opcode() == Close
		if h.Opcode() < Close {
			e.size += f.size
			if h.Fin() {
				e.messages++
			}
		}
		ends = append(ends, e)
	}
	for _, step := range []int{1, 2, 3, 7, 1000, 1 << 20} {
		var tracker Tracker
		next := 0
		for at := 0; at < len(stream); {
			n := min(step, len(stream)-at)
			tracker.Track(stream[at : at+n])
			at += n
			for next < len(ends) && ends[next].at < at {
				next++
			}
			boundary := ends[next].at == at
			if tracker.AtBoundary() != boundary {
				t.Fatalf("steps of %d: at %d: got boundary %v, want %v", step, at, !boundary, boundary)
			}
			got := end{at, tracker.Closing, tracker.Counts.Total().Messages, tracker.Counts.Total().Bytes}
			if boundary && got != ends[next] {
				t.Errorf("steps of %d: got %v, want %v", step, got, ends[next])
			}
		}
		if want := (ByType{{3, 1 + 0 + 3 + 126 + 65536}, {1, 65535}}); tracker.Counts != want {
			t.Errorf("steps of %d: got %+v, want %+v", step, tracker.Counts, want)
		}
	}
}
