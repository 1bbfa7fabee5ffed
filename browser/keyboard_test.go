package browser

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// focused returns the role and the name of the element that has the focus.
func (p *tab) focused() string {
	p.t.Helper()
	active := call(p, runtime.Evaluate, runtime.EvaluateParams{Expression: "document.activeElement"})
	found := call(p, accessibility.GetPartialAXTree, accessibility.GetPartialAXTreeParams{
		ObjectID: active.Result.ObjectID, FetchRelatives: ptr(false),
	})
	n := found.Nodes[0]
	var role string
	_ = json.Unmarshal(n.Role.Value, &role) // it is a string
	return role + " " + nameOf(n)
}

// tabTo presses Tab until the element with this role and name has the focus.
func (p *tab) tabTo(want string) {
	p.t.Helper()
	var passed []string
	for range 100 {
		p.keys(kb.Tab)
		got := p.focused()
		if got == want {
			return
		}
		passed = append(passed, got)
	}
	p.t.Fatalf("Tab does not reach %q, but %q", want, passed)
}

// TestTabOrder checks that Tab reaches each control once, in the order of the page, and that
// the focus is visible.
func TestTabOrder(t *testing.T) {
	t.Parallel()
	p := open(t, serve(t))
	p.connect()
	p.send("hello")
	p.find("listbox", messages).shows("hello")

	const describe = `(e => e.tagName + "#" + e.id + " " + (e.getAttribute("aria-label") ?? e.textContent.trim()).slice(0, 30))`
	wants := eval[[]string](p, `(() => {
		const all = [...document.querySelectorAll("a[href], button, input, select, textarea, summary, [tabindex='0']")];
		return all.filter(e => !e.disabled && e.checkVisibility({visibilityProperty: true}) && e.tabIndex >= 0 && !(e.type === "radio" && !e.checked)).map(`+describe+`);
	})()`)
	var got []string
	p.keys(kb.Tab) // from here on, the page shows the focus
	p.find("link", "Skip to the page").focus()
	for range 2 * len(wants) {
		if eval[bool](p, `document.activeElement === document.body`) {
			break
		}
		got = append(got, eval[string](p, describe+`(document.activeElement)`))
		if p.focused() == "" {
			t.Errorf("%s has no role or no name", got[len(got)-1])
		}
		visible := eval[bool](p, `(() => {
			const style = getComputedStyle(document.activeElement);
			return style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2 || style.boxShadow !== "none";
		})()`)
		if !visible {
			t.Errorf("the focus on %s is not visible", got[len(got)-1])
		}
		p.keys(kb.Tab)
	}
	if !slices.Equal(got, wants) {
		t.Errorf("Tab reaches\n%q,\nwant the order of the page\n%q", got, wants)
	}
}

// TestKeyboard checks that no part of a conversation needs a mouse.
func TestKeyboard(t *testing.T) {
	t.Parallel()
	s := serve(t)
	p := open(t, s)
	p.tabTo("link Skip to the page")
	p.keys(kb.Enter)
	p.tabTo("textbox URL")
	p.keys(kb.Enter) // submits the form
	p.state("connected")
	p.tabTo("textbox Message to send")
	p.do(chromedp.KeyEvent("a", chromedp.KeyModifiers(kb.ModifierCtrl)))
	p.keys("typed by hand")
	p.do(chromedp.KeyEvent(kb.Enter, chromedp.KeyModifiers(kb.ModifierCtrl)))
	p.find("listbox", messages).shows("typed by hand")
	p.tabTo("listbox " + messages)
	p.keys(kb.End)
	p.byID("detail").shows("typed by hand")
	p.find("link", "Skip to the page").focus()
	p.tabTo("button Close")
	p.keys(kb.Enter)
	p.byID("ending").shows("1000")
	s.logged(`kind=(normal)`)
}
