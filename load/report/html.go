package report

import (
	_ "embed"
	"html/template"
	"io"

	"example.com/wsecho/load"
)

//go:embed page.html
var page string

var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{
	"bar":      func(part float64) float64 { return 300 * part },
	"width":    func(from, to float64) float64 { return max(300*(to-from), 1) },
	"number":   number,
	"duration": func(v any) string { return duration(float(v)) },
}).Parse(page))

func float(v any) float64 {
	switch v := v.(type) {
	case interface{ Nanoseconds() int64 }:
		return float64(v.Nanoseconds())
	case float64:
		return v
	}
	return 0
}

// HTML writes r as one page that needs nothing else: no script, no other file.
func HTML(w io.Writer, r *load.Report) error {
	type server struct {
		*load.Target
		Letter, Outcome string
	}
	var servers []server
	for i, t := range r.Targets {
		servers = append(servers, server{t, letter(i), outcome(t)})
	}
	return pageTemplate.Execute(w, map[string]any{
		"Report":   r,
		"Headline": Headline(r),
		"Servers":  servers,
		"Rows":     rowsOf(r),
		"Several":  len(r.Targets) > 1,
	})
}
