package browser

import (
	"strconv"
	"testing"

	"github.com/chromedp/chromedp/kb"
	"github.com/coder/websocket"

	"example.com/wsecho/ending"
)

// ended waits until the page shows this ending, in the words of wsecho explain.
func (p *tab) ended(code websocket.StatusCode, texts ...string) {
	p.t.Helper()
	name, why := ending.ExplainCode(code)
	p.byID("ending").shows(append(texts, strconv.Itoa(int(code)), name, why.Meaning, why.Causes)...)
}

// TestClose checks that the page sends the code and the reason of its form. A code that no
// page may send prevents a close only.
func TestClose(t *testing.T) {
	t.Parallel()
	s := serve(t)
	p := open(t, s)
	code := p.find("spinbutton", "Close code")
	code.fill("42")
	p.connect()
	p.find("button", "Close").click()
	p.byID("url-hint").shows("A page may close with 1000 or with 3000 to 4999")
	code.fill("4001")
	p.find("textbox", "Reason").fill("bye now")
	p.keys(kb.Enter)
	p.byID("ending").shows("4001", "bye now")
	s.logged(`kind="peer code".* code=(4001) reason="bye now"`)
}

// TestDrain checks that the page explains the close code of a server that shuts down.
func TestDrain(t *testing.T) {
	t.Parallel()
	s := serve(t)
	p := open(t, s)
	p.connect()
	s.stop()
	p.ended(websocket.StatusGoingAway)
	s.logged(`kind=(drained)`)
}

// TestDrop checks that the page explains a connection that ends without a close frame. It
// opens none without a URL.
func TestDrop(t *testing.T) {
	t.Parallel()
	s := serve(t)
	p := open(t, s)
	address := p.find("textbox", "URL")
	proposed := address.value()
	address.fill(" ")
	p.find("button", "Drop").click()
	p.byID("url-hint").shows("Enter a URL")
	p.state("not connected")
	address.fill(proposed)
	p.find("button", "Drop").click()
	p.ended(websocket.StatusAbnormalClosure)
	s.logged(`fault="(drop=rst)`)
}

// TestReconnect checks that the page connects again after the server has restarted, and that
// it shows the attempts.
func TestReconnect(t *testing.T) {
	t.Parallel()
	s := serve(t)
	p := open(t, s)
	p.find("checkbox", "Reconnect").click()
	p.connect()
	p.send("before")
	p.find("listbox", messages).shows("before")
	p.allow(`WebSocket connection to '[^']*' failed`) // an attempt during the restart
	s.stop()
	p.ended(websocket.StatusGoingAway)
	again := serveOn(t, s.addr)
	p.state("connected")
	p.send("after the restart")
	p.find("listbox", messages).shows("after the restart")
	p.find("button", "Close").click()
	again.logged(`kind=(normal)`)
	p.state("ended with 1000")
	p.find("list", "States of the connection, newest first").shows("open", "ended", "waiting", "attempt 2 in", "closing")
}
