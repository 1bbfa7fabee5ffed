package browser

import (
	"fmt"
	"strings"
)

// state waits until the page shows this state of the connection.
func (p *tab) state(want string) {
	p.t.Helper()
	wait(p.t, "the state "+want, func() error {
		if got := eval[string](p, `document.getElementById("status").textContent`); got != want {
			return fmt.Errorf("got %q", got)
		}
		return nil
	})
}

// connect clicks Connect and waits until the connection is open.
func (p *tab) connect() {
	p.t.Helper()
	p.find("region", "Talk").find("button", "Connect").click()
	p.state("connected")
}

// checkWidth fails the test if the page is wider than its window.
func (p *tab) checkWidth() {
	p.t.Helper()
	if over := eval[int](p, `document.documentElement.scrollWidth - document.documentElement.clientWidth`); over > 0 {
		widest := eval[string](p, `[...document.querySelectorAll("body *")].filter(e => e.getBoundingClientRect().right > innerWidth + 1).map(e => e.outerHTML.slice(0, 80)).slice(0, 5).join("\n")`)
		p.t.Errorf("the page is %d pixels wider than its window:\n%s", over, widest)
	}
}

// echoed waits until the newest message has come back.
func (p *tab) echoed() {
	p.t.Helper()
	list := p.find("listbox", messages)
	wait(p.t, "an echo", func() error {
		rows := p.query(list.object, "option", "")
		if n := len(rows); n == 0 || !strings.Contains(nameOf(rows[n-1]), "received") {
			return fmt.Errorf("got %d rows, the last is no received message", n)
		}
		return nil
	})
}
