package report

import (
	"bytes"
	"fmt"
	"html"
	"io"
	"regexp"
	"strings"

	"example.com/wsecho/bench/result"
)

// Markdown writes r as a page for a folder of documents. images returns the path of the
// plot with this name, relative to the page. Markdown leaves out a plot for which images
// returns "", and all plots if images is nil.
func Markdown(w io.Writer, r *result.Report, images func(name string) string) error {
	d, err := documentOf(r)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "# %s\n", escape(d.Title))
	for _, s := range d.Sections {
		fmt.Fprintf(&b, "\n## %s\n", escape(s.Title))
		for _, one := range s.Blocks {
			one.markdown(&b, images)
		}
	}
	_, err = w.Write(b.Bytes())
	return err
}

func (b block) markdown(w *bytes.Buffer, images func(string) string) {
	switch {
	case b.Text != "":
		fmt.Fprintf(w, "\n%s\n", paragraph(b.Text))
	case b.Warn != "":
		fmt.Fprintf(w, "\n**%s**\n", escape(b.Warn))
	case b.Head != "":
		fmt.Fprintf(w, "\n### %s\n", escape(b.Head))
	case b.Code != "":
		fmt.Fprintf(w, "\n    %s\n", b.Code)
	case b.Table != nil:
		b.Table.markdown(w)
	case b.Plot != nil && images != nil && images(b.Plot.Name) != "":
		fmt.Fprintf(w, "\n![%[1]s](<%[2]s>)\n\n**%[1]s.** %[3]s\n", escape(b.Plot.Title), strings.NewReplacer("<", "%3C", ">", "%3E", "\n", "%0A").Replace(images(b.Plot.Name)), escape(b.Plot.Caption))
	case b.Fold != "":
		fmt.Fprintf(w, "\n<details><summary>%s</summary>\n", html.EscapeString(b.Fold))
		for _, one := range b.Inside {
			one.markdown(w, images)
		}
		w.WriteString("\n</details>\n")
	case len(b.List) > 0:
		w.WriteString("\n")
		for _, line := range b.List {
			fmt.Fprintf(w, "- %s\n", paragraph(line))
		}
	}
}

func (t *table) markdown(w *bytes.Buffer) {
	if t.Caption != "" {
		fmt.Fprintf(w, "\n%s\n", paragraph(t.Caption))
	}
	w.WriteString("\n|")
	for _, h := range t.Head {
		fmt.Fprintf(w, " %s |", escape(h))
	}
	w.WriteString("\n|")
	for i := range t.Head {
		if t.Text(i) {
			w.WriteString(" --- |")
		} else {
			w.WriteString(" ---: |")
		}
	}
	for _, row := range t.Rows {
		w.WriteString("\n|")
		for _, c := range row {
			text := escape(c.Text)
			if c.Wrong && text != "" {
				text = "**" + text + "**"
			}
			if c.Below != "" {
				text += "<br>" + escape(c.Below)
			}
			fmt.Fprintf(w, " %s |", text)
		}
	}
	w.WriteString("\n")
}

var (
	special = regexp.MustCompile("[\\\\`*_\\[\\]<>|~#$]")
	opening = regexp.MustCompile(`^(?:[-+]|\d{1,9}[.)])(?:\s|$)|^[-=]+$`)
)

// escape escapes the characters that have a meaning in Markdown.
func escape(s string) string {
	s = strings.ReplaceAll(clean(s), "&", "&amp;")
	return special.ReplaceAllStringFunc(s, func(c string) string {
		if c == "<" {
			return "&lt;"
		}
		return `\` + c
	})
}

// paragraph is like escape, for text at the beginning of a line.
func paragraph(s string) string {
	s = escape(s)
	at := strings.IndexAny(s, "-+.)=")
	if opening.MatchString(s) {
		s = s[:at] + `\` + s[at:]
	}
	return s
}
