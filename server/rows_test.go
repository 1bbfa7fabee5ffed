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

// A way is the transport of a connection: TCP or TLS.
type way struct {
	name string
	on   func(testing.TB, net.Listener, server.Handler, server.Options) *testServer
}

var ways = []way{{"tcp", serveOn}, {"tls", serveTLSOn}, {"parked", serveParkedOn}}

// serveParkedOn is serveOn with parked idle connections, as in the command.
func serveParkedOn(tb testing.TB, l net.Listener, h server.Handler, o server.Options) *testServer {
	o.ParkAfter = shortParkAfter
	return serveOn(tb, l, h, o)
}

func (w way) tls() bool { return w.name == "tls" }

func (w way) serve(tb testing.TB, h server.Handler, o server.Options) *testServer {
	tb.Helper()
	// A peer that reads never reaches this timeout, and a busy machine needs it.
	o.CloseTimeout = cmp.Or(o.CloseTimeout, server.MaxCloseTimeout)
	return w.on(tb, listen(tb), h, o)
}

// A row is an attack or a fault below the handler. A test causes it on the wire and
// checks both sides.
type row struct {
	name string
	run  func(t *testing.T, w way)
}

// TestRows runs each row on TCP, on TLS, and on TCP with parking.
func TestRows(t *testing.T) {
	t.Parallel()
	for _, w := range ways {
		rows := []row{
			{"12-slow-link", slowLink},
			{"16-tiny-fragments", tinyFragments},
			{"17-oversize", oversize},
			{"18-closing-held-open", closeHeldOpen},
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

// TestRowsAlone runs the rows whose measurements other tests would disturb. By default
// each row uses one transport.
func TestRowsAlone(t *testing.T) {
	for i, w := range ways {
		for j, r := range []row{
			{"11-never-reads", neverReads},
			{"17-memory", announcedMemory},
			{"idle-memory", idleMemory},
		} {
			t.Run(w.name+"/"+r.name, func(t *testing.T) {
				if i != j {
					testfull.Only(t, "each row runs up to 2 s, and by default on one transport")
				}
				r.run(t, w)
			})
		}
	}
}

// longCloseTimeout is the close timeout of tests that wait for its end. soonGone bounds
// the end of a connection. It counts from the start of that timeout. It has a margin for a
// busy machine. It is less than the five seconds for the Close of a tls.Conn whose peer
// does not read.
const (
	longCloseTimeout = 2 * time.Second
	soonGone         = longCloseTimeout + 4*time.Second
)

// refused reads to the end of the stream. It compares the close code and the Outcome
// with this kind and the kind's code.
func (s *testServer) refused(t *testing.T, p *wstest.Peer, k ending.Kind) server.Outcome {
	t.Helper()
	return s.refusedWith(t, p, k, uint16(k.Code()))
}

// refusedWith is refused with another close code.
func (s *testServer) refusedWith(t *testing.T, p *wstest.Peer, k ending.Kind, code uint16) server.Outcome {
	t.Helper()
	e := finish(t, p, code)
	if e.After > soonGone {
		t.Errorf("%v: the stream ended after %v", k, e.After)
	}
	if e.AfterClose > 0 {
		t.Errorf("%v: %d frames followed the close frame", k, e.AfterClose)
	}
	_ = p.Close()
	o := s.end(t)
	wantKind(t, o, k)
	if o.By != k.By() || uint16(o.Code) != code || uint16(o.Sent) != code {
		t.Errorf("got code %d by %v, sent %d, want %d by %v, sent", o.Code, o.By, o.Sent, code, k.By())
	}
	return o
}

// A tap is the TCP connection of a peer, under TLS if it uses TLS. Its functions can
// change the passing data. Do not set them during a read or a write.
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

// tapped is dial through a tap.
func (s *testServer) tapped(tb testing.TB, o wstest.DialOptions) (*wstest.Peer, *tap) {
	tb.Helper()
	return s.tappedBy(tb, net.Dialer{}, o)
}

func (s *testServer) tappedBy(tb testing.TB, d net.Dialer, o wstest.DialOptions) (*wstest.Peer, *tap) {
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

// p99 sends small messages until over and returns the p99 of their latency. It sends
// one every two milliseconds. The latency runs from the scheduled time of a message,
// also if the one before delays it.
func p99(tb testing.TB, p *wstest.Peer, over func() bool) time.Duration {
	tb.Helper()
	const every = 2 * time.Millisecond
	var took []time.Duration
	start := time.Now()
	for due := start; !over(); due = due.Add(every) {
		time.Sleep(time.Until(due))
		send(tb, p, wstest.TextFrame("still served?"))
		receive(tb, p, wstest.Text, "still served?")
		took = append(took, time.Since(due))
		if time.Since(start) > soon {
			tb.Fatalf("not over within %v", soon)
		}
	}
	slices.Sort(took)
	return took[len(took)*99/100]
}

// lasting returns an over that ends after d.
func lasting(d time.Duration) func() bool {
	end := time.Now().Add(d)
	return func() bool { return time.Now().After(end) }
}
