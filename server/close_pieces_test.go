package server

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/coder/websocket"

	"example.com/wsecho/ending"
	"example.com/wsecho/wstest"
)

// A piecesTest is a peer that sends its close frame byte by byte.
type piecesTest struct {
	name string
	f    []byte
	end  ending.Ending        // if this side has not closed first
	sent websocket.StatusCode // in answer to it
}

func (p *piecesTest) legal() bool { return p.end.By == ending.Peer }

// received returns Outcome.Received.
func (p *piecesTest) received() websocket.StatusCode {
	if p.legal() {
		return p.end.Code
	}
	return 0
}

var piecesTests = func() (all []piecesTest) {
	key := [4]byte{0x12, 0xf4, 0x56, 0x9a}
	legal := func(code uint16, reason string) {
		end := ending.OfClose(websocket.StatusCode(code), reason)
		f := wstest.CloseFrame(code, reason)
		if code == wstest.NoStatus {
			f = wstest.CloseFrame(0, "")
		}
		all = append(all, piecesTest{fmt.Sprint(code), f.WithKey(key).Append(nil), end, end.Code})
	}
	legal(4999, "é")
	legal(1001, "")
	legal(wstest.NoStatus, "")
	illegal := func(kind ending.Kind, reason string, f []byte) {
		e := ending.Error{Kind: kind, Reason: reason}
		all = append(all, piecesTest{reason, f, e.Ending(), e.Ending().Code})
	}
	closing := func(body []byte) wstest.Frame {
		return wstest.Frame{Fin: true, Opcode: wstest.Close, Payload: body}.WithKey(key)
	}
	illegal(ending.Protocol, "close frame of one byte", closing([]byte{3}).Append(nil))
	illegal(ending.Protocol, "close code 1005", closing(wstest.CloseBody(1005, "x")).Append(nil))
	illegal(ending.InvalidUTF8, "close reason is not UTF-8", closing(wstest.CloseBody(1000, "\xc3")).Append(nil))
	illegal(ending.Protocol, "unmasked frame", wstest.CloseFrame(1000, "").Append(nil))
	illegal(ending.Protocol, "fragmented control frame", closing(wstest.CloseBody(1000, "")).Open().Append(nil))
	illegal(ending.Protocol, "control frame over 125 bytes", closing(make([]byte, 126)).Append(nil)[:20])
	return all
}()

// notReading is a handler that does not read.
func notReading(ctx context.Context, c *Conn) error {
	<-ctx.Done()
	return nil
}

// onTCPAndTLS calls f for both, several times if it returns that a limit has passed because
// the machine is slow.
func onTCPAndTLS(t *testing.T, name string, f func(t *testing.T, secure bool) (late bool)) {
	for kind, secure := range map[string]bool{"tcp": false, "tls": true} {
		t.Run(name+" "+kind, func(t *testing.T) {
			t.Parallel()
			for attempt := 1; f(t, secure); attempt++ {
				if attempt == 50 {
					t.Fatal("this machine is too slow")
				}
			}
		})
	}
}

// drip sends b byte by byte. It waits for the server to read each byte, or to end. The error
// is that of a write, which fails if the server has ended.
func (ct *closeTest) drip(t *testing.T, b []byte) error {
	t.Helper()
	for i := range b {
		before := ct.c.tr.LastReceived()
		if err := ct.peer.SendRaw(b[i : i+1]); err != nil {
			return err
		}
		for began := time.Now(); ct.c.tr.LastReceived().Equal(before) && !ct.c.isClosed(); time.Sleep(100 * time.Microsecond) {
			if time.Since(began) > 10*time.Second {
				t.Fatalf("byte %d is not read", i)
			}
		}
	}
	return nil
}

// A piecesEnd is the end of a connection, at both sides.
type piecesEnd struct {
	Outcome
	peer wstest.End
	err  error
}

// finish reads to the end of the stream, and waits for the Outcome.
func (ct *closeTest) finish(t *testing.T) (e piecesEnd) {
	t.Helper()
	e.peer, e.err = ct.peer.End(10 * time.Second)
	_ = ct.peer.Close()
	e.Outcome = next(t, ct.ends)
	return e
}

// check compares the Outcome, and what the peer got until FIN. It must be one close frame
// behind whole frames.
func (o *piecesEnd) check(t *testing.T, want ending.Ending, sent, received websocket.StatusCode) {
	t.Helper()
	if p := o.peer; o.err != nil || p.Code != uint16(sent) || p.AfterClose > 0 || p.Truncated || !p.FIN {
		t.Errorf("the peer got %v, %d frames after it, %v, want one close frame with %d and FIN", p, p.AfterClose, o.err, sent)
	}
	if o.Kind != want.Kind || o.By != want.By || o.Code != want.Code || o.Reason != want.Reason || o.Sent != sent || o.Received != received {
		t.Errorf("got %v by %v, %d %q, sent %d, received %d, cause %v, want %v by %v, %d %q, sent %d, received %d",
			o.Kind, o.By, o.Code, o.Reason, o.Sent, o.Received, o.Cause, want.Kind, want.By, want.Code, want.Reason, sent, received)
	}
}

// TestPeerClosesInPieces: the peer closes first, byte by byte.
func TestPeerClosesInPieces(t *testing.T) {
	t.Parallel()
	for _, test := range piecesTests {
		onTCPAndTLS(t, test.name, func(t *testing.T, secure bool) bool {
			ct := newCloseTestWith(t, Options{PingInterval: -1, CloseTimeout: MaxCloseTimeout}, nil, secure, readAll)
			if err := ct.drip(t, test.f); err != nil && test.legal() {
				t.Fatal(err)
			}
			end := ct.finish(t)
			end.check(t, test.end, test.sent, test.received())
			return false
		})
	}
}

// ours is the ending of this side in the tests below.
var ours = ending.Ending{Kind: ending.Closed, Code: 3001, Reason: "ours", By: ending.Local}

// TestPeerAnswersInPieces: this side closes, and its closing handshake waits. The peer sends
// its close frame byte by byte. Some bytes may be there before. An illegal frame is not
// answered by a second close frame.
func TestPeerAnswersInPieces(t *testing.T) {
	t.Parallel()
	for _, test := range piecesTests {
		for _, reads := range []bool{true, false} {
			onTCPAndTLS(t, fmt.Sprintf("%s reads=%v", test.name, reads), func(t *testing.T, secure bool) bool {
				late := peerAnswersInPieces(t, &test, secure, reads, 0)
				for _, cut := range cuts(&test) {
					late = late || peerAnswersInPieces(t, &test, secure, reads, cut)
				}
				return late
			})
		}
	}
}

// cuts returns some places inside a legal frame: behind the first byte, inside the mask key,
// behind the header, and before the last byte.
func cuts(p *piecesTest) (all []int) {
	for _, n := range []int{1, 4, 6, len(p.f) - 1} {
		if p.legal() && n < len(p.f) && !slices.Contains(all, n) {
			all = append(all, n)
		}
	}
	return all
}

func peerAnswersInPieces(t *testing.T, test *piecesTest, secure, reads bool, cut int) (late bool) {
	h := notReading
	if reads {
		h = readAll
	}
	ct := newCloseTestWith(t, Options{PingInterval: -1, CloseTimeout: MaxCloseTimeout}, nil, secure, h)
	var err error
	if reads {
		err = ct.drip(t, test.f[:cut])
	} else {
		err = ct.peer.SendRaw(test.f[:cut])
	}
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	go func() { _ = ct.c.Close(ours.Code, ours.Reason) }()
	if f, err := ct.peer.Recv(); err != nil || f.Opcode != wstest.Close {
		t.Fatalf("the peer got %v, %v, want a close frame", f, err)
	}
	err = ct.drip(t, test.f[cut:])
	end := ct.finish(t)
	if time.Since(began) >= MaxCloseTimeout {
		return true
	}
	if err != nil && test.legal() {
		t.Error(err)
	}
	end.check(t, ours, ours.Code, test.received())
	return false
}

// piecesTimeout is that of the peers that never complete their close frame.
const piecesTimeout = 300 * time.Millisecond

// TestPeerNeverCompletesClose: this side closes, and the peer sends only a part of its close
// frame, before or after that. The close timeout ends the wait, or the message timeout if
// that is shorter.
func TestPeerNeverCompletesClose(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		o      Options
		before bool
	}{
		{"close timeout, part before", Options{CloseTimeout: piecesTimeout}, true},
		{"close timeout", Options{CloseTimeout: piecesTimeout}, false},
		{"message timeout", Options{CloseTimeout: MaxCloseTimeout, MessageTimeout: piecesTimeout}, false},
	} {
		for _, cut := range []int{1, 4, 9} {
			onTCPAndTLS(t, fmt.Sprint(test.name, " ", cut), func(t *testing.T, secure bool) (late bool) {
				return peerNeverCompletesClose(t, test.o, secure, test.before, piecesTests[0].f[:cut])
			})
		}
	}
}

func peerNeverCompletesClose(t *testing.T, o Options, secure, before bool, part []byte) (late bool) {
	o.PingInterval = -1
	ct := newCloseTestWith(t, o, nil, secure, readAll)
	if before {
		if err := ct.drip(t, part); err != nil {
			t.Fatal(err)
		}
	}
	began := time.Now()
	go func() { _ = ct.c.Close(ours.Code, ours.Reason) }()
	f, err := ct.peer.Recv()
	if err != nil && time.Since(began) >= o.CloseTimeout {
		return true
	}
	if err != nil || f.Opcode != wstest.Close {
		t.Fatalf("the peer got %v, %v, want a close frame", f, err)
	}
	if !before {
		err = ct.drip(t, part)
		if time.Since(began) >= piecesTimeout {
			_ = ct.peer.Close()
			next(t, ct.ends)
			return true
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	next(t, ct.gone)
	if d := time.Since(began); d > MaxCloseTimeout-time.Second {
		t.Errorf("the handler's context ended after %v", d)
	}
	end := ct.finish(t)
	end.check(t, ours, ours.Code, 0)
	return false
}
