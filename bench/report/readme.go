package report

import (
	"bytes"
	"fmt"
	"io"

	"example.com/wsecho/bench/result"
)

// Folder is where Markdown and the plots lie, beside the README.
const Folder = "docs/benchmarks"

// What stands between these lines of the README is written by Replace.
const (
	begins = "<!-- comparison: from here to its end this is written by bench report -->"
	ends   = "<!-- comparison: end -->"
)

// Summary writes the main table and the main plot, as they stand in the README.
func Summary(w io.Writer, r *result.Report) error {
	f := factsOf(r)
	plots, err := plotsOf(f)
	if err != nil {
		return err
	}
	blocks := append(f.opening(), f.first()...)
	for i := range plots {
		if plots[i].Name == mainPlot {
			blocks = append(blocks, block{Plot: &plots[i]})
		}
	}
	d := &document{Sections: []section{{Blocks: blocks}}}
	d.tidy()
	var b bytes.Buffer
	for _, one := range d.Sections[0].Blocks {
		one.markdown(&b, func(name string) string { return Folder + "/" + name + ".svg" })
	}
	fmt.Fprintf(&b, "\nAll figures, how to read them, and the machine: [%s](%s).\n", Folder, Folder)
	_, err = w.Write(bytes.TrimLeft(b.Bytes(), "\n"))
	return err
}

// Replace puts the Summary between its two lines in a README.
func Replace(readme []byte, r *result.Report) ([]byte, error) {
	for _, line := range []string{begins, ends} {
		if n := bytes.Count(readme, []byte(line)); n != 1 {
			return nil, fmt.Errorf("the README has the line %q %d times, and has to have it once: the comparison goes between %q and %q", line, n, begins, ends)
		}
	}
	from, to := bytes.Index(readme, []byte(begins))+len(begins), bytes.Index(readme, []byte(ends))
	if to < from {
		return nil, fmt.Errorf("in the README %q comes before %q, and has to come after it", ends, begins)
	}
	var b bytes.Buffer
	b.Write(readme[:from])
	b.WriteString("\n\n")
	if err := Summary(&b, r); err != nil {
		return nil, err
	}
	b.WriteString("\n")
	b.Write(readme[to:])
	return b.Bytes(), nil
}
