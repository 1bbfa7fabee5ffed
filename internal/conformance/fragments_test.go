package conformance_test

import (
	"fmt"
	"strings"
	"testing"

	"example.com/wsecho/server"
	"example.com/wsecho/wstest"
)

// The kinds of frames for TestSequences, one letter each. A lower-case letter is a data
// frame without FIN, and an upper-case letter is one with FIN.
var letters = map[rune]wstest.Frame{
	't': text("t").Open(), 'T': text("T"),
	'b': binary("b").Open(), 'B': binary("B"),
	'c': more("c"), 'C': last("C"),
	'p': ping("p"), 'o': pong("o"),
}

// TestSequences sends all sequences of up to four frames whose frames before the last
// are legal (RFC 6455, section 5.4). It sends them in one write, and in one write per
// frame. With -exhaustive, a sequence has up to five frames.
func TestSequences(t *testing.T) {
	t.Parallel()
	url := serve(t, server.Options{})
	longest := 4
	if *exhaustive {
		longest = 5
	}
	begun := []string{""} // legal so far
	for n := 1; n <= longest; n++ {
		var rows []exchange
		var next []string
		for _, s := range begun {
			for _, letter := range "tTbBcCpo" {
				e := sequence(s + string(letter))
				if e.code == 0 {
					next = append(next, s+string(letter))
				}
				rows = append(rows, e)
			}
		}
		begun = next
		t.Run(fmt.Sprintf("%d", n), func(t *testing.T) { sweep(t, rows, on(url)) })
	}
}

// sequence returns the exchange for a sequence of letters. It ends a message that the
// sequence leaves open.
func sequence(s string) exchange {
	e := exchange{name: s}
	var frames []wstest.Frame
	var open *wstest.Frame
	for _, letter := range s {
		f := letters[letter]
		frames = append(frames, f)
		switch letter {
		case 'p':
			e.want = append(e.want, pong("p"))
			continue
		case 'o':
			continue
		case 't', 'T', 'b', 'B':
			if open != nil {
				e.code = 1002
			}
			open = &wstest.Frame{Fin: true, Opcode: f.Opcode}
		default:
			if open == nil {
				e.code = 1002
			}
		}
		if e.code != 0 {
			break
		}
		open.Payload = append(open.Payload, f.Payload...)
		if f.Fin {
			e.want = append(e.want, *open)
			open = nil
		}
	}
	if e.code == 0 && open != nil {
		frames = append(frames, last("!"))
		open.Payload = append(open.Payload, '!')
		e.want = append(e.want, *open)
	}
	e.steps = []step{together(frames...)}
	if strings.Count(s, "p")%2 == 1 {
		e.steps = []step{apart(frames...)}
	}
	return e
}

// TestFragments cuts messages into two frames at every byte, with a ping at the cut, and
// into many frames.
func TestFragments(t *testing.T) {
	t.Parallel()
	var rows []exchange
	const s = "fragments"
	for i := range len(s) + 1 {
		for j := i; j <= len(s); j++ {
			f := cut(wstest.Binary, s, i, j)
			rows = append(rows,
				exchange{name: fmt.Sprintf("cut at %d and %d", i, j), steps: []step{together(f...)}, want: []wstest.Frame{binary(s)}},
				exchange{
					name:  fmt.Sprintf("cut at %d and %d, with pings", i, j),
					steps: []step{apart(f[0], ping("1"), f[1], pong("x"), ping("2"), f[2])},
					want:  []wstest.Frame{pong("1"), pong("2"), binary(s)},
				})
		}
	}
	for _, n := range []int{1, 2, 7, 125, 126, 1000, 65535, 65536} {
		whole := stars(128 * n)
		e := echoed(wstest.Text, whole, together(pieces(wstest.Text, whole, n)...))
		e.name = fmt.Sprintf("128 fragments of %d", n)
		rows = append(rows, e)
	}
	sweep(t, rows, on(serve(t, server.Options{})))
}
