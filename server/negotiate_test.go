package server

import (
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// TestNegotiateIsLinear reads headers longer than any that gets here: one of 32
// times the length takes about 32 times as long, and not 1024 times.
func TestNegotiateIsLinear(t *testing.T) {
	for _, unit := range []string{
		",", " ", "x,", "x;y,", "permessage-deflate; x,", "permessage-deflate; server_no_context_takeover,",
		"permessage-deflate;x;", `x;y="\a",`, `"`, `x;y="`, `\`, ";", "x;y=z;", "x",
	} {
		took := func(n int) time.Duration {
			best := time.Hour
			header := []string{"x; y=\"" + strings.Repeat(unit, n/len(unit)), "x; y," + strings.Repeat(unit, n/len(unit))}
			for range 3 {
				start := time.Now()
				for _, h := range header {
					_, _, _ = negotiate([]string{h}, websocket.CompressionContextTakeover)
				}
				best = min(best, time.Since(start))
			}
			return best
		}
		if small, large := took(8<<10), took(256<<10); large > 300*max(small, 20*time.Microsecond) {
			t.Errorf("%q: %v for 8 KiB and %v for 256 KiB", unit, small, large)
		}
	}
}

// FuzzNegotiate feeds headers: the answer is one of those there are, and means
// what it says.
func FuzzNegotiate(f *testing.F) {
	for _, s := range []string{
		"permessage-deflate", "permessage-deflate; client_max_window_bits=15, x;;,", `x; y="\a", permessage-deflate;server_max_window_bits="9"`,
		"permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=15; client_max_window_bits",
	} {
		f.Add(s, "", true)
		f.Add("x", s, false)
	}
	f.Fuzz(func(t *testing.T, a, b string, keep bool) {
		mode := websocket.CompressionNoContextTakeover
		if keep {
			mode = websocket.CompressionContextTakeover
		}
		answer, d, err := negotiate([]string{a, b}, mode)
		if (d != nil) != (answer != "") || err != nil && d != nil {
			t.Fatalf("got %q, %v, %v", answer, d, err)
		}
		if d == nil {
			return
		}
		name, rest, _ := strings.Cut(answer, ";")
		_, bits, asked := strings.Cut(rest, "server_max_window_bits=")
		if name != "permessage-deflate" ||
			d.KeepOut == strings.Contains(rest, "server_no_context_takeover") ||
			d.KeepIn == strings.Contains(rest, "client_no_context_takeover") ||
			!keep && (d.KeepIn || d.KeepOut) || d.KeepOut && d.Bits < 15 || d.Bits < 8 || d.Bits > 15 ||
			asked && windowBits(bits) != d.Bits || !asked && d.Bits < 15 || asked && !strings.Contains(a+b, "server_max_window_bits") {
			t.Errorf("got %q, %+v", answer, *d)
		}
		// What is answered is in order, and answered in the same way.
		again, d2, err := negotiate([]string{answer}, mode)
		if err != nil || d2 == nil || *d2 != *d || again != answer {
			t.Errorf("%q again: got %q, %v, %v", answer, again, d2, err)
		}
	})
}
