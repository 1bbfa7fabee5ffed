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

// stepTimeout is the longest time that a required event may take.
const stepTimeout = 10 * time.Second

// An expectation is the expected result of both sides in a scenario.
type expectation struct {
	gorilla int              // the code in gorilla's CloseError; 0: another error
	kind    ending.Kind      // ours
	code    coder.StatusCode // ours; 0: the default of the kind

	// verdict is the reason why Gone must differ from gorilla's check. Empty: it does not.
	verdict string
	// codes is the reason why only the code differs. Empty: it does not differ.
	codes string
}

// gorillaGone is the expected result of gorilla's check.
func (e expectation) gorillaGone() bool { return e.gorilla == 1001 || e.gorilla == 1006 }

// gone is the expected result of ending.Gone.
func (e expectation) gone() bool { return e.gorillaGone() != (e.verdict != "") }

func (e expectation) wantCode() coder.StatusCode {
	if e.code != 0 {
		return e.code
	}
	return e.kind.Code()
}

// sameCode returns the code that gorilla reports if its result agrees with ours.
func (e expectation) sameCode() int {
	switch e.kind {
	case ending.Normal, ending.GoingAway, ending.PeerCode:
		return int(e.code)
	case ending.Abnormal:
		return gorilla.CloseAbnormalClosure
	}
	return 0
}

// check checks the table itself: a scenario has a reason exactly if the sides differ.
func (e expectation) check(t *testing.T) {
	t.Helper()
	switch differ := e.sameCode() != e.gorilla; {
	case differ && e.verdict == "" && e.codes == "":
		t.Errorf("gorilla's code %d is not that of %v %d, want a reason", e.gorilla, e.kind, e.code)
	case !differ && e.codes != "":
		t.Errorf("the codes are the same, but there is a reason: %q", e.codes)
	case e.verdict != "" && e.codes != "":
		t.Error("verdict and codes are both set, want one")
	}
}

// remark describes e in the table.
func (e expectation) remark() string {
	if e.verdict != "" {
		return differs + e.verdict
	}
	return e.codes
}

const differs = "DIFFERS: "

// gorillaVerdict returns the result of gorilla's check for 1001 and 1006, and the code of
// the error.
func gorillaVerdict(err error) (gone bool, code int) {
	var e *gorilla.CloseError
	if errors.As(err, &e) {
		code = e.Code
	}
	return gorilla.IsCloseError(err, gorilla.CloseGoingAway, gorilla.CloseAbnormalClosure), code
}

// checkGorilla compares the error of gorilla's read with the expectation.
func (e expectation) checkGorilla(t *testing.T, err error) {
	t.Helper()
	gone, code := gorillaVerdict(err)
	if code != e.gorilla {
		t.Errorf("gorilla: code %d of %v, want %d", code, err, e.gorilla)
	}
	if gone != e.gorillaGone() {
		t.Errorf("gorilla: IsCloseError(%v, 1001, 1006) is %v, want %v", err, gone, e.gorillaGone())
	}
}

// checkGone compares the result of Gone for the error of our read.
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

// checkMessages checks that no truncated message was returned as a whole one.
func checkMessages(t *testing.T, side string, messages []string) {
	t.Helper()
	for _, m := range messages {
		if !strings.HasPrefix(m, "whole") {
			t.Errorf("%s: a truncated message was returned as a whole one: %.20q", side, m)
		}
	}
}

// A table is the output of go test -v at the end.
type table struct {
	mu   sync.Mutex
	rows []string
}

// newTable returns a table of n rows. The test logs it when t and its subtests end.
func newTable(t *testing.T, n int) *table {
	tab := &table{rows: make([]string, n)}
	t.Cleanup(func() {
		var b strings.Builder
		w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "scenario\tgorilla\tgone?\tours: gone?\tkind\tcode\tremark")
		played, differ := 0, 0
		for _, row := range tab.rows {
			if row != "" {
				played++
				fmt.Fprintln(w, row)
			}
			if strings.Contains(row, differs) {
				differ++
			}
		}
		w.Flush()
		t.Logf("%d scenarios, %d differ from gorilla\n%s", played, differ, b.String())
	})
	return tab
}

func (tab *table) set(i int, name string, gorillaErr error, gone bool, end ending.Ending, remark string) {
	theirs, code := gorillaVerdict(gorillaErr)
	tab.mu.Lock()
	defer tab.mu.Unlock()
	tab.rows[i] = fmt.Sprintf("%s\t%d\t%v\t%v\t%v\t%d\t%s", name, code, theirs, gone, end.Kind, end.Code, remark)
}
