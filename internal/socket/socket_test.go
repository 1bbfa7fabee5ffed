package socket_test

import (
	"net"
	"runtime"
	"syscall"
	"testing"

	"example.com/wsecho/internal/socket"
)

func loopback(t *testing.T) (server, client net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if client, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	if server, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	return server, client
}

// TestRaw checks that Raw supports exactly net's own types. A type that embeds one of them
// may have another Read.
func TestRaw(t *testing.T) {
	tcp, _ := loopback(t)
	pipe, _ := net.Pipe()
	if got, want := socket.Raw(tcp) != nil, runtime.GOOS != "windows"; got != want {
		t.Errorf("Raw of TCP: got %v, want %v", got, want)
	}
	for name, sock := range map[string]net.Conn{
		"a pipe":                 pipe,
		"a type that embeds TCP": struct{ *net.TCPConn }{tcp.(*net.TCPConn)},
	} {
		if socket.Raw(sock) != nil {
			t.Errorf("%s: Raw returned a connection, want nil", name)
		}
	}
}

// TestSystemCalls makes each system call, with available bytes and without.
func TestSystemCalls(t *testing.T) {
	sock, peer := loopback(t)
	raw := socket.Raw(sock)
	if raw == nil {
		t.Skip("Raw does not support this system")
	}
	// wait calls f until it returns bytes or an error.
	wait := func(f func(fd uintptr) (int, error)) (n int, err error) {
		t.Helper()
		if err := raw.Read(func(fd uintptr) bool {
			n, err = f(fd)
			return err != socket.ErrAgain
		}); err != nil {
			t.Fatal(err)
		}
		return n, err
	}
	once := func(f func(fd uintptr)) {
		t.Helper()
		if err := raw.Control(f); err != nil {
			t.Fatal(err)
		}
	}

	p := make([]byte, 4)
	once(func(fd uintptr) {
		for name, f := range map[string]func(uintptr, []byte) (int, error){"Read": socket.Read, "Peek": socket.Peek, "Drop": socket.Drop} {
			if n, err := f(fd, p); n >= 0 || err != socket.ErrAgain {
				t.Errorf("%s of nothing: got %d, %v, want -1, %v", name, n, err, socket.ErrAgain)
			}
		}
	})

	if _, err := peer.Write([]byte("abcdefgh")); err != nil {
		t.Fatal(err)
	}
	for _, do := range []struct {
		name string
		f    func(uintptr, []byte) (int, error)
		want string // "": any
	}{{"Peek", socket.Peek, "abcd"}, {"Read", socket.Read, "abcd"}, {"Drop", socket.Drop, ""}} {
		n, err := wait(func(fd uintptr) (int, error) { return do.f(fd, p) })
		if n != 4 || err != nil || do.want != "" && string(p) != do.want {
			t.Errorf("%s: got %d, %v, %q, want %q", do.name, n, err, p, do.want)
		}
	}

	once(func(fd uintptr) {
		if n, err := socket.Write(fd, []byte("yes")); n != 3 || err != nil {
			t.Errorf("Write: got %d, %v, want 3", n, err)
		}
	})
	if n, err := peer.Read(p); err != nil || string(p[:n]) != "yes" {
		t.Errorf("the peer got %q, %v, want yes", p[:n], err)
	}
	once(socket.Shutdown)
	if n, err := wait(func(fd uintptr) (int, error) { return socket.Read(fd, p) }); n != 0 || err != nil {
		t.Errorf("Read after Shutdown: got %d, %v, want the end", n, err)
	}
	once(func(fd uintptr) {
		if _, err := socket.Write(fd, p); err != syscall.EPIPE {
			t.Errorf("Write after Shutdown: got %v, want %v, and no signal", err, syscall.EPIPE)
		}
	})
}

// TestQueue checks that acknowledged bytes leave the send queue and are counted.
func TestQueue(t *testing.T) {
	sock, _ := loopback(t)
	before := socket.Acked(sock)
	if _, err := sock.Write(make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	for socket.NotAcked(sock) > 0 {
		runtime.Gosched()
	}
	pipe, _ := net.Pipe()
	if n := socket.Acked(sock); socket.HaveQueue && n-before != 1000 || !socket.HaveQueue && n != -1 || socket.Acked(pipe) != -1 {
		t.Errorf("%d and then %d bytes are acknowledged, want 1000 more; %d of a pipe", before, n, socket.Acked(pipe))
	}
	for name, sock := range map[string]net.Conn{"TCP": sock, "a pipe": pipe} {
		known := socket.HaveQueue && name == "TCP"
		if got := socket.NotAcked(sock); known && got != 0 || !known && got >= 0 {
			t.Errorf("%s: %d bytes are not acknowledged, known %v", name, got, known)
		}
		if n, gone := socket.NotSent(sock), socket.Unanswered(sock); n != 0 || gone {
			t.Errorf("%s: %d bytes are not sent, unanswered %v, want none", name, n, gone)
		}
	}
}
