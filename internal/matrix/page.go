package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// The page has the matrix between these lines.
const (
	matrixBegin = "<!-- The matrix: go run ./internal/matrix -write -->\n"
	matrixEnd   = "<!-- The end of the matrix. -->\n"
)

// cell is the text of a row in a column.
func (r row) cell(c column) string {
	if r.unsupported[c] != "" {
		return "–"
	}
	want, race := r.expected(c)
	text := want.cell()
	if race != want {
		text += " or " + race.cell()
	}
	return fmt.Sprintf("%s → %d", text, want.exit)
}

// matrix returns the table, and what the libraries cannot do.
func matrix() string {
	var b, cannot strings.Builder
	b.WriteString("| fault | flags |")
	for _, h := range headings {
		b.WriteString(" " + h + " |")
	}
	b.WriteString("\n|---|---|" + strings.Repeat("---|", len(headings)) + "\n")
	said := map[string]bool{}
	for _, r := range rows {
		fault, flags := "none", ""
		if r.fault != "" {
			fault = "`" + r.fault + "`"
		}
		if r.flags != "" {
			flags = "`" + r.flags + "`"
		}
		fmt.Fprintf(&b, "| %s | %s |", fault, flags)
		for c := range columns {
			text := r.cell(c)
			if text != r.cell(direct) {
				text = "**" + text + "**"
			}
			b.WriteString(" " + text + " |")
			name, _, _ := strings.Cut(r.fault, "=")
			if why := r.unsupported[c]; why != "" && !said[fmt.Sprint(name, c)] {
				said[fmt.Sprint(name, c)] = true
				fmt.Fprintf(&cannot, "- %s, `%s`: %s.\n", headings[c], name, why)
			}
		}
		b.WriteString("\n")
	}
	return b.String() + "\nA library has no such fault if the cell is –:\n\n" + cannot.String()
}

// page returns the name and the text of the page, and where the matrix begins and ends.
func (l *testbed) page() (name, text string, begin, end int, err error) {
	name = filepath.Join(l.root, "docs", "liveness.md")
	b, err := os.ReadFile(name)
	text = string(b)
	begin = strings.Index(text, matrixBegin) + len(matrixBegin)
	end = strings.Index(text, matrixEnd)
	if err == nil && (begin < len(matrixBegin) || end < begin) {
		err = fmt.Errorf("%s has no lines that mark the matrix", name)
	}
	return name, text, begin, end, err
}

// write writes the matrix into the page.
func (l *testbed) write() error {
	name, text, begin, end, err := l.page()
	if err != nil {
		return err
	}
	return os.WriteFile(name, []byte(text[:begin]+"\n"+matrix()+"\n"+text[end:]), 0o644)
}
