package report

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"example.com/wsecho/bench/measure"
	"example.com/wsecho/bench/result"
	"example.com/wsecho/internal/number"
)

// summaryHead begins the table of the README that Summary replaces.
const summaryHead = "| | wsecho |"

// summaryPeers are the columns of the table.
var summaryPeers = []string{ownPeer, "embedded", result.Base, "coder", "bun"}

// Summary replaces the table of the comparison in page, the text of a README, with a
// table of r. Its five rows are the CPU time of three workloads, the memory of an idle
// connection, and the broken rules. Summary returns an error if page has no such table,
// or if r lacks a figure for it.
func Summary(page []byte, r *result.Report) ([]byte, error) {
	f := factsOf(r)
	from := bytes.Index(page, []byte(summaryHead))
	if from < 0 {
		return nil, fmt.Errorf("there is no table that begins with %q", summaryHead)
	}
	to := from
	for to < len(page) && page[to] == '|' {
		end := bytes.IndexByte(page[to:], '\n')
		if end < 0 {
			end = len(page) - to - 1
		}
		to += end + 1
	}
	table, err := f.summary()
	if err != nil {
		return nil, err
	}
	return bytes.Join([][]byte{page[:from], []byte(table), page[to:]}, nil), nil
}

func (f *facts) summary() (string, error) {
	var b strings.Builder
	head, line := "| |", "|---|"
	for _, name := range summaryPeers {
		p := f.r.Peer(name)
		if p == nil || !f.hasRounds(name) {
			return "", fmt.Errorf("the results have no figures of %s", name)
		}
		version, _, _ := strings.Cut(strings.TrimPrefix(p.Version, "v"), " ")
		if name == ownPeer || name == "embedded" { // the page of the comparison names the commit
			version = ""
		}
		head += " " + strings.TrimSpace(name+" "+version) + " |"
		line += "---:|"
	}
	fmt.Fprintf(&b, "%s\n%s\n", head, line)
	row := func(title string, text func(name string) string) {
		fmt.Fprintf(&b, "| %s |", title)
		for _, name := range summaryPeers {
			fmt.Fprintf(&b, " %s |", text(name))
		}
		b.WriteString("\n")
	}
	for _, id := range []string{"echo-5B-1x512", "echo-5B-16x512", "churn"} {
		c, ok := f.costOf(id)
		if !ok {
			return "", errors.New("the results have no CPU time of " + id)
		}
		row("server CPU ÷ "+result.Base+", "+c.title, func(name string) string { return f.costCell(c, name).Text })
	}
	idle := f.idleCell()
	if idle == nil {
		return "", errors.New("the results have no idle connections")
	}
	row("KiB per idle connection, of "+number.Count(int64(idle.Connections)), func(name string) string {
		return number.Digits(measure.Sample(idle.Of(name).Values("idle_kib")).Median())
	})
	if len(f.r.Checks) == 0 {
		return "", errors.New("the results have no checks of correctness")
	}
	row("broken rules of RFC 6455 and RFC 7692", func(name string) string { return f.tallyOf(name).String() })
	return b.String(), nil
}

func (f *facts) costOf(id string) (cost, bool) {
	for _, c := range f.costs {
		if c.cell.ID == id {
			return c, true
		}
	}
	return cost{}, false
}
