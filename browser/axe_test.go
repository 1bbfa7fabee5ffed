package browser

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"sync"

	"example.com/wsecho/internal/testfull"
)

// axe is the source of axe-core, which npm ci installs.
var axe = sync.OnceValues(func() ([]byte, error) { return os.ReadFile("../console/node_modules/axe-core/axe.min.js") })

// checkAccess fails the test for each finding of axe-core on the page as it is now.
func (p *tab) checkAccess(state string) {
	p.t.Helper()
	source, err := axe()
	if errors.Is(err, fs.ErrNotExist) {
		testfull.Missing(p.t, "axe-core is not installed: cd console && npm ci")
	}
	if err != nil {
		p.t.Fatal(err)
	}
	if !eval[bool](p, "typeof axe === 'object'") {
		eval[bool](p, string(source)+"; true")
	}
	type finding struct {
		ID, Help string
		Nodes    []struct{ HTML, FailureSummary string }
	}
	// The colours between two schemes are not those of the page.
	eval[bool](p, `document.getAnimations().forEach(a => { if (a instanceof CSSTransition) a.finish() }), true`)
	found := eval[string](p, `axe.run({resultTypes: ["violations"]}).then(r => JSON.stringify(r.violations))`)
	var findings []finding
	if err := json.Unmarshal([]byte(found), &findings); err != nil {
		p.t.Fatal(err)
	}
	for _, f := range findings {
		for _, n := range f.Nodes {
			p.t.Errorf("axe-core, %s: %s: %s\n%s\n%s", state, f.ID, f.Help, n.HTML, n.FailureSummary)
		}
	}
}
