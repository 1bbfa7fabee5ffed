package transport

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"example.com/wsecho/internal/deflate"
	"example.com/wsecho/internal/fairness"
	"example.com/wsecho/internal/frame"
	"example.com/wsecho/internal/socket"
	"example.com/wsecho/wstest"
)

// TestYieldInALargeFrame checks that a frame of many buffers counts toward yielding, though
// it has one header.
func TestYieldInALargeFrame(t *testing.T) {
	const size = 64 << 10
	server, client := over(t, "tcp")
	o := options()
	o.Read = NewPool(8 << 10)
	c := New(server, nil, o)
	if _, err := client.Write(masked(frame.Fin|frame.Binary, make([]byte, size))); err != nil {
		t.Fatal(err)
	}
	// All input has arrived. A wait would begin a new count.
	eventually(t, "all input has arrived", func() bool { return socket.NotAcked(client) <= 0 })
	if _, err := io.CopyN(io.Discard, c, size); err != nil {
		t.Fatal(err)
	}
	if got, want := c.in.workUnits, workUnitsOf(size)-1; got < want || want >= maxWorkUnits {
		t.Errorf("%d bytes in buffers of 8 KiB count for %d units, want %d and more, but fewer than %d", size, got, want, maxWorkUnits)
	}
	client.Close()
	_ = c.Close()
	c.Hangup()
}

// TestYieldInEmptyBlocks checks that compressed input counts, though it gives no output.
func TestYieldInEmptyBlocks(t *testing.T) {
	const size = 256 << 10
	for name, payload := range map[string][]byte{
		"stored":  bytes.Repeat([]byte{0, 0, 0, 0xff, 0xff}, size/5),
		"dynamic": emptyDynamic(size),
	} {
		t.Run(name, func(t *testing.T) {
			server, client := over(t, "tcp")
			o := options()
			o.Deflate = &deflate.Params{ServerBits: 15}
			// All input has arrived. A wait would begin a new count.
			c := New(server, masked(frame.Fin|frame.RSV1|frame.Binary, append(payload, 0)), o)
			before := fairness.Yields()
			n, err := io.ReadFull(c, make([]byte, 2)) // the header of a frame without payload
			if err != nil {
				t.Fatalf("got %d bytes, %v", n, err)
			}
			if got := int(fairness.Yields() - before); got < size/(inflateUnit*maxWorkUnits)*3/4 {
				t.Errorf("%d bytes of input: got %d yields", size, got)
			}
			client.Close()
			_ = c.Close()
			c.Hangup()
		})
	}
}

// emptyDynamic returns size bytes of dynamic blocks that contain only their end.
func emptyDynamic(size int) (b []byte) {
	var bits, n uint
	put := func(v, k uint) {
		for bits, n = bits|v<<n, n+k; n >= 8; bits, n = bits>>8, n-8 {
			b = append(b, byte(bits))
		}
	}
	for len(b) < size {
		put(0, 1) // not the last block
		put(2, 2) // dynamic
		put(0, 5) // 257 codes for literals, and 1 for distances
		put(0, 5)
		put(14, 4) // 18 code lengths: the codes for 1 and for a repeated zero have 1 bit
		for _, symbol := range []int{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1} {
			if symbol == 18 || symbol == 1 {
				put(1, 3)
			} else {
				put(0, 3)
			}
		}
		put(1, 1) // 138 zeros
		put(127, 7)
		put(1, 1) // 118 zeros
		put(107, 7)
		put(0, 1) // 256 has 1 bit
		put(0, 1) // the distance has 1 bit
		put(0, 1) // the end
	}
	put(0, 3) // an empty stored block, so that the data ends at a byte
	if n > 0 {
		put(0, 8-n)
	}
	return append(b, 0, 0, 0xff, 0xff)
}

// TestYieldInCompression checks that compressed output counts, in one message, in pieces of
// one and in several messages.
func TestYieldInCompression(t *testing.T) {
	const size = 4 << 20
	for _, piece := range []int{1 << 10, 10 << 10, size} {
		for _, messages := range []bool{false, true} {
			server, client := over(t, "tcp")
			o := options()
			o.Deflate = &deflate.Params{ServerBits: 15}
			c := New(server, nil, o)
			ws := accept(t, c)
			all := drained(client)
			before := fairness.Yields()
			b := make([]byte, piece)
			w, err := ws.Writer(context.Background(), websocket.MessageBinary)
			for range size / piece {
				if messages {
					err = errors.Join(err, w.Close())
					w, _ = ws.Writer(context.Background(), websocket.MessageBinary)
				}
				_, failed := w.Write(b)
				err = errors.Join(err, failed)
			}
			if err = errors.Join(err, w.Close()); err != nil {
				t.Error(err)
			}
			// The first frame of a message decides whether it is compressed. It may be empty.
			if got, want := int(fairness.Yields()-before), size/(2*compressQuantum); got < want {
				t.Errorf("%d bytes in pieces of %d, messages %v: got %d yields, want at least %d", size, piece, messages, got, want)
			}
			_ = ws.CloseNow()
			c.Hangup()
			<-all
		}
	}
}

// TestNoYieldOneInFlight checks that a connection with one message in flight never yields.
func TestNoYieldOneInFlight(t *testing.T) {
	sock, peer := net.Pipe()
	c := New(sock, nil, options())
	ws := accept(t, c)
	var all sync.WaitGroup
	defer all.Wait()
	defer c.Hangup()
	defer ws.CloseNow()
	defer peer.Close()
	all.Go(func() {
		for {
			typ, b, err := ws.Read(context.Background())
			if err != nil || ws.Write(context.Background(), typ, b) != nil {
				return
			}
		}
	})
	f := wstest.TextFrame("hello").WithKey([4]byte{1, 2, 3, 4}).Append(nil)
	for range 3 * maxWorkUnits {
		if _, err := peer.Write(f); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(peer, make([]byte, 7)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(4 * minWait)
	}
	if c.yielder != (fairness.Yielder{}) {
		t.Errorf("the connection waited for others")
	}
}
