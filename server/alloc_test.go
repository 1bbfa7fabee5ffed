//go:build !race

package server_test

import (
	"io"
	"runtime"
	"testing"
	"time"

	"example.com/wsecho/server"
	"example.com/wsecho/wstest"
)

// TestNoAllocations checks that an echo allocates nothing once the pools are filled.
// The race detector makes sync.Pool drop values, so this file is not built with it.
func TestNoAllocations(t *testing.T) {
	for _, parkAfter := range []time.Duration{0, shortParkAfter} {
		s := serve(t, echoes, server.Options{PingInterval: -1, ParkAfter: parkAfter})
		p := s.dial(t, wstest.DialOptions{})
		tcp := p.NetConn()
		for _, size := range []int{5, 125, 4 << 10} {
			f := wstest.BinaryFrame(make([]byte, size))
			back := make([]byte, len(f.Append(nil)))
			f.Masked, f.Key = true, [4]byte{1, 2, 3, 4}
			in := f.Append(nil)
			allocs := testing.AllocsPerRun(500, func() {
				if _, err := tcp.Write(in); err != nil {
					t.Fatal(err)
				}
				if _, err := io.ReadFull(tcp, back); err != nil {
					t.Fatal(err)
				}
			})
			if allocs > 0 {
				t.Errorf("%d bytes, ParkAfter %v: %v allocations a message, want none", size, parkAfter, allocs)
			}
		}
	}
}

// TestIdleStack: an idle connection has one goroutine with a stack of the smallest
// size, also after a message.
func TestIdleStack(t *testing.T) {
	const n = 500
	s := serve(t, echoes, server.Options{ParkAfter: shortParkAfter, CloseTimeout: unanswered})
	used := func() (goroutines, stacks int) {
		runtime.GC() // frees the stacks of ended goroutines
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return runtime.NumGoroutine(), int(m.StackInuse)
	}
	goroutines, stacks := used()
	peers := make([]*wstest.Peer, n)
	for i := range peers {
		peers[i] = s.dial(t, wstest.DialOptions{})
	}
	for _, after := range []string{"the handshake", "a message"} {
		eventually(t, "all rest after "+after, func() bool {
			g, st := used()
			return g <= goroutines+n+10 && st <= stacks+n*13/4<<10 // the runtime keeps some for reuse
		})
		for _, p := range peers {
			send(t, p, wstest.TextFrame("hi"))
			receive(t, p, wstest.Text, "hi")
		}
	}
}
