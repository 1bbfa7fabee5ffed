//go:build !race

package server_test

import (
	"io"
	"testing"

	"example.com/wsecho/server"
	"example.com/wsecho/wstest"
)

// TestNoAllocations echoes without allocating, once the pools are filled. Under
// the race detector sync.Pool drops some of what it is given, so there is no such
// test there.
func TestNoAllocations(t *testing.T) {
	s := serve(t, echoes, server.Options{HoldReplies: true, PingInterval: -1})
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
			t.Errorf("%d bytes: %v allocations a message, want none", size, allocs)
		}
	}
}
