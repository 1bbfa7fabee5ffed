package browser

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// TestToolbar checks the buttons of the list of messages.
func TestToolbar(t *testing.T) {
	t.Parallel()
	p := open(t, serve(t))
	folder := t.TempDir()
	call(p, browser.SetDownloadBehavior, browser.SetDownloadBehaviorParams{
		Behavior: browser.SetDownloadBehaviorBehaviorAllow, DownloadPath: folder,
		BrowserContextID: chromedp.FromContext(p.ctx).BrowserContextID,
	})
	p.connect()
	p.send("kept")
	p.echoed()
	list := p.find("listbox", messages)

	p.find("button", "Pause").click()
	p.send("while paused")
	p.byID("stats").shows("received, 16 B")
	if strings.Contains(list.text(), "while paused") {
		t.Error("the paused list shows a new message")
	}
	p.find("button", "Pause").click()
	list.shows("while paused")

	p.find("combobox", "Show").choose("received")
	wait(t, "received messages only", func() error {
		if got := list.text(); strings.Contains(got, "sent") || !strings.Contains(got, "received") {
			return fmt.Errorf("got: %s", got)
		}
		return nil
	})
	p.find("button", "Download").click()
	p.checkDownload(folder)

	list.focus()
	p.keys(kb.End)
	p.byID("detail").shows("while paused")
	p.find("region", "Talk").find("button", "Copy").click()
	p.byID("announce").shows("Copied.")
	field := p.find("textbox", "Message to send")
	field.fill("pasted: ")
	paste := kb.Encode('v')[0]
	paste.Modifiers, paste.Commands = int64(kb.ModifierCtrl), []string{"paste"}
	call(p, input.DispatchKeyEvent, *paste)
	if got := field.value(); got != "pasted: while paused" {
		t.Errorf("got %q from the clipboard", got)
	}

	p.find("button", "Clear").click()
	p.byID("count").shows("0 shown")
	if got := list.text(); got != "" {
		t.Errorf("the cleared list shows %s", got)
	}
}

// checkDownload checks the file with the two received messages.
func (p *tab) checkDownload(folder string) {
	p.t.Helper()
	var lines []string
	wait(p.t, "the file", func() error {
		files, err := filepath.Glob(filepath.Join(folder, "wsecho-*.jsonl"))
		if err != nil || len(files) != 1 {
			return fmt.Errorf("got %q, %v", files, err)
		}
		text, err := os.ReadFile(files[0])
		if err != nil {
			return err
		}
		if lines = strings.Split(strings.TrimSpace(string(text)), "\n"); len(lines) != 2 {
			return fmt.Errorf("got %q", text)
		}
		return nil
	})
	var message struct {
		Direction, Type, Text string
		Size                  int
		RTT                   float64 `json:"rtt_ms"`
	}
	if err := json.Unmarshal([]byte(lines[1]), &message); err != nil {
		p.t.Fatalf("%s: %v", lines[1], err)
	}
	if message.Direction != "in" || message.Type != "text" || message.Text != "while paused" || message.Size != 12 || message.RTT <= 0 {
		p.t.Errorf("got the line %s", lines[1])
	}
}
