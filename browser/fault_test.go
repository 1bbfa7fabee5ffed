package browser

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/coder/websocket"

	"example.com/wsecho/fault"
)

// A faultCase is a query of the form and what the page shows of it.
type faultCase struct {
	query string
	code  websocket.StatusCode // of the ending; 0: echoes come, until the page closes with 1000
	shows []string             // parts of the ending, or of the list of messages
	sends int                  // messages before the ending
}

var faultCases = []faultCase{
	{query: "close=4001&reason=bye%20now", code: 4001, shows: []string{"bye now", "peer code", "the server began"}},
	{query: "close=1011", code: 1011, shows: []string{"internal error"}},
	{query: "drop=fin", code: 1006, shows: []string{"abnormal"}},
	{query: "drop=rst", code: 1006, shows: []string{"abnormal"}},
	{query: "truncate=1", code: 1006, shows: []string{"abnormal"}},
	{query: "garbage=1", code: 1006, shows: []string{"abnormal"}},
	{query: "utf8=bad", code: 1006, shows: []string{"abnormal"}},
	{query: "close=4002&after=2", code: 4002, sends: 2},
	{query: "delay=50ms&jitter=20ms"},
	{query: "pong=off"}, // a browser sends no pings
	{query: "read=slow:1KiB/s"},
	{query: "write=slow:1KiB/s"},
	{query: "fragment=2"},
	{query: "mask=1", code: 1006, shows: []string{"abnormal"}, sends: 1},
	{query: "status=503", code: 1006, shows: []string{"never opened"}},
	{query: "hold=200ms"},
	{query: "accept=wrong", code: 1006, shows: []string{"never opened"}},
	{query: "hello=1", shows: []string{`"server"`}},
	{query: "ping=100ms"},
	{query: "send=3&every=10ms", shows: []string{"message 3 of 3"}},
}

// TestFaults fills the form for each fault and checks the URL that it writes, and the ending
// of the connection.
func TestFaults(t *testing.T) {
	t.Parallel()
	s := serve(t)
	p := open(t, s)
	p.allow(`WebSocket connection to '[^']*[?&](garbage|utf8|mask|status|accept)=[^']*' failed`)
	form := p.find("region", "Faults")
	address := form.find("textbox", "URL of the test")
	reset, clear, connect := form.find("button", "Reset"), p.find("button", "Clear"), form.find("button", "Connect with faults")
	lists := p.names("combobox")
	for _, c := range faultCases {
		t.Log(c.query) // the last one is that of a failure
		reset.click()
		clear.click()
		eval[bool](p, `document.getElementById("ending").replaceChildren(), true`)
		for pair := range strings.SplitSeq(c.query, "&") {
			name, value, _ := strings.Cut(pair, "=")
			value, _ = url.PathUnescape(value) // the table has valid escapes
			if slices.Contains(lists, name) {
				form.find("combobox", name).choose(value)
			} else {
				form.find("textbox", name).fill(value)
			}
		}
		if got, want := address.value(), "ws://"+s.addr+"/?"+c.query; got != want {
			t.Errorf("the form writes %s, want %s", got, want)
			continue
		}
		connect.click()
		p.checkFault(c)
		if !slices.Contains(c.shows, "never opened") {
			logged := strings.ReplaceAll(c.query, "&reason=bye%20now", "") // the log has its own field for it
			s.logged(`(fault="` + regexp.QuoteMeta(logged) + `")`)
		}
	}
	shown := eval[[]string](p, `[...document.querySelectorAll("#fault-fields label")].map(e => e.textContent)`)
	for i, parameter := range fault.Parameters() {
		if i >= len(shown) || shown[i] != parameter.Name {
			t.Fatalf("the form has the fields %q, and no %s at %d", shown, parameter.Name, i+1)
		}
		if !slices.ContainsFunc(faultCases, func(c faultCase) bool { return strings.Contains("&"+c.query, "&"+parameter.Name+"=") }) {
			t.Errorf("no case has the fault %s", parameter.Name)
		}
	}
}

// checkFault checks what the page shows of a connection with a fault.
func (p *tab) checkFault(c faultCase) {
	p.t.Helper()
	list := p.find("listbox", messages)
	if c.code == 0 {
		p.state("connected")
		p.send("hello")
		list.shows(append(c.shows, "received", "5 B", "hello")...)
		p.find("button", "Close").click()
		p.ended(websocket.StatusNormalClosure, "this page began")
		return
	}
	for range c.sends {
		p.state("connected")
		p.send("hello")
	}
	p.ended(c.code, c.shows...)
}

// TestWrongFault checks that the form says which values are right, and connects with none
// that is wrong. It uses the keyboard only.
func TestWrongFault(t *testing.T) {
	t.Parallel()
	s := serve(t)
	p := open(t, s)
	p.find("link", "Faults").focus()
	p.keys(kb.Enter)
	p.tabTo("textbox close")
	p.keys("999")
	form := p.find("region", "Faults")
	form.shows("close is wrong; right is a close code")
	p.keys(kb.Enter)
	if !apply[bool](form.find("button", "Connect with faults"), "function() { return this.disabled }") {
		t.Error("the form connects with a wrong value")
	}
	p.do(chromedp.KeyEvent("a", chromedp.KeyModifiers(kb.ModifierCtrl)))
	p.keys("4999" + kb.Enter)
	p.ended(4999)
	if got, want := p.requested(), "ws://"+s.addr+"/?close=4999"; got[len(got)-1] != want || slices.Contains(got, "ws://"+s.addr+"/?close=999") {
		t.Errorf("got the requests %q, want the last one %s", got, want)
	}
}

// TestStalledRead checks that the page waits for an echo that never comes, until the drain
// of the server.
func TestStalledRead(t *testing.T) {
	t.Parallel()
	s := serve(t)
	p := open(t, s)
	form := p.find("region", "Faults")
	form.find("textbox", "read").fill("stall")
	form.find("button", "Connect with faults").click()
	p.state("connected")
	p.find("button", "Send").click()
	p.byID("stats").shows("sent, 5 B")
	s.stop()
	p.ended(websocket.StatusGoingAway, "the server began")
	p.byID("stats").shows("received, 0 B")
	s.logged(`kind=(drained) .*fault="read=stall"`)
}
