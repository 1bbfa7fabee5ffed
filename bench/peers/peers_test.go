package peers_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"example.com/wsecho/bench/deadpeer"
	"example.com/wsecho/bench/measure"
	"example.com/wsecho/bench/peers"
	"example.com/wsecho/load"
)

// combinations are the tested options.
var combinations = []peers.Options{
	{},
	{TLS: true},
	{Compression: true},
	{Heartbeat: time.Second},
	{TLS: true, Compression: true, Strict: true, Heartbeat: time.Second},
	{Heartbeat: -1},
}

func start(t *testing.T, p peers.Peer, o peers.Options) *measure.Process {
	t.Helper()
	proc, err := p.Start(t.Context(), tools(t), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(proc.Stop)
	return proc
}

// A client is a WebSocket that answers pings.
type client struct {
	*websocket.Conn
	pings    atomic.Int64
	received chan result // the first message, or the error of the read
}

type result struct {
	message string
	err     error
}

func dial(t *testing.T, addr string) *client {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	c := &client{received: make(chan result, 1)}
	var err error
	c.Conn, _, err = websocket.Dial(ctx, "ws://"+addr, &websocket.DialOptions{
		OnPingReceived: func(context.Context, []byte) bool { c.pings.Add(1); return true },
	})
	if err != nil {
		t.Fatal(err)
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		_, b, err := c.Read(context.Background())
		c.received <- result{string(b), err}
	}()
	t.Cleanup(func() {
		c.CloseNow()
		<-read
	})
	return c
}

// echo sends a message and returns an error if the server does not echo it.
func (c *client) echo() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := c.Write(ctx, websocket.MessageText, []byte("hello")); err != nil {
		return err
	}
	select {
	case r := <-c.received:
		if r.err == nil && r.message != "hello" {
			return fmt.Errorf("the echo is %q", r.message)
		}
		return r.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// TestEcho: every peer echoes every message with each option that it supports, and
// refuses the others.
func TestEcho(t *testing.T) {
	each(t, func(t *testing.T, p peers.Peer) {
		for _, o := range combinations {
			t.Run(fmt.Sprintf("%+v", o), func(t *testing.T) {
				if why := p.Supports(o); why != nil {
					proc, err := p.Start(t.Context(), tools(t), o)
					if err == nil {
						proc.Stop()
						t.Fatal("the server starts with an option that it does not support")
					}
					if err.Error() != why.Error() {
						t.Errorf("%q and %q", err, why)
					}
					return
				}
				proc := start(t, p, o)
				if p.Name == "raw" {
					echoesRaw(t, proc.Addr, o)
					return
				}
				sizes := []int{5, large}
				switch o {
				case peers.Options{}:
					sizes = []int{-1, 1, 125, 126, 5000, 0xffff, 0x10000, 1 << 20}
				case combinations[4], combinations[5]:
					sizes = []int{5, 5000}
				}
				if p.IsNbio() && sizes[0] < 0 { // nbio drops empty messages
					sizes = sizes[1:]
				}
				for _, size := range sizes {
					echoes(t, proc.Addr, o, size)
				}
			})
		}
	})
}

func echoes(t *testing.T, addr string, o peers.Options, size int) {
	t.Helper()
	scheme := "ws://"
	if o.TLS {
		scheme = "wss://"
	}
	for _, binary := range []bool{false, true} {
		plan := load.Plan{
			Connections: 2, InFlight: 2, Size: size, Binary: binary, Compression: o.Compression,
			Duration: 50 * time.Millisecond, Warmup: -1, Rounds: 1, TLS: &tls.Config{InsecureSkipVerify: true},
		}
		r, err := load.Run(t.Context(), plan, scheme+addr)
		if err != nil {
			t.Fatal(err)
		}
		if !r.OK() {
			t.Errorf("%d bytes, binary %v: %s", size, binary, r.Targets[0].Problems())
		}
	}
}

func echoesRaw(t *testing.T, addr string, o peers.Options) {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	if o.TLS {
		c = tls.Client(c, &tls.Config{InsecureSkipVerify: true})
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	for _, size := range []int{1, 5000, 1 << 20} {
		sent := make([]byte, size)
		for i := range sent {
			sent[i] = byte(i * i / 7)
		}
		written := make(chan error, 1)
		go func() {
			_, err := c.Write(sent)
			written <- err
		}()
		back := make([]byte, size)
		_, err := io.ReadFull(c, back)
		if err := errors.Join(err, <-written); err != nil {
			t.Fatalf("%d bytes: %v", size, err)
		}
		if !bytes.Equal(back, sent) {
			t.Fatalf("%d bytes: the echo differs", size)
		}
	}
}

// TestHeartbeat: peers ping at the given interval, and keep clients that answer. Without
// an interval, they do not ping or use their own interval, which is longer.
func TestHeartbeat(t *testing.T) {
	each(t, func(t *testing.T, p peers.Peer) {
		if p.Name == "raw" {
			return
		}
		const interval = 200 * time.Millisecond
		for _, o := range []peers.Options{{}, {Heartbeat: -1}, {Heartbeat: interval}} {
			if p.Supports(o) != nil {
				continue
			}
			addr := start(t, p, o).Addr
			began := time.Now()
			c := dial(t, addr)
			time.Sleep(5 * interval)
			least, most := int64(0), int64(0)
			switch {
			case o.Heartbeat > 0:
				least = 2 // a shared ticker or a busy machine delays pings
				for c.pings.Load() < least && time.Since(began) < 20*time.Second {
					time.Sleep(interval / 10)
				}
			case o.Heartbeat == 0:
				most = 1 // its own interval is at least 20 seconds
			}
			pings := c.pings.Load()
			took := time.Since(began)
			if o.Heartbeat > 0 {
				most = int64(took/interval) + 1
			}
			if pings < least || pings > most {
				t.Errorf("%+v: %d pings in %v, want %d to %d", o, pings, took, least, most)
			}
			if err := c.echo(); err != nil {
				t.Errorf("%+v: afterwards: %v", o, err)
			}
		}
	})
}

// TestEnd: SIGTERM ends every peer in time, and so does the end of its standard input. A
// client is connected meanwhile.
func TestEnd(t *testing.T) {
	each(t, func(t *testing.T, p peers.Peer) {
		connect := func(addr string) {
			if p.Name == "raw" {
				echoesRaw(t, addr, peers.Options{})
			} else if err := dial(t, addr).echo(); err != nil {
				t.Error(err)
			}
		}
		for _, o := range []peers.Options{{}, {Heartbeat: time.Second}} {
			if p.Supports(o) != nil {
				continue
			}
			proc := start(t, p, o)
			connect(proc.Addr)
			began := time.Now()
			if err := proc.Terminate(); err != nil {
				t.Fatal(err)
			}
			if err := proc.Wait(5 * time.Second); err != nil {
				t.Errorf("%+v: after SIGTERM: %v", o, err)
			}
			t.Logf("%+v: ended %v after SIGTERM", o, time.Since(began).Round(time.Millisecond))
		}
		proc := start(t, p, peers.Options{})
		connect(proc.Addr)
		began := time.Now()
		proc.Stop()
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("the server ended %v after its input", took)
		}
	})
}

// TestAllocs: peers in Go report their allocations, which grow with messages.
func TestAllocs(t *testing.T) {
	each(t, func(t *testing.T, p peers.Peer) {
		proc := start(t, p, peers.Options{})
		before, err := proc.Allocs()
		if _, in := peers.InProcess(p.Name); !in && !p.IsNbio() {
			if err == nil {
				t.Errorf("got %d allocations, want an error", before)
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		c, err := net.Dial("tcp", proc.Addr) // the connection allocates
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		after := before
		for began := time.Now(); after <= before && err == nil && time.Since(began) < 20*time.Second; time.Sleep(10 * time.Millisecond) {
			after, err = proc.Allocs()
		}
		if err != nil || after <= before {
			t.Errorf("%d and then %d, %v", before, after, err)
		}
	})
}

// TestInProcess: a peer of InProcess serves until its listener is closed. It runs in a
// separate process, because not all libraries end their goroutines.
func TestInProcess(t *testing.T) {
	found := 0
	for _, p := range peers.All() {
		if _, ok := peers.InProcess(p.Name); !ok {
			continue
		}
		found++
		t.Run(p.Name, func(t *testing.T) {
			proc, err := measure.Start(t.Context(), exec.Command(tools(t).Bench, "inprocess", p.Name))
			if err != nil {
				t.Fatal(err)
			}
			if p.Name == "raw" {
				echoesRaw(t, proc.Addr, peers.Options{})
			} else {
				echoes(t, proc.Addr, peers.Options{}, 5000)
			}
			proc.Stop()
			if err := proc.Wait(time.Second); err != nil {
				t.Error(err)
			}
		})
	}
	if found < 10 {
		t.Errorf("got %d peers, want at least 10", found)
	}
	if _, ok := peers.InProcess("unknown"); ok {
		t.Error("an unknown server runs in this process")
	}
}

// TestTable: each peer has a unique name and the texts of the tables.
func TestTable(t *testing.T) {
	seen := map[string]bool{}
	var full []string
	for _, p := range peers.All() {
		if seen[p.Name] || p.Name == "" || strings.ContainsAny(p.Name, " +") || p.Title == "" || p.Language == "" {
			t.Errorf("%+v", p)
		}
		seen[p.Name] = true
		if p.Full {
			full = append(full, p.Name)
		}
	}
	if got := strings.Join(full, " "); got != "wsecho gorilla coder gws" {
		t.Errorf("measured in every workload: %s", got)
	}
}

// TestBadInput: wrong arguments give an error that names the right ones.
func TestBadInput(t *testing.T) {
	for _, test := range []struct{ args, want string }{
		{"", "serve needs the name of a server"},
		{"unknown", `there is no server "unknown"`},
		{"wsecho", "wsecho: the server is not part of this program"},
		{"gorilla -tsl", "serve gorilla: flag provided but not defined: -tsl; the flags are -tls, -compression, -strict and -heartbeat INTERVAL"},
		{"gorilla tls", `serve gorilla: "tls" is not a flag; the flags are -tls, -compression, -strict and -heartbeat INTERVAL`},
		{"xnet -compression", "xnet: golang.org/x/net/websocket has no permessage-deflate"},
	} {
		var out strings.Builder
		err := peers.Child(strings.Fields(test.args), strings.NewReader(""), &out)
		if err == nil || err.Error() != test.want {
			t.Errorf("serve %s: %v", test.args, err)
		}
	}
	for _, name := range []string{"gorilla", "wsecho"} {
		p, _ := peers.Find(name)
		if proc, err := p.Start(t.Context(), peers.Tools{}, peers.Options{}); err == nil || !strings.Contains(err.Error(), " needs the path of ") {
			if err == nil {
				proc.Stop()
			}
			t.Errorf("%s without its program: %v", name, err)
		}
	}
}

// TestSilent: with a heartbeat, every peer ends a connection that answers no ping.
func TestSilent(t *testing.T) {
	each(t, func(t *testing.T, p peers.Peer) {
		o := peers.Options{Heartbeat: 300 * time.Millisecond}
		if p.Name == "raw" || p.Supports(o) != nil {
			return
		}
		noticed, ending, err := deadpeer.Dead(t.Context(), start(t, p, o).Addr, 30*time.Second)
		if err != nil || noticed == 0 {
			t.Errorf("noticed after %v: %s, %v", noticed, ending, err)
		}
	})
}

// TestReadLimit: every peer but xnet refuses a message of more than 16 MiB.
func TestReadLimit(t *testing.T) {
	each(t, func(t *testing.T, p peers.Peer) {
		if p.Name == "raw" || p.Name == "xnet" { // xnet has its own limit of 32 MiB
			return
		}
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		c, _, err := websocket.Dial(ctx, "ws://"+start(t, p, peers.Options{}).Addr, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer c.CloseNow()
		c.SetReadLimit(-1)
		go func() { _ = c.Write(ctx, websocket.MessageBinary, make([]byte, 17<<20)) }() // the read returns the error
		if _, b, err := c.Read(ctx); err == nil || ctx.Err() != nil {
			t.Errorf("got %d bytes, %v, want a closed connection", len(b), err)
		}
	})
}
