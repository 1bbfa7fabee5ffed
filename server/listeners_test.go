package server_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/wsecho/ending"
	"example.com/wsecho/internal/listener"
	"example.com/wsecho/server"
	"example.com/wsecho/wstest"
)

// TestListeners serves TCP, TLS and a unix socket at once. The connections of all of them
// echo, and are drained together.
func TestListeners(t *testing.T) {
	t.Parallel()
	for name, fails := range map[string]bool{"the context ends": false, "one fails": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			unix, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
			if err != nil {
				t.Fatal(err)
			}
			config, clients := wstest.TLS()
			broken := &failing{Listener: listenAlone(t), fail: make(chan struct{})}
			all := []net.Listener{broken, listener.WithTLS(listenAlone(t), config), unix, listener.WithTLS(listenAlone(t), config)}
			ends := make(chan server.Outcome, 2*len(all))
			s, err := server.New(echoes, server.Options{
				CloseTimeout: closeTimeout, ParkAfter: shortParkAfter, PingInterval: -1,
				OnEnd: func(o server.Outcome) { ends <- o },
			})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			served := make(chan error, 1)
			go func() { served <- s.Serve(ctx, all...) }()

			var peers []*wstest.Peer
			for i, l := range all {
				url := "ws://wsecho.test/"
				if i%2 == 1 {
					url = "wss://localhost/"
				}
				p, err := wstest.Dial(url, wstest.DialOptions{TLS: clients, Dial: func(string, string) (net.Conn, error) {
					return net.Dial(l.Addr().Network(), l.Addr().String())
				}})
				if err != nil {
					t.Fatalf("%v: %v", l.Addr(), err)
				}
				defer p.Close()
				peers = append(peers, p)
			}
			for range 2 { // the second time it may have been parked
				for i, p := range peers {
					text := fmt.Sprint("message ", i)
					if err := p.Send(wstest.TextFrame(text)); err != nil {
						t.Fatal(err)
					}
					if f, err := p.Recv(); err != nil || string(f.Payload) != text {
						t.Errorf("%v: got %q, %v", all[i].Addr(), f.Payload, err)
					}
				}
				time.Sleep(3 * shortParkAfter)
			}
			close(broken.fail) // makes Accept return when broken is closed
			if fails {
				_ = broken.Listener.Close()
			} else {
				cancel()
			}
			for _, p := range peers {
				finish(t, p, 1001)
			}
			select {
			case err := <-served:
				if fails != errors.Is(err, errExpected) {
					t.Errorf("Serve: got %v", err)
				}
			case <-time.After(soon):
				t.Fatal("Serve has not returned")
			}
			for range all {
				wantKind(t, <-ends, ending.Drained)
			}
			for _, l := range all {
				if c, err := net.Dial(l.Addr().Network(), l.Addr().String()); err == nil {
					_ = c.Close()
					t.Errorf("%v is still open", l.Addr())
				}
			}
		})
	}
}

// TestUnixNotCounted: MaxConnsPerIP does not count the clients of a unix socket, which have
// no address.
func TestUnixNotCounted(t *testing.T) {
	t.Parallel()
	l, dial := listenUnix(t)
	s := serveOn(t, l, echoes, server.Options{MaxConnsPerIP: 1})
	for range 3 {
		s.dial(t, dial)
	}
}

// TestNoListener: Serve without a listener is an error at once.
func TestNoListener(t *testing.T) {
	s, err := server.New(echoes, server.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Serve(context.Background()); err == nil {
		t.Error("got no error")
	}
}

// TestPlainOnTLS sends requests without TLS to a listener with TLS. The answer and the log
// say so. The lines are limited.
func TestPlainOnTLS(t *testing.T) {
	t.Parallel()
	var log logBuffer
	config, _ := wstest.TLS()
	l := listen(t)
	s := serveOn(t, listener.WithTLS(l, config), echoes, server.Options{Logger: log.logger()})
	answer := func(request string) string {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(soon))
		if _, err := io.WriteString(c, request); err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(c) // may end in a reset
		return string(b)
	}
	const requests = 20
	for range requests {
		const want = "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"
		if got := answer("GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n\r\n"); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	_ = answer("PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n")
	_ = answer("SSH-2.0-OpenSSH_9.6\r\n")
	_ = s.stop()
	var plain, proxy, others int
	for line := range strings.Lines(log.String()) {
		switch {
		case strings.Contains(line, "WARN msg=refused") && strings.Contains(line, "without TLS"):
			plain++
		case strings.Contains(line, "WARN msg=refused") && strings.Contains(line, "PROXY protocol"):
			proxy++
		case strings.Contains(line, "WARN"):
			others++
		}
	}
	if plain < 5 || plain >= requests || proxy != 1 || others != 0 {
		t.Errorf("%d lines about requests without TLS, want fewer than %d; %d about the PROXY protocol, want 1; %d others:\n%s", plain, requests, proxy, others, log.String())
	}
}

// TestSlowTLS: the handshake timeout includes TLS. A client that is slow in both parts has
// no more time than one that is slow in one.
func TestSlowTLS(t *testing.T) {
	t.Parallel()
	const timeout = 3 * time.Second // a busy machine needs one for a good handshake
	config, clients := wstest.TLS()
	l := &timedListener{listen(t), make(chan acceptTime, 100)}
	s := serveOn(t, listener.WithTLS(l, config), echoes, server.Options{HandshakeTimeout: timeout, PingInterval: -1})
	s.url = "wss" + s.url[len("ws"):]
	good := s.dial(t, wstest.DialOptions{})
	hello := clientHello(t, clients)
	var wg sync.WaitGroup
	for name, first := range map[string][]byte{"silence": nil, "half a ClientHello": hello[:len(hello)/2], "a ClientHello": hello} {
		wg.Go(func() {
			c, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			_ = c.SetDeadline(time.Now().Add(soon))
			if _, err := c.Write(first); err != nil {
				t.Error(err)
			}
			if _, err := io.Copy(io.Discard, c); errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("%s: not closed", name)
			}
		})
	}
	wg.Go(func() { // TLS takes most of the time, and the request the rest
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		var began time.Time
		for began.IsZero() { // until the server has accepted c
			a := <-l.accepted
			if a.remote == c.LocalAddr().String() {
				began = a.at
			}
		}
		time.Sleep(time.Until(began.Add(timeout * 7 / 10)))
		_ = c.SetDeadline(time.Now().Add(soon))
		clients := clients.Clone()
		clients.ServerName = "localhost"
		over := tls.Client(c, clients)
		if err := over.Handshake(); err != nil {
			return // late already
		}
		// A timeout of the request alone would end later.
		time.Sleep(time.Until(began.Add(timeout * 3 / 2)))
		if _, err := over.Write(wstest.Request(s.url, "", nil)); err != nil {
			return
		}
		if r, err := http.ReadResponse(bufio.NewReader(over), nil); err == nil && r.StatusCode == http.StatusSwitchingProtocols {
			t.Error("a handshake was accepted after its time")
		}
	})
	wg.Wait()
	send(t, good, wstest.TextFrame("the timeout is not the connection's"))
	receive(t, good, wstest.Text, "the timeout is not the connection's")
}

// A timedListener reports when it has accepted a connection.
type timedListener struct {
	net.Listener
	accepted chan acceptTime
}

type acceptTime struct {
	remote string
	at     time.Time
}

func (l *timedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err == nil {
		l.accepted <- acceptTime{c.RemoteAddr().String(), time.Now()}
	}
	return c, err
}

// clientHello returns the first bytes that a TLS client sends.
func clientHello(t *testing.T, config *tls.Config) []byte {
	t.Helper()
	ours, theirs := net.Pipe()
	defer ours.Close()
	config = config.Clone()
	config.ServerName = "localhost"
	go func() { _ = tls.Client(theirs, config).Handshake() }()
	b := make([]byte, 16<<10)
	_ = ours.SetReadDeadline(time.Now().Add(soon))
	n, err := ours.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	return b[:n]
}
