package server_test

import (
	"cmp"
	"net"
	"slices"
	"testing"
	"time"

	"example.com/wsecho/ending"
	"example.com/wsecho/internal/testfull"
	"example.com/wsecho/server"
	"example.com/wsecho/wstest"
)

// A way is what a connection goes over.
type way struct {
	name string
	on   func(testing.TB, net.Listener, server.Handler, server.Options) *site
}

var ways = []way{{"tcp", serveOn}, {"tls", serveTLSOn}, {"attended", serveParkedOn}}

// serveParkedOn is serveOn with idle connections that are parked, as the command has it.
func serveParkedOn(tb testing.TB, l net.Listener, h server.Handler, o server.Options) *site {
	o.ParkAfter, o.HoldReplies = resting, true
	return serveOn(tb, l, h, o)
}

func (w way) tls() bool { return w.name == "tls" }

func (w way) serve(tb testing.TB, h server.Handler, o server.Options) *site {
	tb.Helper()
	// Where the peer reads, nobody waits for it, and a busy machine needs it.
	o.CloseTimeout = cmp.Or(o.CloseTimeout, server.MaxCloseTimeout)
	return w.on(tb, listen(tb), h, o)
}

// A row is an attack or a fault that is met beneath the handler. It begins on the
// wire and is looked at from both ends.
type row struct {
	name string
	run  func(t *testing.T, w way)
}

// TestRows does each row on TCP, on TLS, and on TCP with parking.
func TestRows(t *testing.T) {
	t.Parallel()
	for _, w := range ways {
		rows := []row{
			{"12-slow-link", slowLink},
			{"16-tiny-fragments", tinyFragments},
			{"17-oversize", oversize},
			{"18-goodbye-held-open", goodbyeHeldOpen},
			{"20-dripped", dripped},
			{"21-not-utf8", notUTF8},
			{"21-at-once", notUTF8AtOnce},
			{"22-violations", violations},
			{"24-truncated", truncated},
		}
		if w.tls() {
			rows = append(rows, row{"24-cut-in-a-record", cutInARecord})
		}
		for _, r := range rows {
			t.Run(w.name+"/"+r.name, func(t *testing.T) { t.Parallel(); r.run(t, w) })
		}
	}
}

// TestRowsAlone does those which measure what other tests would disturb. By default
// each row goes one way.
func TestRowsAlone(t *testing.T) {
	for i, w := range ways {
		for j, r := range []row{
			{"11-never-reads", neverReads},
			{"17-memory", announcedMemory},
			{"idle-memory", idleMemory},
		} {
			t.Run(w.name+"/"+r.name, func(t *testing.T) {
				if i != j {
					testfull.Only(t, "each row takes up to 2 s, and by default goes one way")
				}
				r.run(t, w)
			})
		}
	}
}

// patience is the close timeout where it is waited out. soonGone is the time in
// which a connection is gone for which it has begun: that leaves a busy machine
// some, but not as much as it takes to close a tls.Conn whose peer does not read,
// which is five seconds.
const (
	patience = 2 * time.Second
	soonGone = patience + 4*time.Second
)

// refused reads what the peer gets, to the end, and compares it and the Outcome
// with an ending of this kind, in which the peer is told the kind's code.
func (s *site) refused(t *testing.T, p *wstest.Peer, k ending.Kind) server.Outcome {
	t.Helper()
	return s.told(t, p, k, uint16(k.Code()))
}

// told is refused with another code.
func (s *site) told(t *testing.T, p *wstest.Peer, k ending.Kind, code uint16) server.Outcome {
	t.Helper()
	e := finish(t, p, code)
	if e.After > soonGone {
		t.Errorf("%v: the stream ended after %v", k, e.After)
	}
	if e.AfterClose > 0 {
		t.Errorf("%v: %d frames came behind the close frame", k, e.AfterClose)
	}
	_ = p.Close()
	o := s.end(t)
	wantKind(t, o, k)
	if o.By != k.By() || uint16(o.Code) != code || uint16(o.Sent) != code {
		t.Errorf("got code %d by %v, sent %d, want %d by %v, sent", o.Code, o.By, o.Sent, code, k.By())
	}
	return o
}

// A tap is the TCP connection of a peer, beneath TLS if there is any, where what
// passes can be changed. It is not to be set while somebody reads or writes.
type tap struct {
	*net.TCPConn
	onRead, onWrite func([]byte) (int, error) // nil: the connection's own
}

func (c *tap) Read(p []byte) (int, error) {
	if c.onRead != nil {
		return c.onRead(p)
	}
	return c.TCPConn.Read(p)
}

func (c *tap) Write(p []byte) (int, error) {
	if c.onWrite != nil {
		return c.onWrite(p)
	}
	return c.TCPConn.Write(p)
}

// tapped is dial with a tap.
func (s *site) tapped(tb testing.TB, o wstest.DialOptions) (*wstest.Peer, *tap) {
	tb.Helper()
	return s.tappedBy(tb, net.Dialer{}, o)
}

func (s *site) tappedBy(tb testing.TB, d net.Dialer, o wstest.DialOptions) (*wstest.Peer, *tap) {
	tb.Helper()
	wire := new(tap)
	o.Dial = func(network, addr string) (net.Conn, error) {
		c, err := d.Dial(network, addr)
		if err != nil {
			return nil, err
		}
		wire.TCPConn = c.(*net.TCPConn)
		return wire, nil
	}
	return s.dial(tb, o), wire
}

// p99 sends small messages until over and returns what 99 in 100 take at most. One
// is due every two milliseconds, and what is late because of the one before counts
// as if it had been sent in time.
func p99(tb testing.TB, p *wstest.Peer, over func() bool) time.Duration {
	tb.Helper()
	const every = 2 * time.Millisecond
	var took []time.Duration
	start := time.Now()
	for due := start; !over(); due = due.Add(every) {
		time.Sleep(time.Until(due))
		send(tb, p, wstest.TextFrame("still served?"))
		hear(tb, p, wstest.Text, "still served?")
		took = append(took, time.Since(due))
		if time.Since(start) > soon {
			tb.Fatalf("not over within %v", soon)
		}
	}
	slices.Sort(took)
	return took[len(took)*99/100]
}

// lasting is an over that comes in a while.
func lasting(d time.Duration) func() bool {
	end := time.Now().Add(d)
	return func() bool { return time.Now().After(end) }
}
