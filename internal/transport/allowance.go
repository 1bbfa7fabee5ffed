package transport

import (
	"time"

	"example.com/wsecho/ending"
)

// An allowance bounds the pings and pongs of a peer. Each costs one; more is
// given with time, for each ping of ours, which may be answered, and for each
// message of the peer, which may come with a ping. A peer that answers, shows
// that it is there or measures cannot use it up. One that sends control frames
// and nothing else is answered as long as there is some, and then refused: such
// a frame costs what a message costs, and nobody wants it.
//
// The zero value is a full one.
type allowance struct {
	used   int   // since it was filled up
	filled int64 // when that was; nanoseconds since the connection began
	earned int64 // by then: pings of ours, and whole messages of the peer
}

// A peer may send controlBurst pings and pongs at once, and controlRate in a
// second for good. A hundredth of that shows that a connection lives; the burst
// is for a peer that was kept waiting with many on the way.
const (
	controlBurst = 2000
	controlRate  = 100
)

// spend takes one for a ping or pong that has come, or says that there is none
// left. It looks at the clock when all are used, and not before.
func (c *Conn) spend() *ending.Error {
	a := &c.in.allowance
	if a.used == controlBurst {
		now, earned := c.now(), c.asked.Load()+c.in.Messages
		more := earned - a.earned + (now-a.filled)*controlRate/int64(time.Second)
		if more < 1 {
			return &ending.Error{Kind: ending.Flood, Reason: "too many pings or pongs"}
		}
		a.used -= int(min(more, controlBurst))
		a.filled, a.earned = now, earned
	}
	a.used++
	return nil
}
