package report

import "slices"

// A document is what Markdown and HTML are made of.
type document struct {
	Title    string
	Sections []section
}

type section struct {
	ID, Title string
	Blocks    []block
}

// A block is one of its fields.
type block struct {
	Text  string // a paragraph
	Warn  string // one that is not to be missed
	Head  string // of what follows, below the section's
	List  []string
	Code  string
	Table *table
	Plot  *Plot

	Fold   string // a heading; Inside is hidden until the reader opens it
	Inside []block
}

type table struct {
	Caption string
	Head    []string // of the columns; the first one is the head of the row
	Texts   []int    // the columns of texts besides the first; the others are numbers
	Rows    [][]cell
}

// Text says whether a column is one of texts.
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

// tidy cleans all texts, some of which come from servers.
func (d *document) tidy() {
	d.Title = clean(d.Title)
	for i := range d.Sections {
		tidy(d.Sections[i].Blocks)
	}
}

func tidy(blocks []block) {
	for i := range blocks {
		b := &blocks[i]
		for _, s := range []*string{&b.Text, &b.Warn, &b.Head, &b.Code, &b.Fold} {
			*s = clean(*s)
		}
		for j := range b.List {
			b.List[j] = clean(b.List[j])
		}
		if b.Table != nil {
			b.Table.tidy()
		}
		tidy(b.Inside)
	}
}

func (t *table) tidy() {
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
