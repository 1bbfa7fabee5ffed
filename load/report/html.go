package report

import (
	_ "embed"
	"html/template"
	"io"
	"time"

	"example.com/wsecho/internal/number"
	"example.com/wsecho/load"
)

//go:embed page.html
var page string

var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{
	"bar":      func(part float64) float64 { return 300 * part },
	"width":    func(from, to float64) float64 { return max(300*(to-from), 1) },
	"digits":   number.Digits,
	"duration": func(d time.Duration) string { return number.Duration(float64(d)) },
}).Parse(page))

// HTML writes r as one page without scripts and without links to other files.
func HTML(w io.Writer, r *load.Report) error {
	type server struct {
		*load.Target
		Letter, Outcome string
	}
	var servers []server
	for i, t := range r.Targets {
		servers = append(servers, server{t, letter(i), outcome(t)})
	}
	rows := rowsOf(r)
	legend := ""
	if hasNoise(rows) {
		legend = load.RatioLegend
	}
	return pageTemplate.Execute(w, map[string]any{
		"Report":   r,
		"Headline": Headline(r),
		"Servers":  servers,
		"Rows":     rows,
		"Legend":   legend,
		"Several":  len(r.Targets) > 1,
		"Drawn":    r.Plan.Rounds > 1, // one round shows no difference between servers
	})
}
