package e2e

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"example.com/wsecho/wstest"
)

var bigEndian = binary.NativeEndian.Uint16([]byte{0, 1}) == 1

func addrPort(t *testing.T, addr string) netip.AddrPort {
	t.Helper()
	a, err := netip.ParseAddrPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// rollingClients are WebSocket clients that connect again after each close.
type rollingClients struct {
	url    string
	pause  time.Duration // between two messages of a client, on average
	open   atomic.Int64  // connected clients
	failed atomic.Int64
	ctx    context.Context
	cancel context.CancelFunc
	all    []*rollingClient
	run    sync.WaitGroup
}

// A rollingClient sends numbered messages, one at a time. It sends a message again if a close
// frame arrived in place of its echo.
type rollingClient struct {
	*rollingClients
	id int
	clientResults
	err error
}

type clientResults struct {
	goingAway    int // close frames with 1001
	sent, echoes int
	crossed      int // messages that were sent, and a close frame arrived
	handshakes   int
	refused      int           // handshakes, with 502, 503 or 504
	slowest      time.Duration // of the handshakes
}

// startClients starts n clients until stop, or until the end of the test.
func startClients(t *testing.T, addr string, n int) *rollingClients {
	t.Helper()
	c := &rollingClients{url: "ws://" + addr + "/", pause: time.Duration(n) * 500 * time.Microsecond}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	t.Cleanup(func() { c.cancel(); c.run.Wait() })
	for i := range n {
		one := &rollingClient{rollingClients: c, id: i}
		c.all = append(c.all, one)
		c.run.Go(func() {
			if one.err = one.serve(); one.err != nil {
				c.failed.Add(1)
			}
		})
	}
	return c
}

// await waits for a condition. It fails the test if a client fails.
func (c *rollingClients) await(t *testing.T, what string, condition func() bool) {
	t.Helper()
	began := time.Now()
	for !condition() {
		if c.failed.Load() > 0 {
			c.stop(t)
		}
		if time.Since(began) > 2*waitLimit {
			t.Fatalf("not within %v: %s; %d clients are connected", 2*waitLimit, what, c.open.Load())
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Logf("after %5.2f s: %s", time.Since(began).Seconds(), what)
}

// stop lets all clients close and waits for them.
func (c *rollingClients) stop(t *testing.T) {
	t.Helper()
	c.cancel()
	c.run.Wait()
	if n := c.failed.Load(); n > 0 {
		for _, one := range c.all {
			if one.err != nil {
				t.Fatalf("%d clients failed; client %d: %v", n, one.id, one.err)
			}
		}
	}
}

// results returns the sum over all clients. Each must have received 1001.
func (c *rollingClients) results(t *testing.T) (sum clientResults) {
	t.Helper()
	for _, one := range c.all {
		if one.goingAway == 0 {
			t.Errorf("client %d did not receive 1001", one.id)
		}
		sum.goingAway += one.goingAway
		sum.sent += one.sent
		sum.echoes += one.echoes
		sum.crossed += one.crossed
		sum.refused += one.refused
		sum.handshakes += one.handshakes
		sum.slowest = max(sum.slowest, one.slowest)
	}
	return sum
}

// jitter returns a random duration around d.
func jitter(d time.Duration) time.Duration { return d/2 + rand.N(d) }

func (c *rollingClient) serve() error {
	for wait := rand.N(c.pause); ; wait = rand.N(c.pause) { // clients must not connect at one moment
		select {
		case <-c.ctx.Done():
			return nil
		case <-time.After(wait):
		}
		if err := c.connect(); err != nil {
			return err
		}
	}
}

// connect serves one connection until a close frame ends it.
func (c *rollingClient) connect() error {
	began := time.Now()
	peer, err := wstest.Dial(c.url, wstest.DialOptions{Timeout: 2 * waitLimit})
	if refused := (*wstest.HandshakeError)(nil); errors.As(err, &refused) && refused.Response.StatusCode > http.StatusInternalServerError {
		c.refused++
		return nil // and try again
	}
	if err != nil {
		return fmt.Errorf("handshake: %w", err)
	}
	defer peer.Close()
	c.handshakes++
	c.slowest = max(c.slowest, time.Since(began))
	c.open.Add(1)
	defer c.open.Add(-1)
	message, closing := "", false // the message that waits for its echo
	next := time.Now().Add(jitter(c.pause))
	var sendErr error // a close frame may have arrived before
	for {
		if message == "" && !closing {
			peer.Timeout = time.Until(next)
			if c.ctx.Err() != nil {
				closing = true
				sendErr = peer.Send(wstest.CloseFrame(1000, ""))
			} else if peer.Timeout <= 0 {
				message = fmt.Sprintf("%d of client %d %s", c.echoes, c.id, strings.Repeat("x", rand.IntN(1000)))
				sendErr = peer.Send(wstest.TextFrame(message))
				c.sent++
			}
		}
		if message != "" || closing {
			peer.Timeout = 2 * waitLimit
		}
		f, err := peer.Recv()
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded) && message == "" && !closing:
			continue
		case err != nil:
			return fmt.Errorf("no close frame, which is 1006: %w", errors.Join(err, sendErr))
		case f.Opcode == wstest.Ping:
			sendErr = peer.Send(wstest.PongFrame(string(f.Payload)))
		case f.Opcode == wstest.Text && f.Fin && message != "" && string(f.Payload) == message:
			c.echoes++
			message, next = "", time.Now().Add(jitter(c.pause))
		case f.Opcode == wstest.Close:
			return c.end(peer, f, message != "", closing)
		default:
			return fmt.Errorf("received %v, want the echo of %.30q", f, message)
		}
	}
}

// end finishes the closing handshake.
func (c *rollingClient) end(peer *wstest.Peer, f wstest.Frame, waiting, closing bool) error {
	code, reason := wstest.ParseClose(f.Payload)
	if closing && code == 1000 {
		return nil
	}
	if code != 1001 {
		return fmt.Errorf("received %d %q, want 1001", code, reason)
	}
	c.goingAway++
	if waiting {
		c.crossed++
	}
	if !closing {
		return answerClose(peer)
	}
	return nil
}
