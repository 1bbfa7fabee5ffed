package deflate

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// TestNegotiateIsLinear parses headers that are longer than net/http allows. It checks that
// the time grows with the length and not with its square.
func TestNegotiateIsLinear(t *testing.T) {
	for _, unit := range []string{
		",", " ", "x,", "x;y,", "permessage-deflate; x,", "permessage-deflate; server_no_context_takeover,",
		"permessage-deflate;x;", `x;y="\a",`, `"`, `x;y="`, `\`, ";", "x;y=z;", "x",
	} {
		took := func(n int, best time.Duration) time.Duration {
			header := []string{"x; y=\"" + strings.Repeat(unit, n/len(unit)), "x; y," + strings.Repeat(unit, n/len(unit))}
			for range 3 {
				start := time.Now()
				for _, h := range header {
					_, _, _ = Negotiate([]string{h}, websocket.CompressionContextTakeover)
				}
				best = min(best, time.Since(start))
			}
			return best
		}
		small, large := took(8<<10, time.Hour), took(256<<10, time.Hour)
		slow := func() bool { return large > 300*max(small, 20*time.Microsecond) }
		for try := 1; slow() && try < 20; try++ { // other processes can only make it longer
			large = took(256<<10, large)
		}
		if slow() {
			t.Errorf("%q: %v for 8 KiB and %v for 256 KiB", unit, small, large)
		}
	}
}

// FuzzNegotiate checks that the answer is a possible one and agrees with the
// parameters.
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
		answer, d, err := Negotiate([]string{a, b}, mode)
		if (d != nil) != (answer != "") || err != nil && d != nil {
			t.Fatalf("got %q, %v, %v", answer, d, err)
		}
		if d == nil {
			return
		}
		name, rest, _ := strings.Cut(answer, ";")
		_, bits, asked := strings.Cut(rest, "server_max_window_bits=")
		if name != "permessage-deflate" ||
			d.ServerTakeover == strings.Contains(rest, "server_no_context_takeover") ||
			d.ClientTakeover == strings.Contains(rest, "client_no_context_takeover") ||
			!keep && (d.ClientTakeover || d.ServerTakeover) || d.ServerTakeover && d.ServerBits < 15 || d.ServerBits < 8 || d.ServerBits > 15 ||
			asked && windowBits(bits) != d.ServerBits || !asked && d.ServerBits < 15 || asked && !strings.Contains(a+b, "server_max_window_bits") {
			t.Errorf("got %q, %+v", answer, *d)
		}
		// The answer is a valid offer, and its answer is the same.
		again, d2, err := Negotiate([]string{answer}, mode)
		if err != nil || d2 == nil || *d2 != *d || again != answer {
			t.Errorf("%q again: got %q, %v, %v", answer, again, d2, err)
		}
	})
}

// TestNegotiate checks the answers to offers in both modes.
func TestNegotiate(t *testing.T) {
	const (
		pd    = "permessage-deflate"
		both  = pd + "; server_no_context_takeover; client_no_context_takeover"
		bad   = "error"
		alone = pd + "; server_no_context_takeover"
	)
	for _, tt := range []struct {
		offer    []string
		takeover string // the answer with context takeover
		without  string // the answer without
	}{
		// Other extensions.
		{nil, "", ""},
		{[]string{""}, "", ""},
		{[]string{" , ,"}, "", ""},
		{[]string{"x"}, "", ""},
		{[]string{"x-webkit-deflate-frame"}, "", ""},
		{[]string{"permessage-bzip2; a=1; b=\"2\"; c"}, "", ""},
		{[]string{"Permessage-Deflate"}, "", ""},
		{[]string{"permessage-deflate2"}, "", ""},

		// One parameter: RFC 7692, section 7.1.
		{[]string{pd}, pd, both},
		{[]string{"  " + pd + "\t"}, pd, both},
		{[]string{pd + "; server_no_context_takeover"}, alone, both},
		{[]string{pd + "; client_no_context_takeover"}, pd + "; client_no_context_takeover", both},
		{[]string{pd + "; client_max_window_bits"}, pd, both},
		{[]string{pd + "; client_max_window_bits=8"}, pd, both},
		{[]string{pd + "; client_max_window_bits=15"}, pd, both},
		{[]string{pd + "; server_max_window_bits=15"}, pd + "; server_max_window_bits=15", both + "; server_max_window_bits=15"},
		{[]string{pd + "; server_max_window_bits=14"}, alone + "; server_max_window_bits=14", both + "; server_max_window_bits=14"},
		{[]string{pd + "; server_max_window_bits=8"}, alone + "; server_max_window_bits=8", both + "; server_max_window_bits=8"},
		{[]string{pd + `; server_max_window_bits="10"`}, alone + "; server_max_window_bits=10", both + "; server_max_window_bits=10"},
		{[]string{pd + `; server_max_window_bits="\1\0"`}, alone + "; server_max_window_bits=10", both + "; server_max_window_bits=10"},

		// Together.
		{[]string{pd + ";client_max_window_bits;server_max_window_bits=10"}, alone + "; server_max_window_bits=10", both + "; server_max_window_bits=10"},
		{[]string{pd + " ; server_no_context_takeover ; client_no_context_takeover"}, both, both},
		{[]string{pd + "; client_no_context_takeover; server_max_window_bits = 15; client_max_window_bits = 9; server_no_context_takeover"},
			both + "; server_max_window_bits=15", both + "; server_max_window_bits=15"},

		// Invalid offers.
		{[]string{pd + "; unknown"}, "", ""},
		{[]string{pd + "; server_no_context_takeover; unknown=1"}, "", ""},
		{[]string{pd + "; server_no_context_takeover; server_no_context_takeover"}, "", ""},
		{[]string{pd + "; client_no_context_takeover; client_no_context_takeover"}, "", ""},
		{[]string{pd + "; client_max_window_bits; client_max_window_bits"}, "", ""},
		{[]string{pd + "; server_max_window_bits=9; server_max_window_bits=9"}, "", ""},
		{[]string{pd + "; server_max_window_bits"}, "", ""},
		{[]string{pd + "; server_max_window_bits=7"}, "", ""},
		{[]string{pd + "; server_max_window_bits=16"}, "", ""},
		{[]string{pd + "; server_max_window_bits=0"}, "", ""},
		{[]string{pd + "; server_max_window_bits=-8"}, "", ""},
		{[]string{pd + "; server_max_window_bits=+8"}, "", ""},
		{[]string{pd + "; server_max_window_bits=08"}, "", ""},
		{[]string{pd + "; server_max_window_bits=010"}, "", ""},
		{[]string{pd + "; server_max_window_bits=1e1"}, "", ""},
		{[]string{pd + "; server_max_window_bits=99999999999999999999"}, "", ""},
		{[]string{pd + "; client_max_window_bits=7"}, "", ""},
		{[]string{pd + "; client_max_window_bits=16"}, "", ""},
		{[]string{pd + "; client_max_window_bits=08"}, "", ""},
		{[]string{pd + "; client_max_window_bits=abc"}, "", ""},
		{[]string{pd + "; server_no_context_takeover=1"}, "", ""},
		{[]string{pd + "; client_no_context_takeover=true"}, "", ""},
		{[]string{pd + "; Server_No_Context_Takeover"}, "", ""},

		// Several offers: the first valid one.
		{[]string{"x, " + pd}, pd, both},
		{[]string{"x;y=z," + pd + ",w"}, pd, both},
		{[]string{",," + pd + ",,"}, pd, both},
		{[]string{pd + "; server_max_window_bits=10, " + pd}, alone + "; server_max_window_bits=10", both + "; server_max_window_bits=10"},
		{[]string{pd + ", " + pd + "; server_max_window_bits=10"}, pd, both},
		{[]string{pd + "; unknown, " + pd + "; server_max_window_bits=16, " + pd + "; server_no_context_takeover"}, alone, both},
		{[]string{"x", pd + "; unknown", pd + "; client_no_context_takeover"}, pd + "; client_no_context_takeover", both},
		{[]string{`x; y="a", ` + pd}, pd, both},

		// Headers that break the grammar.
		{[]string{";"}, bad, bad},
		{[]string{pd + ";"}, bad, bad},
		{[]string{pd + ";;server_no_context_takeover"}, bad, bad},
		{[]string{pd + " server_no_context_takeover"}, bad, bad},
		{[]string{pd + "; server_max_window_bits="}, bad, bad},
		{[]string{pd + "; =8"}, bad, bad},
		{[]string{pd + "=8"}, bad, bad},
		{[]string{pd + `; server_max_window_bits="10`}, bad, bad},
		{[]string{pd + `; server_max_window_bits="10\`}, bad, bad},
		{[]string{pd + `; server_max_window_bits=""`}, bad, bad},
		{[]string{pd + `; server_max_window_bits="1 0"`}, bad, bad},
		{[]string{pd + `; server_max_window_bits="10"0`}, bad, bad},
		{[]string{pd + `; server_max_window_bits=1"0"`}, bad, bad},
		{[]string{pd + "; server_max_window_bits=10=10"}, bad, bad},
		{[]string{`"` + pd + `"`}, bad, bad},
		{[]string{pd + ", (x)"}, bad, bad},
		{[]string{pd, "caf\xe9"}, bad, bad},
	} {
		for mode, want := range map[websocket.CompressionMode]string{
			websocket.CompressionContextTakeover:   tt.takeover,
			websocket.CompressionNoContextTakeover: tt.without,
			websocket.CompressionDisabled:          "",
		} {
			got, _, err := Negotiate(tt.offer, mode)
			if err != nil {
				got = bad
			}
			if got != want {
				t.Errorf("%q in mode %d: got %q, want %q", tt.offer, mode, got, want)
			}
		}
	}
}

func TestAgreed(t *testing.T) {
	for answer, want := range map[string]struct {
		takeover bool
		wrong    string
	}{
		"permessage-deflate":                             {takeover: true},
		" permessage-deflate ; server_max_window_bits=9": {takeover: true},
		"permessage-deflate; server_no_context_takeover": {},
		"permessage-deflate; client_no_context_takeover": {takeover: true},
		"permessage-deflate;client_max_window_bits=9":    {wrong: `it answers permessage-deflate with "client_max_window_bits", which was not offered`},
		"":                           {wrong: "it does not agree to permessage-deflate"},
		"x\u0301\x1b":                {wrong: `it chose the extensions "x\u0301\x1b", which were not offered`},
		"x-gzip":                     {wrong: `it chose the extensions "x-gzip", which were not offered`},
		"permessage-deflate, x-gzip": {wrong: `it chose the extensions "permessage-deflate, x-gzip", which were not offered`},
		"permessage-deflate; server_no_context_takeover; x=\x1b": {wrong: `it answers permessage-deflate with "x", which was not offered`},
	} {
		takeover, err := Agreed([]string{answer})
		if got := fmt.Sprint(err); takeover != want.takeover || (want.wrong == "" && err != nil) || (want.wrong != "" && got != want.wrong) {
			t.Errorf("%q: got %v, %v, want %v, %s", answer, takeover, err, want.takeover, want.wrong)
		}
	}
}
