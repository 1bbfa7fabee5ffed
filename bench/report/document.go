package report

import "slices"

// A document is the content of the page, without a format.
type document struct {
	Title    string
	Sections []section
}

type section struct {
	ID, Title string
	Blocks    []block
}

// A block has one of its fields set, or Fold and Inside.
type block struct {
	Text  string // a paragraph
	Warn  string // a warning, in bold
	Head  string // a heading below the section's
	List  []string
	Code  string
	Table *table
	Plot  *Plot

	Fold   string // a heading; Inside is hidden until the reader opens it
	Inside []block
}

type table struct {
	Caption string
	Head    []string // of the columns; the first column is the head of each row
	Texts   []int    // the columns with text besides the first; the others have numbers
	Rows    [][]cell
}

// Text reports whether a column has text, not numbers.
func (t *table) Text(column int) bool { return column == 0 || slices.Contains(t.Texts, column) }

type cell struct {
	Text  string
	Below string // a second line
	Wrong bool
}

func texts(s ...string) (cells []cell) {
	for _, text := range s {
		cells = append(cells, cell{Text: text})
	}
	return cells
}

// cleanTexts cleans all texts. Some of them come from servers.
func (d *document) cleanTexts() {
	d.Title = clean(d.Title)
	for i := range d.Sections {
		cleanTexts(d.Sections[i].Blocks)
	}
}

func cleanTexts(blocks []block) {
	for i := range blocks {
		b := &blocks[i]
		for _, s := range []*string{&b.Text, &b.Warn, &b.Head, &b.Code, &b.Fold} {
			*s = clean(*s)
		}
		for j := range b.List {
			b.List[j] = clean(b.List[j])
		}
		if b.Table != nil {
			b.Table.cleanTexts()
		}
		cleanTexts(b.Inside)
	}
}

func (t *table) cleanTexts() {
	t.Caption = clean(t.Caption)
	for i := range t.Head {
		t.Head[i] = clean(t.Head[i])
	}
	for _, row := range t.Rows {
		for i := range row {
			row[i].Text, row[i].Below = clean(row[i].Text), clean(row[i].Below)
		}
	}
}
