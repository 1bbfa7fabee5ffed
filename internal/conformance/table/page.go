package main

import (
	"bufio"
	"fmt"
	"strings"

	"example.com/wsecho/internal/conformance"
)

// A row is a line of the page: what has to be true, and which tests show it.
type row struct {
	what string // an attack, a fault, or a section of an RFC
	duty string // what is owed
	// tests are names such as server.TestEndings/idle/, or of packages, such as
	// server. A test stands for all that is below it.
	tests []string
	// not is why there is nothing to show, where that is so.
	not string
}

// A page writes the page, and notes what is not as it should be.
type page struct {
	results results
	w       *bufio.Writer
	bad     []string
}

func (p *page) printf(format string, args ...any) { fmt.Fprintf(p.w, format, args...) }

func (p *page) write() {
	p.printf(`# Conformance

This page is made from the results of the tests and not edited:

    export WSECHO_TEST_FULL=1
    (go test -json ./...; cd bench; go test -json ./...) | go run ./internal/conformance/table

%[1]s.ci/run%[1]s makes it again and fails where it is not this one. A row is *pass* when all of
its tests have passed, with everything below them. *Skipped* is what the machine
could not do, *missing* what no test has shown. A test is named by its package
and its name; a package alone stands for all of its tests, and for the goroutines
and descriptors that they must not leave behind.
`, "`")
	p.printf("\n## Attacks and faults\n\n| # | attack or fault | what the server owes | verdict | shown by |\n|---|---|---|---|---|\n")
	for i, r := range attacks {
		p.row(fmt.Sprint(i+1), r, fmt.Sprintf("attack %d", i+1))
	}
	for _, s := range standards {
		p.printf("\n## %s\n\n| section | what it is about | what is shown | verdict | shown by |\n|---|---|---|---|---|\n", s.title)
		for _, r := range s.rows {
			section, about, _ := strings.Cut(r.what, " ")
			p.row(section, row{about, r.duty, r.tests, r.not}, s.title+", section "+section)
		}
	}
	p.autobahn()
}

// row writes one, and notes it under its name if it is bad.
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

// judge is the worst verdict on a row's tests, and what is said of each.
func (p *page) judge(r row) (worst verdict, shown []string) {
	if len(r.tests) == 0 {
		return missing, []string{"nothing yet"}
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

// cell makes text fit to stand in a table.
func cell(s string) string { return strings.NewReplacer("|", `\|`, "\n", " ").Replace(s) }

// cases is the test whose subtests have the numbers of the suite.
const cases = "internal/conformance.TestAutobahn"

// autobahn writes a line for each section of the suite.
func (p *page) autobahn() {
	p.printf(`
## The Autobahn test suite

Each case of the suite has its counterpart, %[1]s%[2]s/6.4.2%[1]s
for 6.4.2, and passes if the answer is the one that the suite calls strict. In
sections 12 and 13 a thousand messages are sent, as in the suite, but of those
over 2 KiB only as many as make 2 MiB, unless the test is given %[1]s-exhaustive%[1]s.

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
	p.printf("\nOf %d cases %d pass, %d fail, %d were skipped and %d are missing.\n", all, total[pass], total[fail], total[skipped], total[missing])
}
