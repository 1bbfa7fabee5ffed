package report_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"

	"example.com/wsecho/bench/report"
	"example.com/wsecho/bench/result"
)

// A page is the content of HTML as a browser parses it.
type page struct {
	text   string // without styles
	tables []table
	plots  int
	ids    []string
	links  []string // to other pages and files
}

// A table is a caption and rows. The first row has the heads.
type table struct {
	caption string
	rows    [][]string
}

// row returns the row that begins with a name.
func (t table) row(name string) []string {
	for _, r := range t.rows {
		if r[0] == name || strings.HasPrefix(r[0], name+"|") {
			return r
		}
	}
	return nil
}

// read parses a page. It fails the test if elements are not nested correctly. It also does
// so if the page is not accessible to a screen reader.
func read(t *testing.T, html []byte) (p page) {
	t.Helper()
	d := xml.NewDecoder(bytes.NewReader(html))
	d.Strict, d.AutoClose, d.Entity = false, []string{"meta", "br"}, xml.HTMLEntity
	var open []string
	var cells []string
	var text, all strings.Builder
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			name := token.Name.Local
			open = append(open, name)
			attributes := map[string]string{}
			for _, a := range token.Attr {
				attributes[a.Name.Local] = a.Value
			}
			if id := attributes["id"]; id != "" {
				if slices.Contains(p.ids, id) {
					t.Errorf("two elements have the id %q", id)
				}
				p.ids = append(p.ids, id)
			}
			for _, a := range []string{"src", "href", "srcset", "data", "action", "style"} {
				if v, ok := attributes[a]; ok && !strings.HasPrefix(v, "#") {
					p.links = append(p.links, v)
				}
			}
			switch name {
			case "script", "link", "img", "iframe", "object", "base", "form", "image", "use", "foreignObject":
				t.Errorf("there is an element %s", name)
			case "table":
				p.tables = append(p.tables, table{})
			case "tr":
				cells = nil
			case "th":
				if s := attributes["scope"]; s != "col" && s != "row" {
					t.Errorf("a th has the scope %q", s)
				}
				text.Reset()
			case "td", "caption":
				text.Reset()
			case "br":
				text.WriteString("|")
			case "svg":
				p.plots++
				if attributes["role"] != "img" || attributes["aria-labelledby"] == "" {
					t.Errorf("an svg has the attributes %v", attributes)
				}
			}
		case xml.EndElement:
			name := token.Name.Local
			if len(open) == 0 || open[len(open)-1] != name {
				t.Fatalf("%s ends in %v", name, open)
			}
			open = open[:len(open)-1]
			switch name {
			case "th", "td":
				cells = append(cells, strings.TrimSpace(text.String()))
			case "caption":
				p.tables[len(p.tables)-1].caption = text.String()
			case "tr":
				last := &p.tables[len(p.tables)-1]
				last.rows = append(last.rows, cells)
			}
		case xml.CharData:
			if len(open) == 0 || open[len(open)-1] != "style" {
				text.Write(token)
				all.Write(token)
			}
		}
	}
	if len(open) > 0 {
		t.Fatalf("%v do not end", open)
	}
	for _, one := range p.tables {
		if one.caption == "" || len(one.rows) < 2 {
			t.Errorf("a table has the caption %q and %d rows", one.caption, len(one.rows))
		}
		for _, r := range one.rows {
			if len(r) != len(one.rows[0]) {
				t.Errorf("a row of %q has %d cells, its head %d: %q", one.caption, len(r), len(one.rows[0]), r)
			}
		}
	}
	p.text = all.String()
	return p
}

// written returns r in each form, with the HTML parsed.
func written(t *testing.T, r *result.Report) (p page, markdown, text string) {
	t.Helper()
	var html, md, txt bytes.Buffer
	if err := report.HTML(&html, r); err != nil {
		t.Fatal(err)
	}
	if err := report.Markdown(&md, r, func(name string) string { return name + ".svg" }); err != nil {
		t.Fatal(err)
	}
	if err := report.Text(&txt, r); err != nil {
		t.Fatal(err)
	}
	p = read(t, html.Bytes())
	for form, s := range map[string]string{"HTML": p.text, "Markdown": md.String(), "text": txt.String()} {
		for _, not := range []string{"NaN", "Inf", "%!", "ZgotmplZ", "<nil>", "1e+"} {
			if strings.Contains(s, not) {
				t.Errorf("there is %q in the %s", not, form)
			}
		}
	}
	if len(p.links) > 0 {
		t.Errorf("the page loads %q", p.links)
	}
	return p, md.String(), txt.String()
}

// main returns the main table.
func (p page) main(t *testing.T) table {
	t.Helper()
	if len(p.tables) == 0 || !strings.HasPrefix(p.tables[0].caption, "Server CPU") {
		t.Fatal("the page does not begin with the main table")
	}
	return p.tables[0]
}

// chosen returns a synthetic report with the chosen cells and the figures of the main
// table only.
func chosen(rounds int) *result.Report {
	r := synthetic(rounds)
	r.Cells = slices.DeleteFunc(r.Cells, func(c *result.Cell) bool { return !c.Chosen })
	for _, c := range r.Cells {
		for _, o := range c.Outcomes {
			for _, round := range o.Rounds {
				for _, name := range []string{"rate", "p50_us", "p999_us", "max_us", "rss_mib", "peak_mib", "allocs", "syscalls", "connects"} {
					delete(round, name)
				}
			}
		}
	}
	return r
}

func TestMainTable(t *testing.T) {
	r := chosen(5)
	p, md, txt := written(t, r)
	main := p.main(t)
	if got, want := strings.Join(main.rows[0], ";"), strings.ReplaceAll("server;CPU: 5_B, 1 in flight;CPU: 5_B, 16 in flight;CPU: 4_KiB, 1 in flight;CPU: 4_KiB, 16 in flight;CPU: connect, 5_B, close;p99: 125_B, open loop at 50_%;KiB per idle connection, of 10,000;broken rules", "_", " "); got != want {
		t.Errorf("the columns are %q, want %q", got, want)
	}
	for _, peer := range r.Peers {
		row := main.row(peer.Name)
		if peer.Skipped != "" {
			if row != nil || !strings.Contains(p.text, peer.Name+": "+peer.Skipped+".") || !strings.Contains(md, peer.Skipped) || !strings.Contains(txt, peer.Skipped) {
				t.Errorf("%s was skipped, and the page has %q", peer.Name, row)
			}
			continue
		}
		if row == nil {
			t.Errorf("%s has no row", peer.Name)
			continue
		}
		if !strings.HasPrefix(row[0], peer.Name+"|"+peer.Version) {
			t.Errorf("%s %s has the head %q", peer.Name, peer.Version, row[0])
		}
		if !strings.Contains(md, "\n| "+peer.Name+"<br>") || !strings.Contains(txt, "\n"+peer.Name+" ") {
			t.Errorf("%s is not in each form", peer.Name)
		}
		// The figures of each column come from package load.
		for i, id := range []string{"echo-5B-1x64", "echo-5B-16x64", "echo-4096B-1x64", "echo-4096B-16x64"} {
			c := r.Cells[slices.IndexFunc(r.Cells, func(c *result.Cell) bool { return c.ID == id })]
			ratio, _ := c.Of(peer.Name).Over(c.Of(result.Base), "cpu_us")
			number := strings.Split(row[i+1], "|")[0]
			switch {
			case peer.Name == result.Base:
				if number != "1" {
					t.Errorf("the base has %q", row[i+1])
				}
			case ratio.Noise != strings.HasSuffix(number, " n.s."):
				t.Errorf("%s in %s is %+v, and the page has %q", peer.Name, id, ratio, row[i+1])
			}
		}
	}
	// embedded fails a check of UTF-8, one of a limit, and does not notice a dead client.
	for name, want := range map[string]string{"wsecho": "0", "embedded": "1", "raw": "–", "xnet": "1, 1 unknown"} {
		if row := main.row(name); row[len(row)-1] != want {
			t.Errorf("%s: got %q broken rules, want %q", name, row[len(row)-1], want)
		}
	}
	correctness := p.tables[1]
	for name, want := range map[string][]string{
		"wsecho":   {"none", "nothing"},
		"embedded": {"UTF-8 (RFC 6455, 8.1)", "missing: limit on messages; missing: detection of falls silent; heartbeat each 2s"},
		"gorilla":  {"masking (RFC 6455, 5.1)", "read limit: SetReadLimit; missing: detection of falls silent; heartbeat each 2s"},
	} {
		if row := correctness.row(name); len(row) != 3 || !slices.Equal(row[1:], want) {
			t.Errorf("%s: got %q, want %q", name, row, want)
		}
	}
	if !strings.Contains(main.caption, "wsecho batches replies: one write contains the replies to messages that arrived together. The other servers flush each reply.") {
		t.Errorf("the caption does not name the servers that batch replies: %q", main.caption)
	}
	if !strings.Contains(p.text, ", commit 0123456789ab.") {
		t.Error("the beginning does not name the commit")
	}
}

// TestRulesCountOnce: two failed checks of one rule are one broken rule.
func TestRulesCountOnce(t *testing.T) {
	r := chosen(1)
	for i, c := range r.Checks {
		if c.Peer == "wsecho" && c.Rule == "UTF-8" {
			r.Checks[i].Right, r.Checks[i].Got = false, "echoed"
		}
	}
	p, _, _ := written(t, r)
	if row := p.main(t).row("wsecho"); row[len(row)-1] != "1" {
		t.Errorf("got %q broken rules, want 1", row[len(row)-1])
	}
	if row := p.tables[1].row("wsecho"); row[1] != "UTF-8 (RFC 6455, 8.1)" {
		t.Errorf("got %q", row)
	}
}

// TestFindings checks the five sentences at the beginning of each form.
func TestFindings(t *testing.T) {
	r := chosen(5)
	set := func(peer string, of func(*result.Cell) bool, figure string, values ...float64) {
		for _, c := range r.Cells {
			if of(c) && c.Of(peer) != nil {
				for i, round := range c.Of(peer).Rounds {
					round[figure] = values[i%len(values)]
				}
			}
		}
	}
	kind := func(kind string) func(*result.Cell) bool {
		return func(c *result.Cell) bool { return c.Kind == kind }
	}
	echo := func(size, inFlight int) func(*result.Cell) bool {
		return func(c *result.Cell) bool {
			return c.Kind == result.Echo && c.Size == size && c.InFlight == inFlight
		}
	}
	for _, p := range r.Peers {
		set(p.Name, kind(result.Echo), "cpu_us", 2)
		set(p.Name, kind(result.Churn), "cpu_us_conn", 100)
		set(p.Name, kind(result.Idle), "idle_kib", 9)
	}
	set("raw", echo(5, 1), "cpu_us", 0.1) // not a choice for users
	set("gws", echo(5, 1), "cpu_us", 1)
	set("coder", echo(5, 1), "cpu_us", 0) // below the resolution of the kernel's clock
	set("wsecho", echo(5, 16), "cpu_us", 0.5)
	set("wsecho", echo(4096, 1), "cpu_us", 1.8, 2.2)
	set("gws", echo(4096, 1), "cpu_us", 1)
	set("wsecho", echo(4096, 16), "cpu_us", 1.5)
	set("gws", echo(4096, 16), "cpu_us", 1)
	set("wsecho", kind(result.Churn), "cpu_us_conn", 150)
	set("gws", kind(result.Churn), "cpu_us_conn", 50)
	set("wsecho", kind(result.Idle), "idle_kib", 6)
	set("melody", kind(result.Idle), "idle_kib", 30)
	set("gorilla", kind(result.Idle), "idle_kib", 17)
	set("gws", kind(result.Idle), "idle_kib", 5)
	for i, c := range r.Checks {
		if c.Peer != "xnet" {
			r.Checks[i].Right, r.Checks[i].Error = true, ""
		} else {
			r.Checks[i].Right, r.Checks[i].Error = false, ""
		}
	}
	r.Cells = slices.DeleteFunc(r.Cells, func(c *result.Cell) bool { return c.Kind == result.Open })
	p, md, txt := written(t, r)
	for _, want := range []string{
		"gws uses the least CPU time in 5 B, 1 in flight (0.500) and in 4 KiB, 1 in flight (0.500) and in 4 KiB, 16 in flight (0.500) and in connect, 5 B, close (0.500). wsecho uses the least CPU time in 5 B, 16 in flight (0.250).",
		"wsecho uses less CPU time than gorilla in 5 B, 16 in flight (0.250) and in 4 KiB, 16 in flight (0.750). It uses more in connect, 5 B, close (1.50). It does not differ significantly in 5 B, 1 in flight (1.00 n.s.) and in 4 KiB, 1 in flight (0.900 n.s.).",
		"An idle connection uses 5.00 KiB in gws, 6.00 KiB in wsecho, 17.0 KiB in gorilla, 30.0 KiB in melody.",
		"xnet breaks the most: 3.",
		"The report does not measure a network, more than 2 processors, or handlers that do other work.",
	} {
		for form, s := range map[string]string{"HTML": p.text, "Markdown": md, "text": txt} {
			at := strings.Index(s, want)
			if at < 0 || at > strings.Index(s, "Server CPU ÷") {
				t.Errorf("%s does not begin with %q:\n%.3000s", form, want, s)
			}
		}
	}
}

// TestTitles: the head of a column names the connections if a cell of another table differs only
// in them. A ratio of 0 is not printed.
func TestTitles(t *testing.T) {
	r := synthetic(5)
	for _, c := range r.Cells {
		if c.Chosen && c.Size == 5 && c.InFlight == 16 {
			other := *c
			other.Connections, other.Chosen = 512, false
			r.Cells = append(r.Cells, &other)
			for _, round := range c.Of("gws").Rounds {
				round["cpu_us"] = 0
			}
		}
	}
	var b strings.Builder
	if err := report.Markdown(&b, r, nil); err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]bool{"CPU: 5 B, 16 in flight, 64 connections": true, "CPU: 5 B, 16 in flight |": false, "below resolution": true, "| 0<br>": false, "<br>0× ": false} {
		if strings.Contains(b.String(), text) != want {
			t.Errorf("contains %q: want %v\n%s", text, want, b.String())
		}
	}
}

// TestNarrow: a wide table or plot scrolls in its own box. Nothing else is wider than a
// small screen.
func TestNarrow(t *testing.T) {
	var html bytes.Buffer
	if err := report.HTML(&html, synthetic(5)); err != nil {
		t.Fatal(err)
	}
	s := html.String()
	for _, one := range []string{"<table>", "<svg "} {
		for at := strings.Index(s, one); at >= 0; {
			if box := strings.LastIndex(s[:at], `<div class="box"`); box < 0 || strings.Contains(s[box:at], "</div>") {
				t.Fatalf("a %s is not in a box that scrolls", one)
			}
			next := strings.Index(s[at+1:], one)
			if next < 0 {
				break
			}
			at += 1 + next
		}
	}
	for _, want := range []string{".box { overflow-x: auto;", "overflow-wrap: anywhere", "max-width: calc(100vw - 2.5rem)"} {
		if !strings.Contains(s, want) {
			t.Errorf("the style has no %q", want)
		}
	}
}

// TestNoise: if the rounds show no difference, every form marks the ratio as not
// significant.
func TestNoise(t *testing.T) {
	const want = "n.s."
	for _, rounds := range []int{6, 4} {
		r := chosen(rounds)
		for _, c := range r.Cells { // gws differs from gorilla by noise only
			o, base := c.Of("gws"), c.Of(result.Base)
			for i := range o.Rounds {
				for name, v := range base.Rounds[i] {
					o.Rounds[i][name] = v * []float64{0.9, 1.1}[i%2]
				}
			}
		}
		p, _, txt := written(t, r)
		row := p.main(t).row("gws")
		for i, s := range row[1:6] {
			if number := strings.Split(s, "|")[0]; !regexp.MustCompile(`^\d[\d.]* n\.s\.$`).MatchString(number) {
				t.Errorf("%d rounds: column %d is %q, want %q", rounds, i+1, s, want)
			}
		}
		for _, s := range row[6:8] {
			if !strings.HasSuffix(s, want) {
				t.Errorf("%d rounds: %q does not end in %q", rounds, s, want)
			}
		}
		for _, one := range p.tables[1:] {
			if row := one.row("gws"); row != nil && strings.Contains(one.caption, "×") {
				for _, s := range row[1:] {
					if _, below, ok := strings.Cut(s, "|"); ok && !strings.Contains(below, "× "+want) {
						t.Errorf("%d rounds: the table %q has %q", rounds, one.caption, s)
					}
				}
			}
		}
		for line := range strings.Lines(txt) {
			if strings.HasPrefix(line, "gws ") && !strings.Contains(line, "RFC") && strings.Count(line, want) < 7 {
				t.Errorf("%d rounds: %q", rounds, line)
			}
		}
		if few := strings.Contains(p.text, "cannot show a significant difference"); few != (rounds < 5) {
			t.Errorf("%d rounds: the page warns about too few rounds: %t", rounds, few)
		}
	}
}

// TestSameFacts: Markdown has each table and each plot that the page has.
func TestSameFacts(t *testing.T) {
	p, md, _ := written(t, synthetic(4))
	rows := 0
	for _, one := range p.tables {
		rows += len(one.rows) + 1
		for _, r := range one.rows {
			for _, s := range r {
				if s = strings.NewReplacer("|", "<br>", "&", "&amp;").Replace(s); !strings.Contains(md, s) {
					t.Errorf("Markdown does not have %q", s)
				}
			}
		}
	}
	if n := strings.Count(md, "\n|"); n != rows {
		t.Errorf("Markdown has %d rows of tables, want %d", n, rows)
	}
	if n := strings.Count(md, "\n!["); n != p.plots || n == 0 {
		t.Errorf("Markdown has %d plots, HTML %d", n, p.plots)
	}
	var without bytes.Buffer
	if err := report.Markdown(&without, synthetic(5), nil); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(without.String(), "![") {
		t.Error("the page contains plots, but images is nil")
	}
}

// TestKinds: each kind of cell has its own kind of table.
func TestKinds(t *testing.T) {
	r := synthetic(3)
	for _, c := range r.Cells {
		switch o := c.Of("coder"); c.Kind {
		case result.Dead:
			o.Rounds, o.Wrong = []map[string]float64{nil}, []string{"it could not be started"}
			c.Of("xnet").Notes = []string{"it cannot ping"}
		case result.Drain:
			for _, round := range o.Rounds {
				round["end_s"] = 0 // it did not end within the bound
			}
		}
	}
	p, _, _ := written(t, r)
	find := func(caption string) table {
		i := slices.IndexFunc(p.tables, func(one table) bool { return one.caption == caption })
		if i < 0 {
			t.Fatalf("there is no table %q", caption)
		}
		return p.tables[i]
	}
	dead, drain := find("falls silent; heartbeat each 2s."), find("SIGTERM with 1000 connections.")
	there := map[string]bool{}
	for _, caption := range []string{"Server CPU, µs/message: the median", "P99, µs: the median", "Resident memory, KiB/connection: the median"} {
		for _, one := range p.tables {
			if strings.HasPrefix(one.caption, caption) {
				there[caption] = true
				if got := strings.Join(one.rows[0], " "); got != "workload wsecho gorilla coder gws" {
					t.Errorf("%q has the columns %q", caption, got)
				}
			}
		}
		if !there[caption] {
			t.Errorf("there is no table %q", caption)
		}
	}
	if r := dead.row("wsecho"); !strings.HasPrefix(r[1], "7.") && !strings.HasPrefix(r[1], "6.") || r[2] != `1001 "no pong"` {
		t.Errorf("%q", r)
	}
	if r := dead.row("gorilla"); r[1] != "not noticed" {
		t.Errorf("%q", r)
	}
	if r := dead.row("gws"); !strings.Contains(r[1], " of 3 rounds") {
		t.Errorf("%q", r)
	}
	if r := dead.row("coder"); r[1] != "no result" || r[3] != "it could not be started" {
		t.Errorf("%q", r)
	}
	if r := dead.row("xnet"); r[1] != "not noticed" || r[3] != "it cannot ping" {
		t.Errorf("%q", r)
	}
	if r := drain.row("coder"); r[3] != "not ended" {
		t.Errorf("%q", r)
	}
	if r := drain.row("melody"); r[1] != "99.9 %" || r[3] != "not ended" {
		t.Errorf("%q", r)
	}
	if r := drain.row("wsecho"); r[1] != "100 %" || r[2] != "1001" {
		t.Errorf("%q", r)
	}
}

// TestWrong: the report shows wrong replies before the figures, at each figure, and in a
// sentence.
func TestWrong(t *testing.T) {
	r := chosen(1)
	r.Cells[0].Of("coder").Wrong = []string{"17 echoes differ from their messages"}
	p, md, txt := written(t, r)
	if row := p.main(t).row("coder"); !strings.Contains(row[1], " !") || strings.Contains(row[2], "!") {
		t.Errorf("%q", row)
	}
	const warning, what = "1 fault under load", "17 echoes differ from their messages."
	for _, s := range []string{p.text, md, txt} {
		if at := strings.Index(s, warning); at < 0 || at > strings.Index(s, "Server CPU ÷") || !strings.Contains(s, what) {
			t.Errorf("the fault is missing:\n%.2000s", s)
		}
	}
	if p, _, _ := written(t, chosen(1)); strings.Contains(p.text, "under load, each") {
		t.Error("the page reports a fault, but there is none")
	}
}

// TestSummary checks the table of the README: it has the figures of the main table.
func TestSummary(t *testing.T) {
	r := chosen(5)
	for i := range r.Peers {
		if r.Peers[i].Name == "node-ws" {
			r.Peers[i].Name = "bun"
		}
	}
	for _, c := range r.Cells {
		switch {
		case c.Kind == result.Echo && c.Size == 5:
			c.ID = map[int]string{1: "echo-5B-1x512", 16: "echo-5B-16x512"}[c.InFlight]
		}
		for _, o := range c.Outcomes {
			if o.Peer == "node-ws" {
				o.Peer = "bun"
			}
		}
	}
	for i := range r.Checks {
		if r.Checks[i].Peer == "node-ws" {
			r.Checks[i].Peer = "bun"
		}
	}
	page, err := report.Summary([]byte("# A\n\n| | wsecho | b |\n|---|---:|---:|\n| old | 1 | 2 |\n\nafter\n"), r)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(page), "\n")
	if len(lines) != 12 || lines[0] != "# A" || lines[10] != "after" || lines[2] != "| | wsecho | embedded | gorilla 1.3.3 | coder 1.4.3 | bun 1.12.3 |" {
		t.Fatalf("got %q", lines)
	}
	p, _, _ := written(t, r)
	main := p.main(t)
	for i, column := range []int{1, 2, 5, 7, 8} { // of the main table
		for j, name := range []string{"wsecho", "embedded", "gorilla", "coder", "bun"} {
			want, _, _ := strings.Cut(main.row(name)[column], "|")
			if got := strings.Split(lines[4+i], "|")[2+j]; strings.TrimSpace(got) != want {
				t.Errorf("%q: %s: got %q, want %q", lines[4+i], name, got, want)
			}
		}
	}
	if page, err := report.Summary([]byte("# A"), r); err == nil {
		t.Errorf("without a table: got %q", page)
	}
	if page, err := report.Summary([]byte("| | wsecho |\n"), &result.Report{}); err == nil {
		t.Errorf("without figures: got %q", page)
	}
}
