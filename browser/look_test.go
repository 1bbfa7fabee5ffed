package browser

import (
	"slices"
	"testing"
)

// looks are the ways to show the page that users choose.
var looks = map[string][]func(*tab){
	"light": {light},
	"dark":  {dark},
	"phone": {phone, dark},
	"wide":  {func(p *tab) { p.size(1920, 1000, false) }, still},
}

func dark(p *tab)  { p.media("prefers-color-scheme", "dark") }
func light(p *tab) { p.media("prefers-color-scheme", "light") }
func still(p *tab) { p.media("prefers-color-scheme", "light", "prefers-reduced-motion", "reduce") }
func phone(p *tab) { p.size(390, 844, true) }

// TestLooks checks that axe-core finds nothing and that the page is not wider than its
// window, in each look.
func TestLooks(t *testing.T) {
	t.Parallel()
	s := serve(t)
	for name, look := range looks {
		t.Run(name, func(t *testing.T) {
			p := open(t, s, look...)
			p.checkAccess("before")
			p.connect()
			p.checkAccess("connected")
			p.checkWidth()
			if !slices.Contains(p.requests, "ws://"+s.addr+"/") || !slices.Contains(p.requests, s.url()) {
				t.Errorf("the page requested %q, want itself and the WebSocket", p.requests)
			}
		})
	}
}
