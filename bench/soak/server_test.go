package soak

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"example.com/wsecho/bench/measure"
)

// TestQuiet: Quiet complains about an open socket.
func TestQuiet(t *testing.T) {
	self, err := os.FindProcess(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{Process: measure.Of(&exec.Cmd{Process: self}, ""), Name: "it"}
	if s.sockets, err = s.Sockets(); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Quiet(50 * time.Millisecond); err != nil {
		t.Fatal(err)
	}
	complains(t, &s.Ledger, "sockets open without connections")
	time.AfterFunc(50*time.Millisecond, func() { _ = l.Close() }) // Quiet waits for it
	s.Ledger = Ledger{}
	q, err := s.Quiet(stepTimeout)
	if err != nil || q.Resident < 1<<20 || q.Files < 3 {
		t.Errorf("got %+v, %v", q, err)
	}
	complains(t, &s.Ledger)
}

// TestStart: Start returns an error for programs that are not servers.
func TestStart(t *testing.T) {
	if _, err := Start(exec.Command("true"), "true", "ws"); err == nil {
		t.Error("a process that ends at once was started")
	}
	if _, err := Start(exec.Command("/nonexistent"), "nothing", "ws"); err == nil {
		t.Error("a missing program was started")
	}
}

// TestDies: a soak ends early with the reason if its server is killed.
func TestDies(t *testing.T) {
	binary, err := Build()
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(filepath.Dir(binary))
	s, err := Start(exec.Command(binary, Flags("off")...), "it", "ws")
	if err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(300*time.Millisecond, func() { _ = s.cmd.Process.Kill() })
	var out bytes.Buffer
	if err := Run(context.Background(), []*Server{s}, Options{For: time.Hour, Conns: 2}, &out); !errors.Is(err, ErrWrong) {
		t.Errorf("got %v, want %v", err, ErrWrong)
	}
	if !strings.Contains(out.String(), "it ended during the load") {
		t.Errorf("got %.2000s", out.String())
	}
}

// TestRun: an interrupted soak of a correct server finds no fault.
func TestRun(t *testing.T) {
	binary, err := Build()
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(filepath.Dir(binary))
	s, err := Start(exec.Command(binary, Flags("context-takeover")...), "it", "ws")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	time.AfterFunc(2*time.Second, cancel)
	var out bytes.Buffer
	if err := Run(ctx, []*Server{s}, Options{For: time.Hour, Conns: 4, Compression: true, Every: time.Second}, &out); err != nil {
		t.Errorf("got %v:\n%s", err, out.String())
	}
	if !strings.Contains(out.String(), "\n0 wrong\n") || !strings.Contains(out.String(), fmt.Sprint("drained ", drained)) {
		t.Errorf("got %s", out.String())
	}
}
