package browser

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/dom"
	"github.com/chromedp/chromedp/kb"
)

const messages = "Messages, oldest first" // the name of the list

// send types a message and clicks Send.
func (p *tab) send(text string) {
	p.t.Helper()
	p.find("textbox", "Message to send").fill(text)
	p.find("button", "Send").click()
}

// TestEcho checks that a message comes back and that the page shows its type, its size and
// its round-trip time.
func TestEcho(t *testing.T) {
	t.Parallel()
	p := open(t, serve(t))
	p.connect()
	p.send("first")
	list := p.find("listbox", messages)
	list.shows("first", "5 B")
	p.find("radio", "JSON").click()
	p.send(`{"b":[1,2],"a":"x"}`)
	list.shows(`"b"`)
	p.find("radio", "Hex").click()
	p.send("00 ff 7f")
	list.shows("3 B")
	p.find("searchbox", "Filter").fill("first")
	wait(t, "the filter to hide the other messages", func() error {
		if got := list.text(); strings.Contains(got, "3 B") || !strings.Contains(got, "first") {
			return fmt.Errorf("got: %s", got)
		}
		return nil
	})
}

// TestBinaryFile checks that the bytes of a file reach the server, and come back as they were.
func TestBinaryFile(t *testing.T) {
	t.Parallel()
	var content []byte
	for i := range 256 {
		content = append(content, byte(i))
	}
	file := filepath.Join(t.TempDir(), "all bytes.bin")
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	s := serve(t, "--log-messages", "--log-format=json")
	p := open(t, s)
	p.connect()
	p.find("radio", "File").click()
	field := p.find("button", "File, sent as one binary message")
	call(p, dom.SetFileInputFiles, dom.SetFileInputFilesParams{Files: []string{file}, BackendNodeID: field.node})
	p.find("button", "Send").click()
	p.find("listbox", messages).shows("binary", "256 B")
	var line struct{ Base64 string }
	if err := json.Unmarshal([]byte(s.printed(`(\{.*"msg":"message".*\})`)), &line); err != nil {
		t.Fatal(err)
	}
	if got, err := base64.StdEncoding.DecodeString(line.Base64); err != nil || string(got) != string(content) {
		t.Errorf("the server received % x, %v", got, err)
	}
	p.find("listbox", messages).focus()
	p.keys(kb.End)
	p.byID("detail").shows("00 01 02 03", "fc fd fe ff")
}

// byID returns an element that has no role.
func (p *tab) byID(id string) element {
	p.t.Helper()
	document := call(p, dom.GetDocument, dom.GetDocumentParams{})
	found := call(p, dom.QuerySelector, dom.QuerySelectorParams{NodeID: document.Root.NodeID, Selector: "#" + id})
	if found.NodeID == 0 {
		p.t.Fatalf("no element %s", id)
	}
	resolved := call(p, dom.ResolveNode, dom.ResolveNodeParams{NodeID: found.NodeID})
	return element{p: p, role: "element", name: id, object: resolved.Object.ObjectID}
}
