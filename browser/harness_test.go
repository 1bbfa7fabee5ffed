package browser

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestTab checks that a tab finds elements by their labels and notices each kind of error.
func TestTab(t *testing.T) {
	t.Parallel()
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", "default-src 'self'; script-src 'self'")
		fmt.Fprint(w, `<!doctype html><html lang=en><meta charset=utf-8><title>t</title><link rel=icon href=/icon>
			<label>Name <input></label> <label>Count <select><option>one<option>two</select></label>
			<p role=status aria-label=State>ready</p><button>Go</button><p style="color: red">inline</p>`)
	}))
	defer site.Close()
	p := newTab(t)
	p.navigate(site.URL + "/")
	field := p.find("textbox", "Name")
	field.fill("x")
	field.fill("hello")
	if got := field.value(); got != "hello" {
		t.Errorf("got %q in the field, want hello", got)
	}
	eval[bool](p, `document.querySelector("button").onclick = () => document.querySelector("[role=status]").textContent = "clicked", true`)
	p.find("button", "Go").click()
	p.find("status", "State").shows("clicked")
	eval[bool](p, `setTimeout(() => { console.error("deliberate"); undefined.x }), true`)
	eval[bool](p, `fetch("http://192.0.2.1/").catch(() => 0), true`)

	wants := []string{
		"Applying inline style violates", "status 404 of " + site.URL + "/icon", "console.error: \"deliberate\"",
		"exception: Uncaught TypeError", "issue ContentSecurityPolicyIssue", "192.0.2.1",
	}
	for _, want := range wants {
		wait(t, "a report of "+want, func() error {
			p.mu.Lock()
			defer p.mu.Unlock()
			if all := strings.Join(p.problems, "\n"); !strings.Contains(all, want) {
				return fmt.Errorf("got:\n%s", all)
			}
			return nil
		})
	}
	p.mu.Lock()
	p.problems = nil
	p.mu.Unlock()
	p.allow("")
}
