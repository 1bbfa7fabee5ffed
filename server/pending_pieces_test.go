package server

import (
	"context"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/coder/websocket"

	"example.com/wsecho/ending"
	"example.com/wsecho/wstest"
)

// contextEnded is the ending of a connection whose close frame is pending.
var contextEnded = ending.Ending{Kind: ending.Closed, Reason: "ours", By: ending.Local}

// TestPendingClosePeerInPieces: the context of a call ends while a frame is in progress, so
// this side's close frame is pending. The peer sends its close frame byte by byte, in part
// before that. It counts as the answer if it has the code of this side's.
func TestPendingClosePeerInPieces(t *testing.T) {
	t.Parallel()
	for _, test := range piecesTests {
		onTCPAndTLS(t, test.name, func(t *testing.T, secure bool) bool {
			late := pendingClosePeerInPieces(t, &test, secure, 0)
			for _, cut := range cuts(&test) {
				late = late || pendingClosePeerInPieces(t, &test, secure, cut)
			}
			return late
		})
	}
}

func pendingClosePeerInPieces(t *testing.T, test *piecesTest, secure bool, cut int) (late bool) {
	ct := newCloseTestWith(t, Options{PingInterval: -1, CloseTimeout: MaxCloseTimeout}, nil, secure, readAll)
	limit := 200 * time.Millisecond
	if secure {
		limit = 20 * time.Millisecond
	}
	if _, err := ct.c.tr.Write([]byte("\x82\x03")); err != nil {
		t.Fatal(err)
	}
	if err := ct.drip(t, test.f[:cut]); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	ct.c.closeAtOnce(contextEnded)
	_, err := ct.c.tr.Write([]byte("abc"))
	if late = time.Since(began) >= limit; !late {
		if err != nil {
			t.Error(err)
		}
		next(t, ct.read) // else the reader may read the rest too
		for i := cut; i < len(test.f) && err == nil; i++ {
			err = ct.peer.SendRaw(test.f[i : i+1])
		}
	}
	end := ct.finish(t)
	if late || time.Since(began) >= time.Second { // Hangup does not wait longer
		return true
	}
	if err != nil {
		t.Error(err)
	}
	received := websocket.StatusCode(0)
	if test.legal() && test.end.Code == websocket.StatusGoingAway {
		received = test.end.Code
	}
	end.check(t, contextEnded, websocket.StatusGoingAway, received)
	return false
}

// TestStalledWritePeerInPieces: the peer reads nothing while this side sends a large frame,
// and sends its close frame byte by byte. Then it reads. It gets the frame, and one close
// frame behind it: the answer, or this side's own if that waited for the frame.
func TestStalledWritePeerInPieces(t *testing.T) {
	t.Parallel()
	for _, closes := range []bool{false, true} {
		for _, reads := range []bool{true, false} {
			onTCPAndTLS(t, fmt.Sprintf("closes=%v reads=%v", closes, reads), func(t *testing.T, secure bool) bool {
				return stalledWritePeerInPieces(t, secure, closes, reads)
			})
		}
	}
}

func stalledWritePeerInPieces(t *testing.T, secure, closes, reads bool) (late bool) {
	o := Options{PingInterval: -1, WriteTimeout: -1, CloseTimeout: MaxCloseTimeout}
	if !reads {
		o.CloseTimeout = 500 * time.Millisecond
	}
	ct := newCloseTestWith(t, o, func(c net.Conn) net.Conn {
		_ = c.(*net.TCPConn).SetWriteBuffer(64 << 10)
		return c
	}, secure, readAll)
	const size = 1 << 20
	written := make(chan error, 1)
	go func() { written <- ct.c.Write(context.Background(), websocket.MessageBinary, make([]byte, size)) }()
	for began := time.Now(); !ct.c.tr.Writing(); time.Sleep(time.Millisecond) {
		if time.Since(began) > 10*time.Second {
			t.Fatal("no write waits")
		}
	}
	test := &piecesTests[0]
	began := time.Now()
	closed := make(chan struct{})
	if closes {
		go func() {
			defer close(closed)
			_ = ct.c.Close(ours.Code, ours.Reason)
		}()
		for !ct.c.isClosing() {
			time.Sleep(100 * time.Microsecond)
		}
	} else {
		close(closed)
	}
	err := ct.drip(t, test.f)
	read := time.Now()
	if late = err != nil && read.Sub(began) >= o.CloseTimeout; late {
		_ = ct.peer.Close()
		next(t, ct.ends)
		return true
	}
	if err != nil {
		t.Fatal(err)
	}
	if !reads {
		end := next(t, ct.ends)
		if d := time.Since(began); d > 5*time.Second {
			t.Errorf("the connection ended after %v", d)
		}
		if want := map[bool]ending.Side{false: ending.Peer, true: ending.Local}[closes]; end.By != want || end.Sent != 0 {
			t.Errorf("got %v by %v, sent %d, want by %v, sent none", end.Kind, end.By, end.Sent, want)
		}
		if e, err := ct.peer.End(10 * time.Second); err != nil || e.Code != 0 || !e.Truncated {
			t.Errorf("the peer got %v, %v, want a part of a frame and no close frame", e, err)
		}
		if next(t, written) == nil {
			t.Error("the write succeeded")
		}
		next(t, closed)
		return false
	}
	f, err := ct.peer.Recv()
	if time.Since(began) > MaxCloseTimeout/2 {
		_ = ct.peer.Close()
		next(t, ct.ends)
		return true
	}
	if err != nil || f.Opcode != wstest.Binary || len(f.Payload) != size {
		t.Errorf("the peer got %d bytes of opcode %d, %v", len(f.Payload), f.Opcode, err)
	}
	if err := next(t, written); err != nil {
		t.Error(err)
	}
	if f, err = ct.peer.Recv(); err != nil || f.Opcode != wstest.Close {
		t.Fatalf("the peer got %v, %v, want a close frame", f, err)
	}
	want := test.end
	if code, _ := wstest.ParseClose(f.Payload); closes && code == uint16(ours.Code) {
		want = ours
	}
	end := ct.finish(t)
	end.check(t, want, want.Code, test.end.Code)
	next(t, closed)
	return false
}
