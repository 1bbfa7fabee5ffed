//go:build unix

package e2e

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"example.com/wsecho/internal/testfull"
	"example.com/wsecho/wstest"
)

// drainTimeout is the default drain timeout. These tests do not change it.
const drainTimeout = 15 * time.Second

// TestDrainBusy stops a server while half of the peers send messages. Each peer must
// receive 1001.
func TestDrainBusy(t *testing.T) {
	const peers = 1000
	p := startFor(t, "wsecho", "--log-format=json")
	c := connect(t, p, peers)
	var received errgroup.Group
	for i, peer := range c {
		received.Go(func() error {
			for n := 0; ; n++ {
				if i%2 == 0 {
					if err := peer.Send(wstest.TextFrame(fmt.Sprint(n))); err != nil {
						return fmt.Errorf("sending: %w", err)
					}
				}
				_, _, err := peer.RecvMessage()
				if end := (*wstest.CloseError)(nil); errors.As(err, &end) {
					if end.Code != 1001 || end.Reason == "" {
						return fmt.Errorf("received %v, want close code 1001", end)
					}
					return answerClose(peer)
				}
				if err != nil {
					return fmt.Errorf("receiving: %w", err)
				}
				time.Sleep(time.Duration(i%100) * time.Millisecond)
			}
		})
	}
	began := time.Now()
	p.stop(t)
	took := time.Since(began)
	if err := received.Wait(); err != nil {
		t.Error(err)
	}
	d := drained(t, p)
	if d.ended != peers || d.Acknowledged+d.Unacknowledged != peers || d.Unwritable != 0 {
		t.Errorf("the log has %+v, and all %d peers received 1001", d, peers)
	}
	t.Logf("measured: %d peers received 1001 in %v: %+v", peers, took, d)
}

// TestDrainMany checks that each of 10,000 idle peers receives 1001 within the drain
// timeout. A third of them do not answer.
func TestDrainMany(t *testing.T) {
	testfull.Only(t, "10,000 connections take 30 s")
	needFiles(t, manyPeers+500)
	p := startFor(t, build(t), "--log-format=json", "--ping-interval=5m", "--max-conns=10000")
	began := time.Now()
	c := connect(t, p, manyPeers)
	t.Logf("%d peers connected in %v", manyPeers, time.Since(began))

	began = time.Now()
	var received errgroup.Group
	var mu sync.Mutex
	var last time.Duration
	answering := 0
	for i, peer := range c {
		kind := i % 6
		if kind > 1 {
			answering++
		}
		if kind == 0 {
			continue // this peer does not read
		}
		received.Go(func() error {
			if err := recvGoingAway(peer); err != nil {
				return err
			}
			mu.Lock()
			last = max(last, time.Since(began))
			mu.Unlock()
			if kind == 1 {
				return nil // this peer reads and does not answer
			}
			return answerClose(peer)
		})
	}
	p.stop(t)
	took := time.Since(began)
	if err := received.Wait(); err != nil {
		t.Error(err)
	}
	// The sockets of the peers that did not read still contain the close frame.
	for i := 0; i < len(c); i += 6 {
		if err := recvGoingAway(c[i]); err != nil {
			t.Errorf("a peer that did not read: %v", err)
			break
		}
	}
	if last > drainTimeout {
		t.Errorf("the last peer received 1001 after %v, want at most the drain timeout of %v", last, drainTimeout)
	}
	d := drained(t, p)
	if d.ended != manyPeers || d.Acknowledged+d.Unacknowledged != manyPeers || d.Unwritable != 0 || d.Acknowledged > answering {
		t.Errorf("the log has %+v, want %d peers of which %d answer", d, manyPeers, answering)
	}
	t.Logf("measured: the last of %d peers received 1001 after %v, and the process ended after %v: %+v", manyPeers, last, took, d)
}

// needFiles skips a test that opens n files in each of two processes if the limit is lower.
func needFiles(t testing.TB, n uint64) {
	t.Helper()
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if uint64(limit.Max) < n {
		testfull.Missing(t, "a process may have %d open files (ulimit -Hn), and %d are needed", limit.Max, n)
	}
}

// connect opens n WebSockets.
func connect(t testing.TB, p *process, n int) []*wstest.Peer {
	t.Helper()
	return connectTo(t, p.url(), nil, n)
}

// connectTo opens n WebSockets, with TLS if the URL asks for it.
func connectTo(t testing.TB, url string, config *tls.Config, n int) []*wstest.Peer {
	t.Helper()
	peers := make([]*wstest.Peer, n)
	t.Cleanup(func() {
		for _, peer := range peers {
			if peer != nil {
				peer.Close()
			}
		}
	})
	var dialing errgroup.Group
	dialing.SetLimit(32)
	for i := range peers {
		dialing.Go(func() (err error) {
			peers[i], err = wstest.Dial(url, wstest.DialOptions{TLS: config, Timeout: 2 * waitLimit})
			return err
		})
	}
	if err := dialing.Wait(); err != nil {
		t.Fatal(err)
	}
	return peers
}

// recvGoingAway waits for the close frame with 1001.
func recvGoingAway(peer *wstest.Peer) error {
	code, reason, err := peer.Await(2 * waitLimit)
	if err == nil && (code != 1001 || reason == "") {
		err = fmt.Errorf("received %d %q, want close code 1001", code, reason)
	}
	return err
}

// answerClose answers the close frame and closes the connection after the server.
func answerClose(peer *wstest.Peer) error {
	defer peer.Close()
	if err := peer.Send(wstest.CloseFrame(1001, "")); err != nil {
		return fmt.Errorf("answering: %w", err)
	}
	end, err := peer.End(2 * waitLimit)
	if err == nil && end.AfterClose > 0 {
		err = fmt.Errorf("%d frames followed the close frame", end.AfterClose)
	}
	return err
}

// A drainLog contains the log lines of a drain.
type drainLog struct {
	Acknowledged, Unacknowledged, Unwritable int

	ended int // lines of connections that ended with kind drained
}

func drained(t *testing.T, p *process) drainLog {
	t.Helper()
	f, err := os.Open(p.log)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var d drainLog
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var line struct{ Msg, Kind string }
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			t.Fatalf("%v in %s", err, lines.Text())
		}
		switch {
		case line.Msg == "ended" && line.Kind == "drained":
			d.ended++
		case line.Msg == "drained":
			if err := json.Unmarshal(lines.Bytes(), &d); err != nil {
				t.Fatal(err)
			}
		}
	}
	return d
}
