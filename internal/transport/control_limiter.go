package transport

import "time"

// A controlLimiter is a token bucket for the pings and pongs of a peer. Each costs one
// token. Time adds tokens. So does each ping of this side, which the peer may answer. So
// does each message of the peer, which may follow a ping.
//
// A peer that answers pings or measures latency never empties the bucket. A peer that
// sends only control frames does: such a frame costs the server as much as a message.
//
// The zero value is a full bucket. It must not be used concurrently.
type controlLimiter struct {
	used   int   // tokens used since the last refill
	filled int64 // the time of the last refill
	earned int64 // the tokens earned by pings and messages until then
}

// A peer may send controlBurst pings and pongs at once, and controlRate per second in the
// long run. One per second is enough to show that a connection lives. The burst is for a
// peer whose frames were delayed and arrive together.
const (
	controlBurst = 2000
	controlRate  = 100
)

// allow uses a token. It returns false if the bucket is empty. now returns a time in
// nanoseconds. earned is the number of this side's pings and of the peer's messages. Only
// an empty bucket is refilled, because a call of now costs more than a token.
func (l *controlLimiter) allow(now func() int64, earned int64) bool {
	if l.used == controlBurst {
		now := now()
		tokens := earned - l.earned + (now-l.filled)*controlRate/int64(time.Second)
		if tokens < 1 {
			return false
		}
		l.used -= int(min(tokens, controlBurst))
		l.filled, l.earned = now, earned
	}
	l.used++
	return true
}
