package soak

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// An Outcome is the line in the server's log about an ended connection.
type Outcome struct {
	Kind        string
	By          string
	Code        int
	Reason      string
	Sent        int
	Received    int
	ID          uint64
	Remote      string
	Age         time.Duration
	MessagesIn  int64 `json:"messages_in"`
	MessagesOut int64 `json:"messages_out"`
	BytesIn     int64 `json:"bytes_in"`
	BytesOut    int64 `json:"bytes_out"`
	Cause       string
}

// Any in a figure of a Want allows every value.
const Any = -1

// A Want is the Outcome that a peer expects.
type Want struct {
	What           string // a description of the behaviour
	Kind           string
	By             string
	Code           int
	Sent, Received int

	MessagesIn, MessagesOut int64
	BytesIn, BytesOut       int64

	Or *Want // another allowed Outcome; nil: none
}

// Compare returns the differences between o and the Want.
func (w Want) Compare(o Outcome) (wrong []string) {
	if o.Kind != w.Kind || o.By != w.By {
		wrong = append(wrong, fmt.Sprintf("ended as %s by %s (cause %q), want %s by %s", o.Kind, o.By, o.Cause, w.Kind, w.By))
	}
	for _, f := range []struct {
		name      string
		got, want int64
	}{
		{"code", int64(o.Code), int64(w.Code)},
		{"sent", int64(o.Sent), int64(w.Sent)},
		{"received", int64(o.Received), int64(w.Received)},
		{"messages_in", o.MessagesIn, w.MessagesIn},
		{"messages_out", o.MessagesOut, w.MessagesOut},
		{"bytes_in", o.BytesIn, w.BytesIn},
		{"bytes_out", o.BytesOut, w.BytesOut},
	} {
		if f.want != Any && f.got != f.want {
			wrong = append(wrong, fmt.Sprintf("%s is %d, want %d", f.name, f.got, f.want))
		}
	}
	if wrong != nil && w.Or != nil && w.Or.Compare(o) == nil {
		return nil
	}
	return wrong
}

// A Ledger matches connections with their Outcomes by the peer's address. A port is reused
// only after its connection has ended, so both sides have the same order per address. The
// zero Ledger is ready to use. Its methods may be called concurrently.
type Ledger struct {
	mu        sync.Mutex
	changed   chan struct{}         // closed when a connection has its Outcome; nil: no goroutine waits
	open      map[string][]*account // without an Outcome
	unmatched map[string][]Outcome  // without a matched connection
	pending   int                   // accounts without a matched Outcome
	kinds     map[string]int
	problems  []string
	count     int // of all complaints, including those not in problems
}

// An account is the state of one connection.
type account struct {
	want *Want // nil: its peer has not finished
}

// maxComplaints is the largest number of complaints in Wrong.
const maxComplaints = 50

// Open adds a connection with a complete handshake. When the peer has finished, it calls
// the returned function once.
func (l *Ledger) Open(remote string) (settle func(Want)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open == nil {
		l.open = make(map[string][]*account)
	}
	a := new(account)
	l.open[remote] = append(l.open[remote], a)
	l.pending++
	return func(w Want) {
		l.mu.Lock()
		defer l.mu.Unlock()
		a.want = &w
		l.match(remote)
	}
}

// Outcome adds a line of the log.
func (l *Ledger) Outcome(o Outcome) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.unmatched == nil {
		l.unmatched, l.kinds = make(map[string][]Outcome), make(map[string]int)
	}
	l.kinds[o.Kind]++
	l.unmatched[o.Remote] = append(l.unmatched[o.Remote], o)
	l.match(o.Remote)
}

// match compares the Wants and the Outcomes of one address.
func (l *Ledger) match(remote string) {
	for len(l.open[remote]) > 0 && len(l.unmatched[remote]) > 0 && l.open[remote][0].want != nil {
		w, o := l.open[remote][0].want, l.unmatched[remote][0]
		l.open[remote], l.unmatched[remote] = l.open[remote][1:], l.unmatched[remote][1:]
		l.pending--
		for _, text := range w.Compare(o) {
			l.complain("%s (id %d, %s): %s", w.What, o.ID, remote, text)
		}
	}
	if len(l.open[remote]) == 0 {
		delete(l.open, remote)
	}
	if len(l.unmatched[remote]) == 0 {
		delete(l.unmatched, remote)
	}
	if l.changed != nil {
		close(l.changed)
		l.changed = nil
	}
}

// Complain adds a complaint.
func (l *Ledger) Complain(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.complain(format, args...)
}

// ComplainFirst adds a complaint before all others, which may be its consequences. Wrong
// has it even if there are more than maxComplaints.
func (l *Ledger) ComplainFirst(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.count++
	l.problems = append([]string{fmt.Sprintf(format, args...)}, l.problems...)
}

func (l *Ledger) complain(format string, args ...any) {
	l.count++
	if len(l.problems) < maxComplaints {
		l.problems = append(l.problems, fmt.Sprintf(format, args...))
	}
}

// Balance waits at most d until every connection has its Outcome. It complains about each
// missing Outcome and about each Outcome without a connection. No connection may be open.
func (l *Ledger) Balance(d time.Duration) {
	end := time.NewTimer(d)
	defer end.Stop()
	for waiting := true; waiting; {
		l.mu.Lock()
		if l.pending == 0 {
			l.mu.Unlock()
			break
		}
		if l.changed == nil {
			l.changed = make(chan struct{})
		}
		changed := l.changed
		l.mu.Unlock()
		select {
		case <-changed:
		case <-end.C:
			waiting = false
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for remote, accounts := range l.open {
		for _, a := range accounts {
			what := "a connection whose peer has not finished"
			if a.want != nil {
				what = a.want.What
			}
			l.complain("%s (%s): no Outcome within %v", what, remote, d)
		}
	}
	for remote, outcomes := range l.unmatched {
		for _, o := range outcomes {
			l.complain("an Outcome without a connection (id %d, %s): %s", o.ID, remote, o.Kind)
		}
	}
	l.open, l.unmatched, l.pending = nil, make(map[string][]Outcome), 0
	if l.kinds == nil {
		l.kinds = make(map[string]int)
	}
}

// Problems returns the first complaints, and the number of all complaints.
func (l *Ledger) Problems() ([]string, int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.problems), l.count
}

// Kinds returns the number of Outcomes of each kind.
func (l *Ledger) Kinds() map[string]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := make(map[string]int, len(l.kinds))
	for k, n := range l.kinds {
		all[strings.Clone(k)] = n
	}
	return all
}
