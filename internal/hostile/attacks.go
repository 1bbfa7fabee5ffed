package hostile

import (
	"bytes"
	"compress/flate"
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"example.com/wsecho/wstest"
)

// Attacks returns all attacks.
func Attacks() []Attack {
	const slow = 100 * time.Millisecond
	ping, pong := frames(wstest.PingFrame("x")), frames(wstest.PongFrame("x"))
	open := frames(wstest.TextFrame("").Open())
	message := frames(wstest.BinaryFrame(make([]byte, 15<<10)))
	large := frames(wstest.BinaryFrame(make([]byte, 1<<20)))
	// With these flags a server detects a fault in DetectionTime.
	detecting := []string{"--ping-interval=" + pingInterval.String(), "--ping-timeout=" + pongTimeout.String(), "--max-missed=2", "--close-timeout=" + closeTimeout.String()}
	// When the fault happens, such a connection reads, is in a message, sends, or sends
	// and does not read.
	vanish := func(c *conn) {
		if !c.handshake("") {
			return
		}
		switch c.n % 4 {
		case 0:
			c.answer()
		case 1:
			c.send(message[:len(message)/2])
			c.answer()
		case 2:
			go c.answer()
			c.flood(message)
		case 3:
			c.flood(message)
		}
	}
	return []Attack{
		{Name: "silence", run: func(c *conn) { c.discard() }},
		{Name: "header slowloris", run: func(c *conn) {
			if c.send([]byte("GET / HTTP/1.1\r\nHost: x\r\n")) {
				c.drip([]byte("X: y\r\n"), slow)
			}
		}},
		{Name: "TLS slowloris", TLS: true, run: func(c *conn) {
			switch hello := clientHello(); c.n % 4 {
			case 0:
				c.drip(hello, slow)
			case 1:
				c.send(hello[:len(hello)/2])
				c.discard()
			case 2: // it reads the server's answer and sends nothing more
				c.send(hello)
				c.discard()
			case 3:
				t := tls.Client(c.Conn, &tls.Config{InsecureSkipVerify: true})
				if t.HandshakeContext(c.ctx) == nil {
					(&conn{Conn: t, ctx: c.ctx, n: c.n}).drip([]byte("GET / HTTP/1.1\r\nHost: x\r\n"), slow)
				}
			}
		}},
		{Name: "header flood", run: func(c *conn) {
			go c.send(hugeHeader)
			c.discard()
		}},
		{Name: "plain requests, answers unread", run: func(c *conn) {
			c.flood(many([]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n")))
		}},
		// The server has answered, or can, and the connection must not keep its slot.
		{Name: "bodies that never come", run: func(c *conn) {
			c.send([]byte(choose(c, []string{"POST /", "GET /", "OPTIONS *", "GET /ws"}) + " HTTP/1.1\r\nHost: x\r\nAccept: text/html\r\n" + // the page is longer than the buffer of net/http
				choose(c, []string{"Content-Length: 100\r\n", "Transfer-Encoding: chunked\r\n", "Expect: x\r\nContent-Length: 100\r\n",
					"Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 100\r\n", "Expect: 100-continue\r\nContent-Length: 100\r\n"}) + "\r\n"))
			c.discard()
		}},
		// net/http can answer it without the server.
		{Name: "pipelined OPTIONS", run: func(c *conn) {
			go c.flood(many([]byte("OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n")))
			c.discard()
		}},
		{Name: "refused handshakes, answers unread", run: func(c *conn) {
			c.flood(many([]byte("GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
				"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nOrigin: http://elsewhere.example\r\n\r\n")))
		}},
		{Name: "handshake flood at the cap", Flags: []string{"--max-conns=100"}, Full: true, run: func(c *conn) {
			if c.handshake("") {
				c.discard()
			}
		}},
		{Name: "frame slowloris", run: func(c *conn) {
			if c.handshake("") {
				c.drip(wstest.Header(0x82, true, [4]byte{}, 1<<20, 0), slow) // and then payload
			}
		}},
		// The server keeps a part of a message until the rest arrives.
		{Name: "dripped payloads", run: func(c *conn) {
			if c.handshake("") {
				// After nothing, a half or nearly all of a MiB, the attacker sends the
				// remaining bytes one by one.
				sent := choose(c, []int{0, 1 << 19, 1<<20 - 1000})
				if c.send(append(wstest.Header(0x82, true, [4]byte{}, 1<<20, 64), make([]byte, sent)...)) {
					c.drip([]byte{0}, slow)
				}
			}
		}},
		{Name: "messages, echoes unread", run: func(c *conn) {
			if c.handshake("") {
				c.flood(message)
				c.idle()
			}
		}},
		// The server keeps an echo until the peer reads it.
		{Name: "large messages, echoes unread", run: func(c *conn) {
			if c.handshake("") {
				c.flood(large)
				c.idleFor(time.Second)
			}
		}},
		{Name: "ping flood", run: func(c *conn) {
			if c.handshake("") {
				go c.discard()
				c.flood(many(ping))
			}
		}},
		{Name: "ping flood, pongs unread", run: func(c *conn) {
			if c.handshake("") {
				c.flood(many(ping))
			}
		}},
		{Name: "pong flood", run: func(c *conn) {
			if c.handshake("") {
				go c.discard()
				c.flood(many(pong))
			}
		}},
		{Name: "messages and pings", run: func(c *conn) {
			if c.handshake("") {
				go c.discard()
				c.flood(many(append(frames(wstest.TextFrame("x")), ping...)))
			}
		}},
		{Name: "tiny fragments", run: func(c *conn) {
			if c.handshake("") && c.send(open) {
				go c.discard()
				c.flood(many(frames(wstest.Frame{Payload: []byte("x")})))
			}
		}},
		{Name: "empty fragments", run: func(c *conn) {
			if c.handshake("") && c.send(open) {
				go c.discard()
				c.flood(many(frames(wstest.Frame{})))
			}
		}},
		{Name: "false lengths", run: func(c *conn) {
			if c.handshake("") {
				length := choose(c, []uint64{1 << 63, 1<<63 - 1, 1 << 62, 1 << 40, 16<<20 + 1, 16 << 20})
				go c.send(append(wstest.Header(0x82, true, [4]byte{}, length, 64), make([]byte, 40_000)...))
				c.discard()
			}
		}},
		{Name: "invalid close frames", run: func(c *conn) {
			if c.handshake("") {
				bad := choose(c, []wstest.Frame{
					{Fin: true, Opcode: wstest.Close, Payload: []byte{3}}, wstest.CloseFrame(1005, ""), wstest.CloseFrame(999, ""),
					wstest.CloseFrame(1000, "\xff"), wstest.CloseFrame(1000, strings.Repeat("x", 124)), wstest.CloseFrame(1000, "").Open(),
				})
				c.send(frames(bad, bad, wstest.TextFrame("and more")))
				c.discard()
			}
		}},
		{Name: "closing handshakes held open", run: func(c *conn) {
			if c.handshake("") {
				// After a close frame, a violation or a part of a message, the peer sends
				// nothing more, or much more.
				c.send(choose(c, [][]byte{
					frames(wstest.CloseFrame(1000, "")), {0xff, 0xff}, frames(wstest.TextFrame("\xff")),
					append(wstest.Header(0x82, true, [4]byte{}, 1<<24, 64), make([]byte, 40_000)...),
				}))
				if c.n%2 == 0 {
					c.flood(make([]byte, 64<<10))
				}
				c.idleFor(5 * time.Second)
			}
		}},
		{Name: "resets", run: func(c *conn) {
			defer c.reset()
			if c.n%4 == 0 {
				c.send([]byte("GET / HT"))
			} else if c.handshake("") && c.n%4 > 1 {
				go c.send(message[:c.n*37%len(message)])
			}
			c.idleFor(randomMicroseconds(10_000))
		}},
		// The server keeps the inflated data until they are over the read limit.
		{Name: "deflate bombs", Flags: []string{"--compression=context-takeover"}, run: func(c *conn) {
			if c.handshake("Sec-WebSocket-Extensions: permessage-deflate\r\n") {
				go c.flood(bomb())
				c.discard()
			}
		}},
		{Name: "log injection", Flags: []string{"--log-level=debug", "--subprotocol=chat"}, run: inject},
		{Name: "log injection, JSON", Flags: []string{"--log-level=debug", "--subprotocol=chat", "--log-format=json"}, run: inject},
		{Name: "descriptors exhausted", Flags: []string{"--max-conns=1000"}, Files: 128, Full: true, run: func(c *conn) {
			if c.handshake("") {
				go c.answer()
				c.idleFor(randomMicroseconds(1_000_000)) // then another connection follows
			}
		}},
		{Name: "half-open paths", Flags: detecting, Fault: Partition, run: vanish},
		{Name: "frozen processes", Flags: detecting, Fault: Freeze, run: vanish},
	}
}

// inject sends texts that a server may log. They could end a line, forge a value or a
// line, or change the direction of the text. They could be very long.
func inject(c *conn) {
	const forged = "time=2000-01-01T00:00:00.000Z level=ERROR msg=forged forged=yes"
	long := strings.Repeat("\xff\u202e", 3000)
	paths := []string{
		"/", "/\u202e\xff\u0085\u2028", "/e\u0301\u0300\u034f\ufe0f\u3164\u2800", "/\"forged=\"yes", "/{\"forged\":\"yes\"}", "/%0a%1b[31m", "/\x1b[31m", "/a forged=yes",
		"/" + choose(c, []string{"", long}),
	}
	lines := []string{
		"", "Origin: http://\u202e\xff\r\n", "Origin: \"forged=\"yes\r\n", "Origin: \x1b[31m\r\n", "Origin: null\r\n " + forged + "\r\n",
		"Sec-WebSocket-Protocol: chat, \u202e\xff \"forged=yes\r\n", "Sec-WebSocket-Protocol: chat\r\n", "Sec-WebSocket-Protocol: \x1b[31m\r\n",
		"Sec-WebSocket-Extensions: permessage-deflate; \"forged=yes\u202e\r\n", "Host: forged=yes\u202e\r\n", "User-Agent: \u202e\xff\r\n",
		"Origin: http://" + choose(c, []string{"y", long}) + "\r\n",
	}
	reasons := []string{"\n" + forged, "\r\x1b[31m\u202e", "\" forged=\"yes", "\",\"forged\":\"yes", "\x00\u0085\u2028", strings.Repeat("\u202e", 41), "\xff", "e\u0301\u034f\ufe0f\u3164"}
	if c.handshakeAt(choose(c, paths), lines[c.n/len(paths)%len(lines)]) {
		c.send(frames(wstest.CloseFrame(4000, choose(c, reasons))))
	}
	c.discard()
}

// clientHello returns the first record of a TLS client.
var clientHello = sync.OnceValue(func() []byte {
	near, far := net.Pipe()
	over := make(chan struct{})
	go func() {
		defer close(over)
		_ = tls.Client(near, &tls.Config{InsecureSkipVerify: true}).Handshake() // there is no answer
	}()
	hello := make([]byte, 5) // the header of a record, with its length
	_, err := io.ReadFull(far, hello)
	if err == nil {
		hello = append(hello, make([]byte, binary.BigEndian.Uint16(hello[3:]))...)
		_, err = io.ReadFull(far, hello[5:])
	}
	if err != nil {
		panic(err)
	}
	_ = far.Close()
	<-over
	return hello
})

var hugeHeader = []byte("GET / HTTP/1.1\r\nHost: x\r\n" + strings.Repeat("X: "+strings.Repeat("y", 100)+"\r\n", 64<<10/105))

// bomb returns a message of 64 KiB that inflates to 64 MiB.
var bomb = sync.OnceValue(func() []byte {
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.BestCompression)
	if err != nil {
		panic(err)
	}
	zeros := make([]byte, 1<<20)
	for range 64 {
		_, _ = w.Write(zeros)
	}
	_ = w.Flush()
	return frames(wstest.BinaryFrame(bytes.TrimSuffix(b.Bytes(), []byte{0, 0, 0xff, 0xff})).WithRsv(wstest.RSV1))
})
