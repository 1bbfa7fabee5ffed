package command

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/coder/websocket"

	"example.com/wsecho/ending"
)

// An explainCommand holds the flags of wsecho explain.
type explainCommand struct {
	Name []string `arg:"" name:"code|kind" help:"One close code, such as 1006, or one kind of ending, such as no-pong, or the two words no pong."`

	JSON bool `group:"result" name:"json" env:"WSECHO_EXPLAIN_JSON" help:"Print JSON."`
}

// Help returns the part of the help between its first line and the flags.
func (*explainCommand) Help() string {
	return `wsecho explain prints the meaning of a close code or a kind of ending. It names the side that may send it, its usual causes, and what to check. The kinds are those of the log, of wsecho probe and of package ending.

The exit code is 2 if there is no such code or kind. Each flag has an environment variable: --json is WSECHO_EXPLAIN_JSON.`
}

// An explanation is the JSON of wsecho explain.
type explanation struct {
	Kind    string `json:"kind,omitempty"`
	Code    *int   `json:"code,omitempty"` // the code, or the one that is sent for the kind
	Name    string `json:"name,omitempty"` // of the code
	By      string `json:"by,omitempty"`   // the side that began the kind
	Meaning string `json:"meaning"`
	Sender  string `json:"sender"`
	Causes  string `json:"causes"`
	Check   string `json:"check"`
}

// Run prints the explanation.
func (f *explainCommand) Run(_ context.Context, out streams, w warnings) error {
	e, title, err := explain(strings.Join(f.Name, " "))
	if err != nil {
		return err
	}
	w.print(out)
	if f.JSON {
		encoder := json.NewEncoder(out.stdout)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", "  ")
		return encoder.Encode(e)
	}
	_, err = fmt.Fprintf(out.stdout, "%s\n\nmeaning  %s\nsent by  %s\ncauses   %s\ncheck    %s\n", title, e.Meaning, e.Sender, e.Causes, e.Check)
	return err
}

// explain returns the explanation of a code or a kind and its title.
func explain(given string) (explanation, string, error) {
	name := strings.NewReplacer("-", " ", "_", " ").Replace(strings.ToLower(strings.TrimSpace(given)))
	if number, err := strconv.Atoi(strings.TrimSpace(given)); err == nil {
		title, text := ending.ExplainCode(websocket.StatusCode(number))
		if title == "" {
			return explanation{}, "", usageError{fmt.Errorf("%d is no close code; the nearest are %s", number, nearestCodes(number))}
		}
		return explanation{Code: &number, Name: title, Meaning: text.Meaning, Sender: text.Sender, Causes: text.Causes, Check: text.Check},
			fmt.Sprintf("%d (%s)", number, title), nil
	}
	for _, k := range ending.Kinds() {
		if spelled(k) != name {
			continue
		}
		text := k.Explain()
		e := explanation{Kind: k.String(), By: k.By().String(), Meaning: text.Meaning, Sender: text.Sender, Causes: text.Causes, Check: text.Check}
		if code := int(k.Code()); code != 0 {
			e.Code = &code
			e.Sender += fmt.Sprintf(" It sends %d.", code)
		}
		return e, k.String(), nil
	}
	return explanation{}, "", hintError{usageError{fmt.Errorf("%q is neither a close code nor a kind of ending; the nearest kinds are %s", given, nearestKinds(name))},
		"give one close code, from 0 to 65535, or one kind of docs/endings.md"}
}

// spelled returns the name of a kind as explain reads it.
func spelled(k ending.Kind) string { return strings.ReplaceAll(k.String(), "-", " ") }

// nearestKinds returns the names of the three kinds that are most like a name.
func nearestKinds(name string) string {
	kinds := ending.Kinds()
	slices.SortStableFunc(kinds, func(a, b ending.Kind) int { return cmp.Compare(edits(name, spelled(a)), edits(name, spelled(b))) })
	return fmt.Sprintf("%q, %q and %q", kinds[0], kinds[1], kinds[2])
}

// nearestCodes returns the codes of [ending.Codes] that are nearest to a number.
func nearestCodes(number int) string {
	codes := ending.Codes()
	if number < int(codes[0]) {
		return fmt.Sprintf("%d and %d", codes[0], codes[1])
	}
	return fmt.Sprintf("%d and those for applications, 4000 to 4999", codes[len(codes)-1])
}
