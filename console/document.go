package console

import (
	"fmt"

	"github.com/coder/websocket"

	"example.com/wsecho/ending"
)

// A document is data.json: the Options, and the texts of package ending. So the page
// explains an ending as wsecho explain does.
type document struct {
	Endpoint string  `json:"endpoint"`
	Watch    bool    `json:"watch"`
	Faults   []fault `json:"faults"`
	Codes    []text  `json:"codes"`
	Ranges   []text  `json:"ranges"`
	Kinds    []text  `json:"kinds"`
}

type fault struct {
	Name    string `json:"name"`
	Example string `json:"example"`
	Valid   string `json:"valid"`
	Effect  string `json:"effect"`
}

// A text is the explanation of a close code, of a range of codes, or of a kind.
type text struct {
	From    int    `json:"from,omitzero"` // the code, or the first of a range
	To      int    `json:"to,omitzero"`   // the last code of a range
	Kind    string `json:"kind,omitempty"`
	By      string `json:"by,omitempty"`
	Name    string `json:"name,omitempty"`
	Meaning string `json:"meaning"`
	Sender  string `json:"sender"`
	Causes  string `json:"causes"`
	Check   string `json:"check"`
}

func newText(name string, e ending.Explanation) text {
	return text{Name: name, Meaning: e.Meaning, Sender: e.Sender, Causes: e.Causes, Check: e.Check}
}

func newDocument(o Options) document {
	d := document{Endpoint: o.Endpoint, Watch: o.Watch, Faults: []fault{}}
	for _, f := range o.Faults {
		d.Faults = append(d.Faults, fault(f))
	}
	for _, code := range ending.Codes() {
		name, e := ending.ExplainCode(code)
		t := newText(name, e)
		t.From = int(code)
		d.Codes = append(d.Codes, t)
	}
	d.Ranges = ranges()
	for _, k := range ending.Kinds() {
		t := newText("", k.Explain())
		t.Kind, t.By = k.String(), k.By().String()
		if code := k.Code(); code != 0 {
			t.From = int(code)
			t.Sender += fmt.Sprintf(" It sends %d.", code)
		}
		d.Kinds = append(d.Kinds, t)
	}
	return d
}

// ranges returns the explanations of the codes outside of ending.Codes.
func ranges() []text {
	named := make(map[websocket.StatusCode]bool)
	for _, code := range ending.Codes() {
		named[code] = true
	}
	var all []text
	for code := websocket.StatusCode(0); ; code++ {
		name, e := ending.ExplainCode(code)
		if name == "" {
			return all
		}
		if named[code] {
			continue
		}
		t := newText(name, e)
		if n := len(all); n > 0 && all[n-1].Meaning == t.Meaning {
			all[n-1].To = int(code)
			continue
		}
		t.From, t.To = int(code), int(code)
		all = append(all, t)
	}
}
