package socket_test

import (
	"errors"
	"io"
	"net"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"example.com/wsecho/internal/socket"
)

func newPoller(t *testing.T) *socket.Poller {
	t.Helper()
	p, err := socket.NewPoller()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// wait returns the ids of n events, sorted.
func wait(t *testing.T, p *socket.Poller, n int) []uint64 {
	t.Helper()
	var got []uint64
	for ids := make([]uint64, n); len(got) < n; {
		k, err := p.Wait(ids[:n-len(got)])
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, ids[:k]...)
	}
	slices.Sort(got)
	return got
}

// TestPollerEvents covers each event, before and after the registration for it.
func TestPollerEvents(t *testing.T) {
	const id = 1<<63 | 1<<31 | 7 // each part has its highest bit set
	events := map[string]func(peer *net.TCPConn) error{
		"input": func(peer *net.TCPConn) error {
			_, err := peer.Write([]byte("x"))
			return err
		},
		"FIN": (*net.TCPConn).CloseWrite,
		"RST": func(peer *net.TCPConn) error {
			if err := peer.SetLinger(0); err != nil {
				return err
			}
			return peer.Close()
		},
	}
	registrations := map[string]func(*socket.Poller, syscall.RawConn) error{
		"Add": func(p *socket.Poller, raw syscall.RawConn) error { return p.Add(raw, id) },
		"Rearm": func(p *socket.Poller, raw syscall.RawConn) error {
			if err := p.Add(raw, id+1); err != nil {
				return err
			}
			return p.Rearm(raw, id)
		},
	}
	for event, cause := range events {
		for registration, register := range registrations {
			for _, order := range []string{"before", "after"} {
				t.Run(event+" "+order+" "+registration, func(t *testing.T) {
					t.Parallel()
					p := newPoller(t)
					sock, peer := loopback(t)
					raw := socket.Raw(sock)
					if order == "before" {
						check(t, cause(peer.(*net.TCPConn)))
						check(t, register(p, raw))
					} else {
						check(t, register(p, raw))
						check(t, cause(peer.(*net.TCPConn)))
					}
					if got := wait(t, p, 1); got[0] != id {
						t.Errorf("got id %x, want %x", got[0], uint64(id))
					}
				})
			}
		}
	}
}

// TestPollerOneShot shows that a registration reports one event. Writes on loopback arrive
// in order. So the event of the second socket is the last possible one.
func TestPollerOneShot(t *testing.T) {
	p := newPoller(t)
	first, firstPeer := loopback(t)
	second, secondPeer := loopback(t)
	write := func(peer net.Conn) {
		t.Helper()
		_, err := peer.Write([]byte("x"))
		check(t, err)
	}
	expect := func(step string, want uint64) {
		t.Helper()
		ids := make([]uint64, 8)
		n, err := p.Wait(ids)
		if err != nil || n != 1 || ids[0] != want {
			t.Fatalf("%s: got %v, %v, want [%d]", step, ids[:n], err, want)
		}
	}
	check(t, p.Add(socket.Raw(first), 1))
	check(t, p.Add(socket.Raw(second), 2))
	write(firstPeer)
	expect("the first event", 1)

	write(firstPeer)
	write(secondPeer)
	expect("a silent socket has more input", 2)

	check(t, p.Rearm(socket.Raw(first), 3))
	expect("the input is still unread", 3)

	check(t, p.Rearm(socket.Raw(second), 2))
	check(t, p.Rearm(socket.Raw(first), 1))
	check(t, p.Remove(socket.Raw(first)))
	expect("the first socket was removed", 2)
	if err := p.Rearm(socket.Raw(first), 1); !errors.Is(err, syscall.ENOENT) {
		t.Errorf("Rearm after Remove: got %v, want %v", err, syscall.ENOENT)
	}
}

// TestPollerManyReady shows that a short slice loses no event.
func TestPollerManyReady(t *testing.T) {
	p := newPoller(t)
	var want []uint64
	for id := range uint64(10) {
		sock, peer := loopback(t)
		_, err := peer.Write([]byte("x"))
		check(t, err)
		check(t, p.Add(socket.Raw(sock), id))
		want = append(want, id)
	}
	var got []uint64
	for ids := make([]uint64, 3); len(got) < len(want); {
		n, err := p.Wait(ids)
		check(t, err)
		got = append(got, ids[:n]...)
	}
	if slices.Sort(got); !slices.Equal(got, want) {
		t.Errorf("got ids %d, want %d", got, want)
	}
	if n, err := p.Wait(nil); n != 0 || err == nil {
		t.Errorf("Wait(nil): got %d, %v, want an error", n, err)
	}
}

// TestPollerLosesNoWakeup echoes bytes over several sockets. Each byte needs a wakeup
// and a registration, which race with the peer's next byte.
func TestPollerLosesNoWakeup(t *testing.T) {
	const sockets, rounds = 8, 4000
	p := newPoller(t)
	var echo, peers sync.WaitGroup
	socks := make([]net.Conn, sockets)
	for id := range socks {
		sock, peer := loopback(t)
		socks[id] = sock
		check(t, p.Add(socket.Raw(sock), uint64(id)))
		peers.Go(func() {
			for round := range rounds {
				b := []byte{byte(round), byte(round)}[:1+round%2]
				if _, err := peer.Write(b); err != nil {
					t.Error(err)
					return
				}
				_ = peer.SetReadDeadline(time.Now().Add(30 * time.Second))
				if _, err := io.ReadFull(peer, b); err != nil {
					t.Errorf("socket %d, round %d: %v", id, round, err)
					return
				}
			}
		})
	}
	echo.Go(func() {
		for ids := make([]uint64, 3); ; {
			n, err := p.Wait(ids)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err != nil {
				t.Error(err)
				return
			}
			for _, id := range ids[:n] {
				raw, b := socket.Raw(socks[id]), make([]byte, 1) // the second byte is left to the next event
				_ = raw.Control(func(fd uintptr) {
					if n, err := socket.Read(fd, b); n != 1 || err != nil {
						t.Errorf("read after an event: got %d, %v, want 1 byte", n, err)
					}
					if n, err := socket.Write(fd, b); n != 1 || err != nil {
						t.Errorf("write: got %d, %v, want 1 byte", n, err)
					}
				})
				// After the last round the poller may be closed already.
				if err := p.Rearm(raw, id); err != nil && !errors.Is(err, net.ErrClosed) {
					t.Error(err)
				}
			}
		}
	})
	peers.Wait()
	check(t, p.Close())
	echo.Wait()
}

// TestPollerClose closes a Poller that other goroutines are using.
func TestPollerClose(t *testing.T) {
	for range 50 {
		p := newPoller(t)
		sock, _ := loopback(t)
		raw := socket.Raw(sock)
		check(t, p.Add(raw, 1))
		var users sync.WaitGroup
		started := make(chan struct{}, 2)
		for range 2 {
			users.Go(func() {
				started <- struct{}{}
				if n, err := p.Wait(make([]uint64, 1)); n != 0 || !errors.Is(err, net.ErrClosed) {
					t.Errorf("Wait: got %d, %v, want %v", n, err, net.ErrClosed)
				}
			})
		}
		users.Go(func() {
			for {
				if err := p.Rearm(raw, 1); err != nil {
					if !errors.Is(err, net.ErrClosed) {
						t.Errorf("Rearm: got %v, want %v", err, net.ErrClosed)
					}
					return
				}
			}
		})
		<-started
		<-started
		check(t, p.Close())
		users.Wait()
		for name, call := range map[string]func() error{
			"Add":    func() error { return p.Add(raw, 1) },
			"Rearm":  func() error { return p.Rearm(raw, 1) },
			"Remove": func() error { return p.Remove(raw) },
			"Close":  p.Close,
		} {
			if err := call(); !errors.Is(err, net.ErrClosed) {
				t.Errorf("%s after Close: got %v, want %v", name, err, net.ErrClosed)
			}
		}
	}
}

// TestPollerClosedSocket shows that the kernel removes a closed socket from the Poller.
func TestPollerClosedSocket(t *testing.T) {
	p := newPoller(t)
	closed, closedPeer := loopback(t)
	sock, peer := loopback(t)
	raw := socket.Raw(closed)
	check(t, p.Add(raw, 1))
	check(t, p.Add(socket.Raw(sock), 2))
	check(t, closed.Close())
	check(t, closedPeer.Close())
	_, err := peer.Write([]byte("x"))
	check(t, err)
	if got := wait(t, p, 1); got[0] != 2 {
		t.Errorf("got an event of socket %d, want 2", got[0])
	}
	if err := p.Rearm(raw, 1); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Rearm of a closed socket: got %v, want %v", err, net.ErrClosed)
	}
}
