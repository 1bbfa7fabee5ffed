package main

import (
	"bufio"
	"io"
	"net"
	"sync"

	"example.com/wsecho/internal/frame"
)

// A relay passes bytes on between wsecho probe and a server, and observes the server's
// frames. stop ends it.
type relay struct {
	net.Listener
	server  string
	members sync.WaitGroup

	mu      sync.Mutex
	stopped bool
	conns   []net.Conn
	pings   int
	frame   int // bytes of the longest data frame
}

// startRelay starts a relay to the server at addr.
func startRelay(addr string) (*relay, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &relay{Listener: l, server: addr}
	r.members.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			r.members.Go(func() { r.pass(client) })
		}
	})
	return r, nil
}

// stop closes all connections and waits for their ends.
func (r *relay) stop() {
	_ = r.Close()
	r.mu.Lock()
	r.stopped = true
	for _, c := range r.conns {
		_ = c.Close()
	}
	r.mu.Unlock()
	r.members.Wait()
}

// open records a connection for stop. It reports false after stop.
func (r *relay) open(c net.Conn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.conns = append(r.conns, c)
	return !r.stopped
}

// pass passes on what client and the server send.
func (r *relay) pass(client net.Conn) {
	defer client.Close()
	server, err := net.DialTimeout("tcp", r.server, limit)
	if err != nil {
		return
	}
	defer server.Close()
	if !r.open(client) || !r.open(server) {
		return
	}
	var upstream sync.WaitGroup
	upstream.Go(func() {
		_, _ = io.Copy(server, client) // an end of either is an end of both
		_ = server.(*net.TCPConn).CloseWrite()
	})
	passed := io.TeeReader(server, client)
	r.observe(bufio.NewReader(passed))
	_, _ = io.Copy(io.Discard, passed)
	_ = client.(*net.TCPConn).CloseWrite()
	upstream.Wait()
}

// observe records the frames of a server until its stream ends or is no WebSocket.
func (r *relay) observe(b *bufio.Reader) {
	for line := ""; line != "\r\n"; { // the response
		var err error
		if line, err = b.ReadString('\n'); err != nil {
			return
		}
	}
	for {
		h, err := frame.ReadHeader(b)
		if err != nil {
			return
		}
		r.mu.Lock()
		switch op := h.Opcode(); {
		case op == frame.Ping:
			r.pings++
		case op < frame.Close:
			r.frame = max(r.frame, int(h.Length))
		}
		r.mu.Unlock()
		if _, err := b.Discard(int(h.Length)); err != nil {
			return
		}
	}
}
