package report

import (
	_ "embed"
	"html/template"
	"io"

	"example.com/wsecho/bench/result"
)

//go:embed page.html
var page string

var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{
	// The drawing has escaped all texts.
	"drawing": func(p *Plot) template.HTML { return template.HTML(p.SVG) },
}).Parse(page))

// HTML writes r as one page. It needs no script and no other file.
func HTML(w io.Writer, r *result.Report) error {
	d, err := documentOf(r)
	if err != nil {
		return err
	}
	return pageTemplate.Execute(w, d)
}
