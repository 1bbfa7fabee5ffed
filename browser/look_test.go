package browser

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/chromedp/chromedp/kb"
	"github.com/coder/websocket"
)

// looks are ways to show the page that users choose.
var looks = map[string][]func(*tab){
	"light": {light, func(p *tab) { p.size(1280, 1000, false) }},
	"dark":  {dark, func(p *tab) { p.size(1280, 1000, false) }},
	"phone": {light, phone},
	"wide":  {still, func(p *tab) { p.size(1920, 1000, false) }},
}

func light(p *tab) { p.media("prefers-color-scheme", "light") }
func dark(p *tab)  { p.media("prefers-color-scheme", "dark") }
func still(p *tab) { p.media("prefers-color-scheme", "dark", "prefers-reduced-motion", "reduce") }
func phone(p *tab) { p.size(390, 844, true) }

// TestLooks checks in each look that axe-core finds nothing, and that the page is not wider
// than its window. The page requests nothing but itself and the WebSocket.
func TestLooks(t *testing.T) {
	t.Parallel()
	for name, look := range looks {
		t.Run(name, func(t *testing.T) {
			s := serve(t)
			p := open(t, s, look...)
			p.checkAccess("before")
			p.connect()
			if *images != "" {
				p.fillPlot()
			}
			p.send("Hello, world! Привет, мир!")
			p.echoed()
			p.find("radio", "Hex").click()
			p.send("de ad be ef 00 01 02 03")
			p.echoed()
			p.find("radio", "JSON").click()
			p.send(`{"order": 4711, "items": [{"name": "tea", "price": 3.50}], "paid": true}`)
			p.echoed()
			p.find("listbox", messages).focus()
			p.keys(kb.End)
			p.byID("detail").shows(`"order": 4711`, "received")
			if name == "light" || name == "phone" {
				p.keepImage("page-" + name)
			}
			s.stop()
			p.ended(websocket.StatusGoingAway)
			if name == "dark" { // its image has the ending
				p.keepImage("page-" + name)
			}
			p.checkAccess("after")
			p.checkWidth()
			if got := p.requested(); !slices.Contains(got, "ws://"+s.addr+"/") || !slices.Contains(got, s.url()) {
				t.Errorf("the page requested %q, want itself and the WebSocket", got)
			}
			if moves := eval[bool](p, `matchMedia("(prefers-reduced-motion: reduce)").matches && getComputedStyle(document.documentElement).scrollBehavior !== "auto"`); moves {
				t.Error("the page scrolls smoothly, although the user asked for less motion")
			}
		})
	}
}

// TestErrorLooks checks that axe-core finds nothing on the page of the admin listener.
// The page has each error and hint, and pressed buttons.
func TestErrorLooks(t *testing.T) {
	t.Parallel()
	s := serve(t)
	p := newTab(t)
	p.size(1280, 1000, false)
	p.navigate("http://" + s.admin + "/")
	p.find("region", "0 connections are open. 0 have ended.") // the page is ready
	p.connect()
	p.find("button", "Pause").click()
	p.find("radio", "Hex").click()
	p.send("no digits")
	p.byID("input-hint").shows("is no hexadecimal digit")
	form := p.find("region", "Faults")
	form.find("textbox", "close").fill("999")
	form.shows("close is wrong")
	p.find("textbox", "URL").fill("ws://127.0.0.1:1/")
	p.byID("url-hint").shows("--origin=")
	p.allow("ERR_CONNECTION_REFUSED|ERR_INCOMPLETE_CHUNKED_ENCODING|ERR_CONNECTION_RESET") // of the table
	s.stop()
	p.byID("watch-body").shows("The table is out of date")
	p.find("button", "Pause the table").click()
	for name, scheme := range map[string]func(*tab){"light": light, "dark": dark} {
		scheme(p)
		p.checkAccess("errors, " + name)
	}
	p.checkWidth()
}

// fillPlot sends messages for a third of the minute that the plot shows.
func (p *tab) fillPlot() {
	p.t.Helper()
	p.find("combobox", "Repeat").choose("every 100 ms")
	p.send("how long does this take?")
	time.Sleep(20 * time.Second)
	p.find("button", "Stop").click()
	p.find("combobox", "Repeat").choose("once")
}

// top scrolls to the top of the page.
func (p *tab) top() {
	p.t.Helper()
	wait(p.t, "the top of the page", func() error {
		if y := eval[float64](p, `document.activeElement.blur(), scrollTo({top: 0, behavior: "instant"}), scrollY`); y != 0 {
			return fmt.Errorf("it is at %v", y)
		}
		return nil
	})
}
