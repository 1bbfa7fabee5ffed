package endings

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"

	coder "github.com/coder/websocket"
	gorilla "github.com/gorilla/websocket"

	"example.com/wsecho/ending"
)

// patience is how long anything is waited for that must come.
const patience = 10 * time.Second

// An expectation is what both sides must say of a scenario.
type expectation struct {
	gorilla int              // the code in gorilla's close error; 0: its error is none
	kind    ending.Kind      // ours
	code    coder.StatusCode // ours; 0: what the kind has

	// Where Gone must say the opposite of gorilla, the reason why. Empty
	// elsewhere.
	verdict string
	// Where the verdict is the same, but by another code, the reason why. Empty
	// elsewhere.
	codes string
}

// gorillaGone is the verdict of gorilla that is expected.
func (e expectation) gorillaGone() bool { return e.gorilla == 1001 || e.gorilla == 1006 }

// gone is the verdict of ours that is expected.
func (e expectation) gone() bool { return e.gorillaGone() != (e.verdict != "") }

func (e expectation) wantCode() coder.StatusCode {
	if e.code != 0 {
		return e.code
	}
	return e.kind.Code()
}

// alike is the code that gorilla has for an ending which it sees as we do.
func (e expectation) alike() int {
	switch e.kind {
	case ending.Normal, ending.GoingAway, ending.PeerCode:
		return int(e.code)
	case ending.Abnormal:
		return gorilla.CloseAbnormalClosure
	}
	return 0
}

// check looks at the table itself: a reason where there is a difference, and
// only there.
func (e expectation) check(t *testing.T) {
	t.Helper()
	switch differ := e.alike() != e.gorilla; {
	case differ && e.verdict == "" && e.codes == "":
		t.Errorf("gorilla's code %d is not that of %v %d, and no reason is given", e.gorilla, e.kind, e.code)
	case !differ && e.codes != "":
		t.Errorf("another code is explained where it is the same: %q", e.codes)
	case e.verdict != "" && e.codes != "":
		t.Error("both reasons are given")
	}
}

// remark is what there is to say of e in the table.
func (e expectation) remark() string {
	if e.verdict != "" {
		return differs + e.verdict
	}
	return e.codes
}

const differs = "DIFFERS: "

// ofGorilla is the verdict of the popular check, and the code that it saw.
func ofGorilla(err error) (gone bool, code int) {
	var e *gorilla.CloseError
	if errors.As(err, &e) {
		code = e.Code
	}
	return gorilla.IsCloseError(err, gorilla.CloseGoingAway, gorilla.CloseAbnormalClosure), code
}

// checkGorilla compares the error of gorilla's read with what is expected.
func (e expectation) checkGorilla(t *testing.T, err error) {
	t.Helper()
	gone, code := ofGorilla(err)
	if code != e.gorilla {
		t.Errorf("gorilla: code %d of %v, want %d", code, err, e.gorilla)
	}
	if gone != e.gorillaGone() {
		t.Errorf("gorilla: IsCloseError(%v, 1001, 1006) is %v, want %v", err, gone, e.gorillaGone())
	}
}

// checkGone compares the verdict of Gone on the error of our read.
func (e expectation) checkGone(t *testing.T, err error) {
	t.Helper()
	if got := ending.Gone(err); got != e.gone() {
		t.Errorf("Gone(%v) is %v, want %v", err, got, e.gone())
	}
}

// checkEnding compares our ending.
func (e expectation) checkEnding(t *testing.T, end ending.Ending) {
	t.Helper()
	if end.Kind != e.kind || end.Code != e.wantCode() {
		t.Errorf("ending %v %d (%v), want %v %d", end.Kind, end.Code, end.Cause, e.kind, e.wantCode())
	}
}

// checkMessages sees that no part of a message was taken for a whole one.
func checkMessages(t *testing.T, who string, messages []string) {
	t.Helper()
	for _, m := range messages {
		if !strings.HasPrefix(m, "whole") {
			t.Errorf("%s: a message that was cut short came as whole: %.20q", who, m)
		}
	}
}

// A table is what go test -v prints at the end.
type table struct {
	mu   sync.Mutex
	rows []string
}

// newTable returns a table of n rows that is logged when t and its subtests are
// over.
func newTable(t *testing.T, n int) *table {
	tab := &table{rows: make([]string, n)}
	t.Cleanup(func() {
		var b strings.Builder
		w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "scenario\tgorilla\tgone?\tours: gone?\tkind\tcode\tremark")
		seen, differ := 0, 0
		for _, row := range tab.rows {
			if row != "" {
				seen++
				fmt.Fprintln(w, row)
			}
			if strings.Contains(row, differs) {
				differ++
			}
		}
		w.Flush()
		t.Logf("%d scenarios, %d with another verdict than gorilla's\n%s", seen, differ, b.String())
	})
	return tab
}

func (tab *table) set(i int, name string, gorillaErr error, gone bool, end ending.Ending, remark string) {
	theirs, code := ofGorilla(gorillaErr)
	tab.mu.Lock()
	defer tab.mu.Unlock()
	tab.rows[i] = fmt.Sprintf("%s\t%d\t%v\t%v\t%v\t%d\t%s", name, code, theirs, gone, end.Kind, end.Code, remark)
}
