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
	own   = "wsecho" // the server of this repository
	bound = "raw"    // TCP without WebSocket: no server to choose
)

// findings are the five sentences at the beginning: the lowest cost of each workload,
// wsecho beside the base, memory, correctness, and the limits of the report. A sentence
// without data is left out.
func (f *facts) findings() (sentences []string) {
	for _, s := range []string{f.leaders(), f.besideBase(), f.leastMemory(), f.conformance(), f.cannotTell()} {
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
			if p.Name == bound || len(values) == 0 {
				continue
			}
			// 0 is less than the kernel counts.
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
	for i, name := range order {
		part := name + " in "
		if i == 0 {
			part = name + " uses the least CPU time in "
		}
		parts = append(parts, part+strings.Join(won[name], " and in "))
	}
	if parts == nil {
		return ""
	}
	return strings.Join(parts, "; ") + "."
}

// ratioOf is the ratio of a peer to the base in parentheses, or empty.
func (f *facts) ratioOf(c cost, name string) string {
	r, ok := f.over(c.cell, name, c.figure)
	if !ok {
		return ""
	}
	text, _ := r.Text("")
	return " (" + text + ")"
}

// besideBase compares wsecho with the base.
func (f *facts) besideBase() string {
	var less, more, same []string
	for _, c := range f.costs {
		r, ok := f.over(c.cell, own, c.figure)
		switch {
		case !ok:
		case r.Noise:
			same = append(same, c.title+f.ratioOf(c, own))
		case r.Median < 1:
			less = append(less, c.title+f.ratioOf(c, own))
		default:
			more = append(more, c.title+f.ratioOf(c, own))
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
	return own + " " + strings.Join(parts, "; it ") + "."
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
	for _, name := range []string{least, own, result.Base, most} {
		v, ok := kib(name)
		part := fmt.Sprintf("%s KiB in %s", number.Digits(v), name)
		if ok && !slices.Contains(parts, part) {
			parts = append(parts, part)
		}
	}
	return "An idle connection takes " + strings.Join(parts, ", ") + "."
}

// conformance counts the rules of the RFCs that the servers break.
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
		return fmt.Sprintf("Every checked server breaks a rule of RFC 6455 or RFC 7692; %s breaks most, %d.", worst, most)
	}
	return fmt.Sprintf("%s break no checked rule of RFC 6455 and RFC 7692; %s breaks most, %d.", joined(clean), worst, most)
}

// cannotTell names the limits of every run.
func (f *facts) cannotTell() string {
	if len(f.cells) == 0 {
		return ""
	}
	processors := "more processors"
	if n := f.r.Machine.Processors; n > 0 {
		processors = "more than " + number.Plural(n, "processor")
	}
	return "The report cannot tell how the servers do over a network, on " + processors + ", or with a handler that does other work."
}

// joined is a list in words.
func joined(names []string) string {
	if n := len(names); n > 1 {
		return strings.Join(names[:n-1], ", ") + " and " + names[n-1]
	}
	return strings.Join(names, "")
}

// batching says which of the measured servers batch replies.
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
	return joined(names) + verb + " replies: the replies to messages that arrived together leave in one write. The other servers flush each reply."
}
