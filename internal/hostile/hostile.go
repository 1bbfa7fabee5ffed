// Package hostile attacks a WebSocket echo server, for the tests of this project:
//
//	for _, a := range hostile.Attacks() {
//		a.Run(ctx, "127.0.0.1:8080", 200) // until ctx is over
//	}
//
// An attack should cost the server much and the attacker little. So the attacker encodes
// its data once. If the server closes a connection, the attacker opens another one, at a
// bounded rate. On Linux, [Path] is a network whose cable can be cut or made slow. [Use]
// contains the resources of a process.
//
// The attacks are for loopback. The package judges no server; the tests do.
package hostile

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"example.com/wsecho/wstest"
)

// An Attack is an attack on a server from many connections.
type Attack struct {
	Name string
	// Flags are the flags that the server needs.
	Flags []string
	// Full means that the attack uses all slots of the server, as it may.
	Full bool
	// TLS means that the server uses TLS.
	TLS bool
	// Files is the server's limit of open files. That many more connections attack.
	// 0: the limit of the system.
	Files int
	// Fault happens to the attackers when all of them are connected.
	Fault Fault

	// run attacks with one connection. It returns when the connection is closed, or
	// before.
	run func(*conn)
}

// A Fault stops the attackers without a FIN or an RST. The server must detect that and
// release their resources.
type Fault int

const (
	None      Fault = iota
	Partition       // the path to the attackers is cut; see [Path]
	Freeze          // their process stops, and its kernel still acknowledges
)

// DetectionTime is the time in which a server detects a fault and releases the resources.
// The server has the flags of an attack with a fault. It is the time of three missed pings
// and a closing handshake.
const DetectionTime = 3*pingInterval + pongTimeout + closeTimeout

const (
	pingInterval = 400 * time.Millisecond
	pongTimeout  = pingInterval / 2
	closeTimeout = 500 * time.Millisecond
)

// Plain reports whether the attack needs no flags and no fault, and leaves slots for
// others.
func (a Attack) Plain() bool { return !a.Full && !a.TLS && a.Files == 0 && a.Fault == None }

// reconnectInterval is the least time from one connection of an attacker to its next.
const reconnectInterval = 250 * time.Millisecond

// Run attacks the server at addr with conns connections at once, until ctx ends. It adds
// the number of opened connections to opened, and returns when all are closed.
func (a Attack) Run(ctx context.Context, addr string, conns int, opened *atomic.Int64) {
	var all sync.WaitGroup
	for i := range conns {
		all.Go(func() {
			pause := time.NewTimer(reconnectInterval * time.Duration(i) / time.Duration(conns)) // not all at once
			defer pause.Stop()
			for n := i; ; n++ {
				select {
				case <-pause.C:
				case <-ctx.Done():
					return
				}
				pause.Reset(reconnectInterval)
				tcp, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
				if err != nil {
					continue
				}
				opened.Add(1)
				a.connected(ctx, tcp, n)
			}
		})
	}
	all.Wait()
}

func (a Attack) connected(ctx context.Context, tcp net.Conn, n int) {
	defer tcp.Close()
	defer context.AfterFunc(ctx, func() { tcp.Close() })()
	a.run(&conn{Conn: tcp, ctx: ctx, n: n})
}

// A conn is one connection of an attacker.
type conn struct {
	net.Conn
	ctx context.Context
	n   int // differs between connections, and between those of one attacker
}

// handshake opens a WebSocket, with these further header lines.
func (c *conn) handshake(lines string) bool { return c.handshakeAt("/", lines) }

// handshakeAt is handshake for a path.
func (c *conn) handshakeAt(path, lines string) bool {
	if !c.send([]byte("GET " + path + " HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + wstest.SampleKey + "\r\n" + lines + "\r\n")) {
		return false
	}
	var answer []byte
	for b := make([]byte, 1); !bytes.HasSuffix(answer, []byte("\r\n\r\n")); {
		if _, err := c.Read(b); err != nil {
			return false
		}
		answer = append(answer, b[0])
	}
	return bytes.HasPrefix(answer, []byte("HTTP/1.1 101 "))
}

func (c *conn) send(b []byte) bool {
	_, err := c.Write(b)
	return err == nil
}

// flood sends b again and again, as fast as the server reads.
func (c *conn) flood(b []byte) {
	for c.send(b) {
	}
}

// drip sends b byte by byte, again and again.
func (c *conn) drip(b []byte, every time.Duration) {
	t := time.NewTicker(every)
	defer t.Stop()
	for i := 0; ; i++ {
		select {
		case <-t.C:
		case <-c.ctx.Done():
			return
		}
		if !c.send(b[i%len(b):][:1]) {
			return
		}
	}
}

// discard reads until the server closes.
func (c *conn) discard() { _, _ = io.Copy(io.Discard, c.Conn) }

// answer reads, and answers pings and the close frame, as a good client does.
func (c *conn) answer() { _, _ = wstest.Client(c.Conn).Answer(c.ctx, wstest.AnswerOptions{}) }

// idle reads nothing until the end of the attack. It does not notice that the server has
// closed the connection.
func (c *conn) idle() { <-c.ctx.Done() }

// idleFor is idle for at most d.
func (c *conn) idleFor(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-c.ctx.Done():
	}
}

// reset closes with RST.
func (c *conn) reset() {
	if tcp, ok := c.Conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = c.Close()
}

// choose returns an element of all. Another connection gets another one.
func choose[T any](c *conn, all []T) T { return all[c.n%len(all)] }

// many returns b as many times as 64 KiB hold.
func many(b []byte) []byte { return bytes.Repeat(b, 64<<10/len(b)) }

// frames encodes frames with a masking key of zeros.
func frames(all ...wstest.Frame) (b []byte) {
	for _, f := range all {
		b = f.WithKey([4]byte{}).Append(b)
	}
	return b
}

// randomMicroseconds returns a random time up to most microseconds.
func randomMicroseconds(most int) time.Duration {
	return time.Duration(rand.IntN(most)) * time.Microsecond
}
