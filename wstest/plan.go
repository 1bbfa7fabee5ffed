package wstest

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"
)

// plan is the faults of one connection. The zero value has none.
type plan struct {
	events []event // in the order in which those of one moment happen

	delay, jitter time.Duration
	pong          pongMode
	pongs         int // of pongCount
	late          time.Duration
	stall         bool
	readRate      int // bytes per second; 0: any
	writeRate     int
	fragment      int // bytes of a data frame; 0: any
	mask          bool

	status      int // 0: 101
	hold        time.Duration
	wrongAccept bool

	hello, helloAll bool
	ping            time.Duration // 0: none
	send            int
	every           time.Duration
}

// pongMode is how pings are answered.
type pongMode uint8

const (
	pongRight pongMode = iota
	pongCount          // some, and then none
	pongLate
	pongOther // with another payload
)

// newPlan combines the faults. Its error is a sentence.
func newPlan(faults []Fault) (*plan, error) {
	p := new(plan)
	kinds := make(map[string]Fault)
	for _, f := range faults {
		other, twice := kinds[f.kind]
		switch {
		case f.kind == "":
			return nil, errors.New("the zero Fault is no fault; functions such as NoPong make one")
		case f.wrong != "":
			return nil, fmt.Errorf("%v: %s", f, f.wrong)
		case twice && f.kind == "end":
			return nil, fmt.Errorf("%v and %v: only one fault can end a connection", other, f)
		case twice:
			return nil, fmt.Errorf("%v and %v exclude each other; use one of them", other, f)
		}
		kinds[f.kind] = f
		if f.event != nil {
			e := *f.event
			e.call = f.call
			p.events = append(p.events, e)
		} else {
			f.set(p)
		}
	}
	for _, f := range faults {
		switch {
		case p.status != 0 && f.kind != "status" && f.kind != "Hold":
			return nil, fmt.Errorf("%v has no effect beside Status(%d), which opens no connection", f, p.status)
		case p.stall && f.event != nil && f.event.after > 0:
			return nil, fmt.Errorf("%v never happens beside StallRead(), which reads no message; use AfterTime", f)
		}
	}
	slices.SortStableFunc(p.events, func(a, b event) int {
		rank := func(e event) int { // invalid UTF-8, garbage, and then the end
			switch {
			case e.end != endNot:
				return 2
			case e.insert[0] == 0x80|Text:
				return 0
			}
			return 1
		}
		return cmp.Or(cmp.Compare(a.afterTime, b.afterTime), cmp.Compare(rank(a), rank(b)))
	})
	return p, nil
}
