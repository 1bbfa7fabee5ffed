package main

import (
	"bufio"
	"fmt"
	"strings"

	"example.com/wsecho/internal/conformance"
)

// A row is a line of the page: a required behavior and the tests that check it.
type row struct {
	what string // an attack, a fault, or a section of an RFC
	duty string // the required behavior
	// tests are names of tests, such as server.TestEndings/idle/, or of packages,
	// such as server. A test includes its subtests.
	tests []string
	// not is the reason for a row without tests.
	not string
}

// A page writes the page and collects the bad rows.
type page struct {
	results results
	w       *bufio.Writer
	bad     []string
}

func (p *page) printf(format string, args ...any) { fmt.Fprintf(p.w, format, args...) }

func (p *page) write() {
	p.printf(`# Conformance

A program creates this page from the results of the tests. Do not edit it:

    export WSECHO_TEST_FULL=1
    (go test -json ./...; cd bench; go test -json ./...) | go run ./internal/conformance/table

%[1]s.ci/run%[1]s creates the page again and fails if the two differ. A row is *pass*
if all of its tests and their subtests have passed. It is *skipped* if the machine could
not run a test, and *missing* if a test did not run. Each test is listed as package and
name. A package alone means all of its tests, and that they leave no goroutine or
descriptor open.
`, "`")
	p.printf("\n## Attacks and faults\n\n| # | attack or fault | required behavior | verdict | tests |\n|---|---|---|---|---|\n")
	for i, r := range attacks {
		p.row(fmt.Sprint(i+1), r, fmt.Sprintf("attack %d", i+1))
	}
	for _, s := range standards {
		p.printf("\n## %s\n\n| section | topic | tested behavior | verdict | tests |\n|---|---|---|---|---|\n", s.title)
		for _, r := range s.rows {
			section, about, _ := strings.Cut(r.what, " ")
			p.row(section, row{about, r.duty, r.tests, r.not}, s.title+", section "+section)
		}
	}
	p.autobahn()
}

// row writes one row, and adds it to p.bad under name if it is bad.
func (p *page) row(number string, r row, name string) {
	worst, shown := p.judge(r)
	word := worst.String()
	if r.not != "" {
		word, shown = "–", []string{r.not}
	}
	p.printf("| %s | %s | %s | %s | %s |\n", number, r.what, r.duty, word, strings.Join(shown, ", "))
	if r.not == "" && worst >= missing {
		p.bad = append(p.bad, fmt.Sprintf("%s (%s): %v", name, r.what, worst))
	}
}

// judge returns the worst verdict on a row's tests, and the text for each test.
func (p *page) judge(r row) (worst verdict, shown []string) {
	if len(r.tests) == 0 {
		return missing, []string{"no test"}
	}
	for _, name := range r.tests {
		v, why := p.results.of(name)
		text := "`" + name + "`"
		switch {
		case v != pass && why != "":
			text += fmt.Sprintf(" (%v: %s)", v, cell(why))
		case v != pass:
			text += fmt.Sprintf(" (%v)", v)
		}
		worst = max(worst, v)
		shown = append(shown, text)
	}
	return worst, shown
}

// cell escapes text for a table cell.
func cell(s string) string { return strings.NewReplacer("|", `\|`, "\n", " ").Replace(s) }

// cases is the test whose subtests are named after the cases of the suite.
const cases = "internal/conformance.TestAutobahn"

// autobahn writes one line for each section of the suite.
func (p *page) autobahn() {
	p.printf(`
## The Autobahn test suite

Each case of the suite has its counterpart, %[1]s%[2]s/6.4.2%[1]s
for 6.4.2. It passes if the answer is the one that the suite calls strict. The
cases of sections 12 and 13 send a thousand messages, as in the suite. If a message has
more than 2 KiB, they send 2 MiB in total, unless the test is given %[1]s-exhaustive%[1]s.

| cases | about | verdict |
|---|---|---|
`, "`", cases)
	total := make(map[verdict]int)
	for _, s := range conformance.Sections() {
		count := make(map[verdict]int)
		var but []string
		for _, n := range s.Numbers() {
			v, why := p.results.of(cases + "/" + n)
			count[v]++
			total[v]++
			if v == pass {
				continue
			}
			if why != "" {
				why = ", " + cell(why)
			}
			but = append(but, fmt.Sprintf("%s (%v%s)", n, v, why))
		}
		numbers := s.Numbers()
		span := numbers[0]
		if len(numbers) > 1 {
			span += " to " + numbers[len(numbers)-1]
		}
		text := fmt.Sprintf("%d of %d pass", count[pass], s.Cases)
		if len(but) > 0 {
			text += "; not " + strings.Join(but, ", ")
		}
		p.printf("| %s | %s | %s |\n", span, s.Title, text)
		if bad := count[missing] + count[fail]; bad > 0 {
			p.bad = append(p.bad, fmt.Sprintf("Autobahn, section %s (%s): %d of %d", s.Number, s.Title, bad, s.Cases))
		}
	}
	all := 0
	for _, n := range total {
		all += n
	}
	p.printf("\n%d of %d cases pass, %d fail, %d are skipped and %d are missing.\n", total[pass], all, total[fail], total[skipped], total[missing])
}
