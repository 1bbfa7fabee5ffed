package server

import (
	"maps"

	"example.com/wsecho/ending"
	"example.com/wsecho/heartbeat"
)

// Traffic counts complete data messages and the bytes of their payload on the wire.
// MessagesIn and BytesIn include messages received after this side's close frame, which
// no handler reads. MessagesOut and BytesOut are those that the kernel has accepted.
type Traffic struct {
	MessagesIn, MessagesOut int64
	BytesIn, BytesOut       int64
}

func (t *Traffic) add(u Traffic) {
	t.MessagesIn += u.MessagesIn
	t.MessagesOut += u.MessagesOut
	t.BytesIn += u.BytesIn
	t.BytesOut += u.BytesOut
}

// Totals are sums over all connections of a Server since New: the open ones and those that
// have ended.
type Totals struct {
	Open    int // connections now
	Stalled int // of these, those with a write that waits for the peer
	Late    int // of these, those whose pong is overdue

	Endings map[ending.Kind]int64 // of the connections that have ended, by kind; kinds that have not occurred are absent

	Text, Binary Traffic
	WriteStalls  int64 // see Info
	// The counts of package heartbeat. The other fields of Stats are zero.
	Pings heartbeat.Stats
}

// Totals returns the sums as they are now. A connection that ends meanwhile counts once.
// Each sum of counts is exact, and a later call returns at least as much. It takes about
// half a microsecond for each open connection, and holds no lock of the Server meanwhile.
func (s *Server) Totals() Totals {
	s.mu.Lock()
	t := s.ended
	t.Endings = maps.Clone(t.Endings)
	conns := make([]*Conn, 0, len(s.conns))
	for _, c := range s.conns {
		conns = append(conns, c)
	}
	s.mu.Unlock()
	// A connection that has ended since then keeps its counts. The next call finds them in
	// s.ended.
	t.Open = len(conns)
	for _, c := range conns {
		one := c.totals()
		t.Add(one)
		if c.tr.Writing() {
			t.Stalled++
		}
		if one.Pings.State == heartbeat.Late {
			t.Late++
		}
	}
	return t
}

// totals returns the sums over c alone.
func (c *Conn) totals() (t Totals) {
	t.Text, t.Binary = c.traffic()
	t.WriteStalls = c.tr.Stalls()
	if m := c.heartbeat.Load(); m != nil {
		t.Pings = m.Stats()
	}
	return t
}

// Add adds the counts of u, for a program with several Servers. A copy of t shares the map
// Endings, so Add changes that of both.
func (t *Totals) Add(u Totals) {
	t.Open += u.Open
	t.Stalled += u.Stalled
	t.Late += u.Late
	for k, n := range u.Endings {
		t.addEndings(k, n)
	}
	t.Text.add(u.Text)
	t.Binary.add(u.Binary)
	t.WriteStalls += u.WriteStalls
	t.Pings.Sent += u.Pings.Sent
	t.Pings.Answered += u.Pings.Answered
	t.Pings.Late += u.Pings.Late
	t.Pings.Missed += u.Pings.Missed
	t.Pings.Unread += u.Pings.Unread
	t.Pings.Stalled += u.Pings.Stalled
}

func (t *Totals) addEndings(k ending.Kind, n int64) {
	if t.Endings == nil {
		t.Endings = make(map[ending.Kind]int64)
	}
	t.Endings[k] += n
}

// traffic returns the counts of the text and the binary messages of c.
func (c *Conn) traffic() (text, binary Traffic) {
	in, out := c.tr.Counts()
	text = Traffic{in[0].Messages, out[0].Messages, in[0].Bytes, out[0].Bytes}
	binary = Traffic{in[1].Messages, out[1].Messages, in[1].Bytes, out[1].Bytes}
	return text, binary
}
