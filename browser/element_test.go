package browser

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/dom"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// An element is a node of the page, as assistive technology names it.
type element struct {
	p          *tab
	role, name string
	node       cdp.BackendNodeID
	object     runtime.RemoteObjectID
}

func (e element) String() string { return fmt.Sprintf("%s %q", e.role, e.name) }

// find waits until exactly one node has the role and the name, and returns it.
func (p *tab) find(role, name string) element {
	p.t.Helper()
	document := call(p, runtime.Evaluate, runtime.EvaluateParams{Expression: "document"})
	return element{p: p, object: document.Result.ObjectID}.find(role, name)
}

// find is find below the element.
func (e element) find(role, name string) element {
	p, within := e.p, e.object
	p.t.Helper()
	wait(p.t, fmt.Sprintf("one %s %q", role, name), func() error {
		nodes := p.query(within, role, name)
		if len(nodes) != 1 {
			return fmt.Errorf("got %d; the names of all: %q", len(nodes), p.names(role))
		}
		e = element{p: p, role: role, name: name, node: nodes[0].BackendDOMNodeID}
		return nil
	})
	resolved := call(p, dom.ResolveNode, dom.ResolveNodeParams{BackendNodeID: e.node})
	e.object = resolved.Object.ObjectID
	return e
}

// query returns the nodes below an object with this role and name that assistive technology
// can reach. An empty name means any name.
func (p *tab) query(within runtime.RemoteObjectID, role, name string) []*accessibility.Node {
	p.t.Helper()
	// The query for a name does not find labels of files.
	found := call(p, accessibility.QueryAXTree, accessibility.QueryAXTreeParams{ObjectID: within, Role: role})
	return slices.DeleteFunc(found.Nodes, func(n *accessibility.Node) bool {
		return n.Ignored || name != "" && nameOf(n) != name
	})
}

// nameOf returns the accessible name of a node.
func nameOf(n *accessibility.Node) string {
	var name string
	if n.Name != nil {
		_ = json.Unmarshal(n.Name.Value, &name) // it is a string or absent
	}
	return strings.TrimSpace(name)
}

// names returns the names of all nodes with this role.
func (p *tab) names(role string) []string {
	p.t.Helper()
	document := call(p, runtime.Evaluate, runtime.EvaluateParams{Expression: "document"})
	var names []string
	for _, n := range p.query(document.Result.ObjectID, role, "") {
		names = append(names, nameOf(n))
	}
	return names
}

func ptr[T any](v T) *T { return &v }

// apply calls a JavaScript function with the element as this.
func apply[T any](e element, function string) T {
	e.p.t.Helper()
	result := call(e.p, runtime.CallFunctionOn, runtime.CallFunctionOnParams{
		FunctionDeclaration: function, ObjectID: e.object, ReturnByValue: ptr(true), AwaitPromise: ptr(true),
	})
	if result.ExceptionDetails != nil {
		e.p.t.Fatalf("%v: %s: %s %s", e, function, result.ExceptionDetails.Text, describe(result.ExceptionDetails.Exception))
	}
	var value T
	if err := json.Unmarshal(result.Result.Value, &value); err != nil {
		e.p.t.Fatalf("%v: %s returned %s: %v", e, function, result.Result.Value, err)
	}
	return value
}

// text returns what the element shows.
func (e element) text() string {
	e.p.t.Helper()
	return apply[string](e, "function() { return this.innerText }")
}

// value returns the value of a field.
func (e element) value() string {
	e.p.t.Helper()
	return apply[string](e, "function() { return this.value }")
}

// shows waits until the element shows all these texts.
func (e element) shows(texts ...string) {
	e.p.t.Helper()
	wait(e.p.t, fmt.Sprintf("%v with %q", e, texts), func() error {
		got := e.text()
		for _, want := range texts {
			if !strings.Contains(got, want) {
				return fmt.Errorf("no %q in: %s", want, got)
			}
		}
		return nil
	})
}

// click moves the mouse to the element and clicks. It fails the test if something covers
// the element or if it is disabled.
func (e element) click() {
	e.p.t.Helper()
	type place struct {
		X, Y     float64
		OK       bool
		Instead  string
		Disabled bool
	}
	var at place
	wait(e.p.t, fmt.Sprintf("%v to be clickable", e), func() error {
		at = apply[place](e, `async function() {
			this.scrollIntoView({block: "center", behavior: "instant"});
			let box = this.getBoundingClientRect(), before;
			do { // until it does not move
				before = box;
				await new Promise(next => requestAnimationFrame(next));
				box = this.getBoundingClientRect();
			} while (box.x !== before.x || box.y !== before.y);
			const X = box.x + box.width / 2, Y = box.y + box.height / 2;
			const top = document.elementFromPoint(X, Y);
			const OK = top !== null && (this.contains(top) || top.contains(this) && top.matches("label"));
			return {X, Y, OK, Instead: top ? top.outerHTML.slice(0, 100) : "nothing", Disabled: !!this.disabled};
		}`)
		if !at.OK || at.Disabled {
			return fmt.Errorf("disabled: %t, at its middle is %s", at.Disabled, at.Instead)
		}
		return nil
	})
	e.p.do(chromedp.MouseClickXY(at.X, at.Y))
}

// fill replaces the text of a field, as a user does who selects all and pastes.
func (e element) fill(text string) {
	e.p.t.Helper()
	e.focus()
	e.p.do(chromedp.KeyEvent("a", chromedp.KeyModifiers(kb.ModifierCtrl)))
	call(e.p, input.InsertText, input.InsertTextParams{Text: text})
}

// focus focuses the element.
func (e element) focus() {
	e.p.t.Helper()
	call(e.p, dom.Focus, dom.FocusParams{BackendNodeID: e.node})
}

// choose selects an option of a list by its first letters, as a user does.
func (e element) choose(option string) {
	e.p.t.Helper()
	e.focus()
	e.p.keys(option)
	if got := apply[string](e, "function() { return this.selectedOptions[0].text }"); got != option {
		e.p.t.Fatalf("%v is %q, want %q", e, got, option)
	}
}

// keys types on the element that has the focus. kb has the names of keys such as Tab.
func (p *tab) keys(keys string) {
	p.t.Helper()
	p.do(chromedp.KeyEvent(keys))
}

func (p *tab) do(action chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, waitLimit)
	defer cancel()
	if err := chromedp.Do(ctx, action); err != nil {
		p.t.Fatal(err)
	}
}
