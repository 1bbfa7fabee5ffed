//go:build unix

package command

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"example.com/wsecho/server"
)

// TestKeepAlive: the watchdog is notified only while the check succeeds.
func TestKeepAlive(t *testing.T) {
	path := socketPath(t)
	notify, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer notify.Close()
	t.Setenv("NOTIFY_SOCKET", path)
	reader, writer := io.Pipe()
	lines := make(chan string, 100)
	go func() {
		b := make([]byte, 4096)
		for n, err := reader.Read(b); err == nil; n, err = reader.Read(b) {
			lines <- string(b[:n])
		}
	}()
	defer writer.Close()
	m := &serviceManager{log: slog.New(slog.NewTextHandler(writer, nil))}
	var sick atomic.Bool
	sick.Store(true)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		m.keepAlive(ctx, 100*time.Millisecond, func(context.Context) error {
			if sick.Load() {
				return errors.New("stuck")
			}
			return nil
		})
	}()
	for range 2 {
		if line := <-lines; !strings.Contains(line, "level=WARN") || !strings.Contains(line, "cause=stuck") {
			t.Errorf("got %q", line)
		}
	}
	b := make([]byte, 100)
	_ = notify.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if n, err := notify.Read(b); err == nil {
		t.Errorf("a stuck server: got %q", b[:n])
	}
	sick.Store(false)
	_ = notify.SetReadDeadline(time.Now().Add(20 * time.Second))
	if n, err := notify.Read(b); err != nil || string(b[:n]) != "WATCHDOG=1" {
		t.Errorf("got %q, %v", b[:n], err)
	}
	cancel()
	<-done

	// systemd is gone. The log has one line.
	_ = os.Remove(path)
	m.ready()
	m.ready()
	line := <-lines
	for strings.Contains(line, "cause=stuck") { // from before
		line = <-lines
	}
	if !strings.Contains(line, "systemd cannot be notified") {
		t.Errorf("got %q", line)
	}
	select {
	case line := <-lines:
		t.Errorf("got another line: %q", line)
	default:
	}
}

// TestSelfCheck: the check fails if the server does not accept, or answers wrongly.
func TestSelfCheck(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	s, err := server.New(func(context.Context, *server.Conn) error { return nil }, server.Options{Hosts: []string{"only.example"}})
	if err != nil {
		t.Fatal(err)
	}
	l := newSelfCheck()
	serving, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- s.Serve(serving, l) }()
	for range 3 {
		if err := l.check(ctx); err != nil {
			t.Error(err)
		}
	}
	stop()
	if err := <-served; err != nil {
		t.Error(err)
	}
	if err := l.check(ctx); err != nil {
		t.Errorf("after the listener was closed: %v", err)
	}

	short, cancelShort := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancelShort()
	if err := newSelfCheck().check(short); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("nobody accepts: got %v", err)
	}
	wrong := newSelfCheck()
	hs := &http.Server{Handler: http.NotFoundHandler()}
	go func() { served <- hs.Serve(wrong) }()
	if err := wrong.check(ctx); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("a wrong answer: got %v", err)
	}
	_ = hs.Close()
	<-served

	silent := newSelfCheck() // accepts and does not answer
	limited, cancelLimited := context.WithCancel(t.Context())
	defer cancelLimited()
	go func() {
		c, err := silent.Accept()
		if err == nil {
			_, _ = c.Read(make([]byte, 1))
			cancelLimited()
			_, _ = io.Copy(io.Discard, c)
			_ = c.Close()
		}
	}()
	if err := silent.check(limited); err == nil {
		t.Error("no answer: got no error")
	}
}

// TestInheritNone: without sockets for this process, --addr=systemd is a usage error.
func TestInheritNone(t *testing.T) {
	t.Setenv("LISTEN_PID", "1") // another process
	t.Setenv("LISTEN_FDS", "1")
	f := parsed(t, "--addr=systemd")
	if f.inheritedUnused() {
		t.Error("the sockets of another process count as unused ones of this process")
	}
	if _, err := f.listen(); err == nil || exitCode(err) != exitUsage {
		t.Errorf("got %v", err)
	}
	if os.Getenv("LISTEN_FDS") != "" {
		t.Error("the variables are passed on")
	}
}
