package browser

import (
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/coder/websocket"
)

// TestRestored checks that the page does what its controls show after a browser has restored
// them, which causes no event.
func TestRestored(t *testing.T) {
	t.Parallel()
	p := open(t, serve(t))
	p.find("checkbox", "Reconnect").click()
	p.find("combobox", "Show").choose("sent")
	p.find("radio", "Hex").focus()
	p.keys(kb.ArrowRight)
	p.navigate("about:blank")
	p.do(chromedp.NavigateBack())
	p.ready()

	p.find("button", "File, sent as one binary message")
	p.find("radio", "Text").click()
	p.find("button", "Drop").click()
	p.ended(websocket.StatusAbnormalClosure)
	p.state("connected") // again
	p.send("hello")
	p.byID("stats").shows("received, 5 B")
	p.byID("count").shows("1 shown")
}
