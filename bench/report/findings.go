package report

import (
	"fmt"
	"slices"
	"strings"

	"example.com/wsecho/bench/measure"
	"example.com/wsecho/bench/result"
	"example.com/wsecho/internal/number"
)

const (
	ownPeer = "wsecho" // the server of this repository
	rawPeer = "raw"    // TCP without WebSocket: not a choice for users
)

// findings returns the five sentences at the beginning. The first two are about the lowest
// cost of each workload, and about wsecho and the base. The others are about memory,
// correctness and the limits of the report. A sentence without data is left out.
func (f *facts) findings() (sentences []string) {
	for _, s := range []string{f.leaders(), f.compareWithBase(), f.leastMemory(), f.conformance(), f.limits()} {
		if s != "" {
			sentences = append(sentences, s)
		}
	}
	return sentences
}

// leaders names the server with the least CPU time of each workload.
func (f *facts) leaders() string {
	won := map[string][]string{}
	var order []string
	for _, c := range f.costs {
		best, least := "", 0.0
		for _, p := range f.peers {
			values := c.cell.Of(p.Name).Values(c.figure)
			if p.Name == rawPeer || len(values) == 0 {
				continue
			}
			// 0 is below the resolution of the kernel's clock.
			if v := measure.Sample(values).Median(); v > 0 && (best == "" || v < least) {
				best, least = p.Name, v
			}
		}
		if best == "" {
			continue
		}
		won[best] = append(won[best], c.title+f.ratioOf(c, best))
		if !slices.Contains(order, best) {
			order = append(order, best)
		}
	}
	var parts []string
	for _, name := range order {
		parts = append(parts, name+" uses the least CPU time in "+strings.Join(won[name], " and in ")+".")
	}
	return strings.Join(parts, " ")
}

// ratioOf returns the ratio of a peer to the base in parentheses, or "".
func (f *facts) ratioOf(c cost, name string) string {
	r, ok := f.over(c.cell, name, c.figure)
	if !ok {
		return ""
	}
	text, _ := r.Text("")
	return " (" + text + ")"
}

// besideBase compares wsecho with the base.
func (f *facts) compareWithBase() string {
	var less, more, same []string
	for _, c := range f.costs {
		r, ok := f.over(c.cell, ownPeer, c.figure)
		switch {
		case !ok:
		case r.Noise:
			same = append(same, c.title+f.ratioOf(c, ownPeer))
		case r.Median < 1:
			less = append(less, c.title+f.ratioOf(c, ownPeer))
		default:
			more = append(more, c.title+f.ratioOf(c, ownPeer))
		}
	}
	var parts []string
	for _, one := range []struct {
		verb string
		of   []string
	}{{"uses less CPU time than " + result.Base + " in ", less}, {"uses more in ", more}, {"does not differ significantly in ", same}} {
		if len(one.of) > 0 {
			parts = append(parts, one.verb+strings.Join(one.of, " and in "))
		}
	}
	if parts == nil {
		return ""
	}
	return ownPeer + " " + strings.Join(parts, ". It ") + "."
}

// leastMemory compares the memory of idle connections.
func (f *facts) leastMemory() string {
	c := f.idleCell()
	if c == nil {
		return ""
	}
	kib := func(name string) (float64, bool) {
		values := c.Of(name).Values("idle_kib")
		return measure.Sample(values).Median(), len(values) > 0
	}
	least, most := "", ""
	for _, p := range f.peers {
		v, ok := kib(p.Name)
		if !ok {
			continue
		}
		if low, _ := kib(least); least == "" || v < low {
			least = p.Name
		}
		if high, _ := kib(most); most == "" || v > high {
			most = p.Name
		}
	}
	var parts []string
	for _, name := range []string{least, ownPeer, result.Base, most} {
		v, ok := kib(name)
		part := fmt.Sprintf("%s KiB in %s", number.Digits(v), name)
		if ok && !slices.Contains(parts, part) {
			parts = append(parts, part)
		}
	}
	return "An idle connection uses " + strings.Join(parts, ", ") + "."
}

// conformance counts the rules of RFC 6455 and RFC 7692 that the servers break.
func (f *facts) conformance() string {
	var clean []string
	worst, most, checked := "", 0, 0
	for _, p := range f.peers {
		t := f.tallyOf(p.Name)
		if t.all == 0 {
			continue
		}
		checked++
		if n := len(t.violations); n == 0 && t.unknown == 0 {
			clean = append(clean, p.Name)
		} else if n > most {
			worst, most = p.Name, n
		}
	}
	switch {
	case checked == 0:
		return ""
	case most == 0:
		return "No checked server breaks a checked rule of RFC 6455 or RFC 7692."
	case clean == nil:
		return fmt.Sprintf("Every checked server breaks a rule of RFC 6455 or RFC 7692. %s breaks the most: %d.", worst, most)
	}
	verb := "break"
	if len(clean) == 1 {
		verb = "breaks"
	}
	return fmt.Sprintf("%s %s no checked rule of RFC 6455 and RFC 7692. %s breaks the most: %d.", joined(clean), verb, worst, most)
}

// limits names the limits of every run.
func (f *facts) limits() string {
	if len(f.cells) == 0 {
		return ""
	}
	processors := "more processors"
	if n := f.r.Machine.Processors; n > 0 {
		processors = "more than " + number.Plural(n, "processor")
	}
	return "The report does not measure a network, " + processors + ", or handlers that do other work."
}

// joined returns a list in words: "a, b and c".
func joined(names []string) string {
	if n := len(names); n > 1 {
		return strings.Join(names[:n-1], ", ") + " and " + names[n-1]
	}
	return strings.Join(names, "")
}

// batching names the measured servers that batch replies.
func (f *facts) batching() string {
	var names []string
	for _, p := range f.peers {
		if p.Batches && f.hasRounds(p.Name) {
			names = append(names, p.Name)
		}
	}
	if names == nil {
		return ""
	}
	verb := " batch"
	if len(names) == 1 {
		verb = " batches"
	}
	return joined(names) + verb + " replies: one write contains the replies to messages that arrived together. The other servers flush each reply."
}
