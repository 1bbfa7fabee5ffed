package report

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"example.com/wsecho/bench/result"
)

// Text writes the first section of the page, the faults and the notes, for a terminal.
func Text(w io.Writer, r *result.Report) error {
	f := factsOf(r)
	d := &document{Sections: []section{{Blocks: append(f.opening(), f.mainBlocks()...)}}}
	if faults := f.faults(); len(faults) > 0 {
		d.Sections[0].Blocks = append(d.Sections[0].Blocks, block{Text: "Faults under load:"}, block{List: faults})
	}
	if len(r.Notes) > 0 {
		var notes []string
		for _, n := range r.Notes {
			notes = append(notes, sentence(n))
		}
		d.Sections[0].Blocks = append(d.Sections[0].Blocks, block{Text: "Notes:"}, block{List: notes})
	}
	d.cleanTexts()
	var b strings.Builder
	for i, one := range d.Sections[0].Blocks {
		if i > 0 && one.List == nil {
			b.WriteString("\n")
		}
		switch {
		case one.Table != nil:
			one.Table.text(&b)
		case one.List != nil:
			for _, line := range one.List {
				fmt.Fprintf(&b, "  %s\n", line)
			}
		default:
			fmt.Fprintf(&b, "%s%s\n", one.Text, one.Warn)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// text writes t in columns. Heads are longer than the values below them. So each head has
// its own line, and a letter marks its column.
func (t *table) text(b *strings.Builder) {
	if t.Caption != "" {
		fmt.Fprintf(b, "%s\n\n", t.Caption)
	}
	if len(t.Texts) == len(t.Head)-1 { // a list, because columns of texts would be too wide
		for _, row := range t.Rows {
			fmt.Fprintf(b, "%s\n", row[0].Text)
			for i, c := range row[1:] {
				fmt.Fprintf(b, "  %s: %s\n", t.Head[i+1], c.Text)
			}
		}
		return
	}
	head := make([]string, len(t.Head))
	for i, h := range t.Head {
		head[i] = h
		if i > 0 && i < len(t.Head)-1 {
			letter := string(rune('A' + (i-1)%26))
			head[i] = letter
			fmt.Fprintf(b, "%s  %s\n", letter, h)
		}
	}
	rows := [][]string{head}
	for _, row := range t.Rows {
		var line []string
		for i, c := range row {
			if i > 0 && strings.Contains(c.Below, "×") { // a ratio, not an interval
				c.Text += " (" + c.Below + ")"
			}
			line = append(line, c.Text)
		}
		rows = append(rows, line)
	}
	wide := make([]int, len(head))
	for _, row := range rows {
		for i, s := range row {
			wide[i] = max(wide[i], utf8.RuneCountInString(s))
		}
	}
	if len(t.Head) > 2 {
		b.WriteString("\n")
	}
	for _, row := range rows {
		var line strings.Builder
		for i, s := range row {
			space := strings.Repeat(" ", wide[i]-utf8.RuneCountInString(s))
			if i > 0 {
				line.WriteString("  ")
			}
			if t.Text(i) {
				line.WriteString(s + space)
			} else {
				line.WriteString(space + s)
			}
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
}
