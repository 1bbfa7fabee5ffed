// Package hostile attacks a WebSocket echo server, for the tests of this project:
//
//	for _, a := range hostile.Attacks() {
//		a.Run(ctx, "127.0.0.1:8080", 200) // until ctx is over
//	}
//
// Each attack is made to cost the server as much as it can and the attacker as
// little: what is sent is encoded once, and a connection that the server has ended
// is made anew, at a bounded rate. On Linux, [Path] is a network whose cable can be
// cut or made slow, and [Use] is what a process holds.
//
// The attacks are for loopback. The package does not judge: what a server must withstand, its tests
// say.
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

// An Attack is something that many connections do to a server.
type Attack struct {
	Name string
	// Flags are what the server must be started with for it.
	Flags []string
	// Full says that the server has no place for others meanwhile, as it should.
	Full bool
	// TLS says that the server speaks TLS.
	TLS bool
	// Files are the descriptors that the server may have, and then as many more
	// connections attack. 0: what the system gives it.
	Files int
	// Fault is what is to befall the attackers when they are all there.
	Fault Fault

	// once is the life of one connection. It ends, at the latest, when the
	// connection is closed.
	once func(*conn)
}

// A Fault ends attackers in a way that nobody is told of. What they hold the server
// must find out and give back, whether they are still there or not.
type Fault int

const (
	None   Fault = iota
	Cut          // of the path to them, see [Path]
	Freeze       // of their process: its kernel goes on acknowledging
)

// FoundOut is within what time a server finds out, with the flags of an attack that
// has a fault, and has given back what they held: three pings are missed, and a
// goodbye that nobody hears.
const FoundOut = 3*beat + pongs + closing

const (
	beat    = 400 * time.Millisecond
	pongs   = beat / 2
	closing = 500 * time.Millisecond
)

// Plain reports whether it takes nothing but a server, of any flags, that is not
// full.
func (a Attack) Plain() bool { return !a.Full && !a.TLS && a.Files == 0 && a.Fault == None }

// again is the least time from one connection of an attacker to its next.
const again = 250 * time.Millisecond

// Run attacks the server at addr with so many connections at once, until ctx is
// over, and counts those that it has made. It returns when the last is closed.
func (a Attack) Run(ctx context.Context, addr string, conns int, made *atomic.Int64) {
	var all sync.WaitGroup
	for i := range conns {
		all.Go(func() {
			pause := time.NewTimer(again * time.Duration(i) / time.Duration(conns)) // not all at once
			defer pause.Stop()
			for n := i; ; n++ {
				select {
				case <-pause.C:
				case <-ctx.Done():
					return
				}
				pause.Reset(again)
				tcp, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
				if err != nil {
					continue
				}
				made.Add(1)
				a.connected(ctx, tcp, n)
			}
		})
	}
	all.Wait()
}

func (a Attack) connected(ctx context.Context, tcp net.Conn, n int) {
	defer tcp.Close()
	defer context.AfterFunc(ctx, func() { tcp.Close() })()
	a.once(&conn{Conn: tcp, ctx: ctx, n: n})
}

// A conn is one connection of an attacker.
type conn struct {
	net.Conn
	ctx context.Context
	n   int // differs between those of one moment, and between those of one attacker
}

// handshake makes a WebSocket of it, with header lines of one's own.
func (c *conn) handshake(lines string) bool { return c.ask("/", lines) }

// ask is handshake with a path of one's own.
func (c *conn) ask(path, lines string) bool {
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

// forever sends b as fast as the server takes it.
func (c *conn) forever(b []byte) {
	for c.send(b) {
	}
}

// drip sends b a byte at a time, again and again.
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

// hear reads until the server closes.
func (c *conn) hear() { _, _ = io.Copy(io.Discard, c.Conn) }

// answer is a good client that listens.
func (c *conn) answer() { _, _ = wstest.Client(c.Conn).Answer(c.ctx, wstest.AnswerOptions{}) }

// deaf waits until the server closes, and reads nothing.
func (c *conn) deaf() {
	<-c.ctx.Done() // a server that has closed is not noticed: that is the point
}

// deafFor is deaf, but not for ever.
func (c *conn) deafFor(d time.Duration) {
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

// choose is one of all, for this connection.
func choose[T any](c *conn, all []T) T { return all[c.n%len(all)] }

// many is b as often as it fits into 64 KiB.
func many(b []byte) []byte { return bytes.Repeat(b, 64<<10/len(b)) }

// frames are encoded with a key that is cheap to make.
func frames(all ...wstest.Frame) (b []byte) {
	for _, f := range all {
		b = f.WithKey([4]byte{}).Append(b)
	}
	return b
}

func someMicroseconds(most int) time.Duration {
	return time.Duration(rand.IntN(most)) * time.Microsecond
}
