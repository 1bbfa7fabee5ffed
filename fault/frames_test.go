package fault_test

import (
	"bytes"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"example.com/wsecho/ending"
	"example.com/wsecho/server"
	"example.com/wsecho/wstest"
)

// TestPong: pings are answered as requested. An echo behind the ping shows that no pong
// comes.
func TestPong(t *testing.T) {
	t.Parallel()
	s := serve(t, server.Options{})
	ping := func(t *testing.T, p *wstest.Peer, payload string) {
		t.Helper()
		send(t, p, wstest.PingFrame(payload))
	}
	t.Run("off", func(t *testing.T) {
		p := s.dial(t, "/?pong=off")
		for range 3 {
			ping(t, p, "x")
			exchange(t, p, "behind it")
		}
	})
	t.Run("count", func(t *testing.T) {
		p := s.dial(t, "/?pong=2")
		for i := range 4 {
			ping(t, p, "x")
			if i < 2 {
				receive(t, p, wstest.PongFrame("x"))
			}
			exchange(t, p, "behind it")
		}
	})
	t.Run("other", func(t *testing.T) {
		p := s.dial(t, "/?pong=other")
		ping(t, p, "abc")
		receive(t, p, wstest.PongFrame("`bc"))
		ping(t, p, "")
		receive(t, p, wstest.PongFrame("other"))
	})
	t.Run("late", func(t *testing.T) {
		p := s.dial(t, "/?pong=late:100ms")
		start := time.Now()
		ping(t, p, "1")
		ping(t, p, "2")
		send(t, p, wstest.TextFrame("behind them"))
		got := make(map[string]int)
		for range 3 { // in any order: two timers, and on a busy machine the echo may be late too
			f, err := p.Recv()
			if err != nil {
				t.Fatal(err)
			}
			if took := time.Since(start); f.Opcode == wstest.Pong && took < 100*time.Millisecond {
				t.Errorf("a pong came after %v", took)
			}
			got[f.String()]++
		}
		if got[`pong "1"`] != 1 || got[`pong "2"`] != 1 || got[`text "behind them"`] != 1 {
			t.Errorf("got %v, want two pongs and the echo", got)
		}
	})
}

// TestDelay: an echo is late, by the delay at least.
func TestDelay(t *testing.T) {
	t.Parallel()
	s := serve(t, server.Options{})
	for path, least := range map[string]time.Duration{
		"/?delay=100ms":             100 * time.Millisecond,
		"/delay/100ms":              100 * time.Millisecond,
		"/?delay=100ms&jitter=50ms": 50 * time.Millisecond,
		"/?jitter=5ms":              0,
	} {
		p := s.dial(t, path)
		start := time.Now()
		exchange(t, p, "x")
		if took := time.Since(start); took < least {
			t.Errorf("%s: the echo took %v", path, took)
		}
	}
}

// TestDelayReads: the server reads on during a delay. It answers pings and delays several
// messages together, after counts the echoes that were sent, and the peer can close.
func TestDelayReads(t *testing.T) {
	t.Parallel()
	s := serve(t, server.Options{})
	p := s.dial(t, "/?delay=300ms&close=4001&after=20")
	start := time.Now()
	frames := slices.Repeat([]wstest.Frame{wstest.TextFrame("x")}, 30)
	send(t, p, append(frames, wstest.PingFrame("ping"))...)
	pongs := 0
	for texts := 0; texts < 20; { // without reads during a delay no pong would come before them
		f, err := p.Recv()
		switch {
		case err != nil:
			t.Fatal(err)
		case f.Opcode == wstest.Pong && string(f.Payload) == "ping":
			pongs++
		case f.Opcode == wstest.Text && string(f.Payload) == "x":
			texts++
		default:
			t.Fatalf("got %v", f)
		}
	}
	if pongs != 1 {
		t.Errorf("got %d pongs before the last echo, want 1", pongs)
	}
	if took := time.Since(start); took > 20*300*time.Millisecond {
		t.Errorf("20 echoes took %v", took)
	}
	receive(t, p, wstest.CloseFrame(4001, ""))
	if o := s.outcome(t); o.Code != 4001 || o.MessagesOut != 20 {
		t.Errorf("got %+v", o)
	}

	p = s.dial(t, "/?delay=1h")
	send(t, p, wstest.TextFrame("x"), wstest.CloseFrame(4002, ""))
	receive(t, p, wstest.CloseFrame(4002, ""))
	if o := s.outcome(t); o.Code != 4002 || o.By != ending.Peer {
		t.Errorf("got %+v", o)
	}
}

// TestFragment: each message has frames of the requested size. Control frames stay whole.
func TestFragment(t *testing.T) {
	t.Parallel()
	s := serve(t, server.Options{})
	p := s.dial(t, "/?fragment=3")
	send(t, p, wstest.TextFrame("abcdefgh"))
	for _, f := range wstest.Fragments(wstest.Text, "abc", "def", "gh") {
		receive(t, p, f)
	}
	send(t, p, wstest.BinaryFrame([]byte("abc")), wstest.TextFrame(""), wstest.PingFrame("a ping"))
	receive(t, p, wstest.BinaryFrame([]byte("abc")))
	receive(t, p, wstest.TextFrame(""))
	receive(t, p, wstest.PongFrame("a ping"))
	send(t, p, wstest.CloseFrame(1000, "a reason"))
	receive(t, p, wstest.CloseFrame(1000, "a reason"))
}

// TestMask: every frame is masked, and has the right payload behind the mask.
func TestMask(t *testing.T) {
	t.Parallel()
	s := serve(t, server.Options{})
	for _, path := range []string{"/?mask=1", "/?mask=1&fragment=1000"} {
		p := s.dial(t, path)
		want := bytes.Repeat([]byte("0123456789"), 20_001)
		send(t, p, wstest.BinaryFrame(want), wstest.PingFrame("x"), wstest.CloseFrame(1000, ""))
		var got []byte
		for {
			f, err := p.Recv()
			if err != nil || !f.Masked {
				t.Fatalf("%s: got %v, %v, want a masked frame", path, f, err)
			}
			if f.Opcode == wstest.Close {
				break
			}
			if f.Opcode <= wstest.Binary {
				got = append(got, f.Payload...)
			}
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s: got %d bytes, want the %d that were sent", path, len(got), len(want))
		}
	}
}

// TestCompressed: a client understands fragments of a compressed message, and slow ones.
func TestCompressed(t *testing.T) {
	t.Parallel()
	s := serve(t, server.Options{Compression: websocket.CompressionContextTakeover})
	c, _, err := websocket.Dial(t.Context(), s.url+"/?fragment=7&write=slow:1MiB/s&read=slow:1MiB/s", &websocket.DialOptions{CompressionMode: websocket.CompressionContextTakeover})
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	for i := range 3 {
		want := strings.Repeat(fmt.Sprintf("message %d ", i), 2000)
		if err := c.Write(t.Context(), websocket.MessageText, []byte(want)); err != nil {
			t.Fatal(err)
		}
		if _, got, err := c.Read(t.Context()); err != nil || string(got) != want {
			t.Fatalf("got %.40q (%d bytes), %v, want %.40q (%d bytes)", got, len(got), err, want, len(want))
		}
	}
}

// TestGarbage: an invalid frame and an invalid text come at the requested time, and the
// connection goes on.
func TestGarbage(t *testing.T) {
	t.Parallel()
	s := serve(t, server.Options{})
	p := s.dial(t, "/?garbage=1&utf8=bad&after=2")
	exchange(t, p, "1")
	exchange(t, p, "2")
	receive(t, p, wstest.TextFrame("ba\xffd"))
	receive(t, p, wstest.Frame{Fin: true, Opcode: 3})
	exchange(t, p, "3")
	p = s.dial(t, "/?garbage=1")
	receive(t, p, wstest.Frame{Fin: true, Opcode: 3})
	exchange(t, p, "1")
	p = s.dial(t, "/?utf8=bad&after=5ms&drop=rst")
	receive(t, p, wstest.TextFrame("ba\xffd"))
	if e, err := p.End(soon); err != nil || !e.RST {
		t.Errorf("got %v, %v, want RST", e, err)
	}
}

// TestSlow: reading and writing take at least the time of the rate. The messages are
// whole.
func TestSlow(t *testing.T) {
	t.Parallel()
	s := serve(t, server.Options{})
	for _, path := range []string{"/?read=slow:20KiB/s", "/?write=slow:20KiB/s"} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			p := s.dial(t, path)
			start := time.Now()
			exchange(t, p, strings.Repeat("x", 10<<10))
			if took := time.Since(start); took < 400*time.Millisecond {
				t.Errorf("10 KiB at 20 KiB/s took %v", took)
			}
			send(t, p, wstest.CloseFrame(1000, ""))
			receive(t, p, wstest.CloseFrame(1000, ""))
		})
	}
}

// TestStall: with read=stall nothing is answered, and the kernel accepts few bytes. The
// Outcome comes when the peer disconnects.
func TestStall(t *testing.T) {
	t.Parallel()
	s := serve(t, server.Options{PingInterval: 400 * time.Millisecond})
	p := s.dial(t, "/?read=stall")
	send(t, p, wstest.TextFrame("x"), wstest.CloseFrame(1000, ""))
	for range 4 { // the heartbeat does not take the stall for a dead peer
		f, err := p.Recv()
		if err != nil || f.Opcode != wstest.Ping {
			t.Fatalf("got %v, %v, want a ping", f, err)
		}
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if o := s.outcome(t); o.Fault != "read=stall" || o.By == ending.Local {
		t.Errorf("got %+v", o)
	}
}

// TestSlowWrite: a slow write is no stall, and a message that would take too long is
// refused.
func TestSlowWrite(t *testing.T) {
	t.Parallel()
	for _, network := range []string{"tcp", "unix"} { // a unix socket shows progress only between writes
		t.Run(network, func(t *testing.T) {
			t.Parallel()
			addr := "127.0.0.1:0"
			if network == "unix" {
				addr = filepath.Join(t.TempDir(), "s")
			}
			l, err := net.Listen(network, addr)
			if err != nil {
				t.Skip("this system has no unix sockets: ", err)
			}
			s := serveOn(t, l, server.Options{WriteTimeout: time.Second, PingInterval: -1})
			s.url = "ws://localhost"
			o := wstest.DialOptions{Dial: func(string, string) (net.Conn, error) { return net.Dial(network, l.Addr().String()) }}
			p := s.dialWith(t, "/?write=slow:5KiB/s", o)
			exchange(t, p, strings.Repeat("x", 12<<10)) // takes much longer than the timeout
			p = s.dialWith(t, "/?write=slow:10KiB/s&fragment=1&mask=1", o)
			send(t, p, wstest.TextFrame(strings.Repeat("x", 3<<10))) // seven bytes for each
			for n := 0; n < 3<<10; n++ {
				if _, err := p.Recv(); err != nil {
					t.Fatalf("after %d frames: %v", n, err)
				}
			}
			_ = p.Close()
			s.outcome(t)
			p = s.dialWith(t, "/?write=slow:1KiB/s", o)
			send(t, p, wstest.BinaryFrame(make([]byte, 3<<20)))
			e, err := p.End(soon)
			if err != nil || e.Code != 1009 || e.Reason != "an echo with the requested delay and rate takes over 34m8s" {
				t.Errorf("got %+v, %v", e, err)
			}
		})
	}
}

// TestSlowPeer: a peer that reads slower than a quarter of the fault's rate stalls the write.
func TestSlowPeer(t *testing.T) {
	t.Parallel()
	s := serve(t, server.Options{WriteTimeout: 500 * time.Millisecond, PingInterval: -1})
	p := s.dialWith(t, "/?write=slow:1GiB/s", wstest.DialOptions{RcvBuf: 4 << 10})
	send(t, p, wstest.BinaryFrame(make([]byte, 8<<20)))
	if o := s.outcome(t); o.Kind != ending.WriteStalled {
		t.Errorf("got %+v", o)
	}
}

// TestFirstInput: read also concerns a message that came with the handshake.
func TestFirstInput(t *testing.T) {
	t.Parallel()
	s := serve(t, server.Options{PingInterval: -1})
	for path, least := range map[string]time.Duration{"/": 0, "/?read=slow:100B/s": 50 * time.Millisecond, "/?fragment=100": 0} {
		p, err := wstest.RawDial(s.url, wstest.DialOptions{Timeout: soon})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		start := time.Now()
		first := wstest.TextFrame("a message").WithKey([4]byte{1, 2, 3, 4}).Append(wstest.Request(s.url+path, "", nil))
		if err := p.SendRaw(first); err != nil {
			t.Fatal(err)
		}
		if _, err := p.ReadResponse(); err != nil {
			t.Fatal(err)
		}
		receive(t, p, wstest.TextFrame("a message"))
		if took := time.Since(start); took < least {
			t.Errorf("%s: the echo took %v", path, took)
		}
	}
}
