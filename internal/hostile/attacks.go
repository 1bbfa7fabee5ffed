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

// Attacks are all there are.
func Attacks() []Attack {
	const slow = 100 * time.Millisecond
	ping, pong := frames(wstest.PingFrame("x")), frames(wstest.PongFrame("x"))
	open := frames(wstest.TextFrame("").Open())
	message := frames(wstest.BinaryFrame(make([]byte, 15<<10)))
	large := frames(wstest.BinaryFrame(make([]byte, 1<<20)))
	// With these it takes a server FoundOut to find out.
	soon := []string{"--ping-interval=" + beat.String(), "--ping-timeout=" + pongs.String(), "--max-missed=2", "--close-timeout=" + closing.String()}
	// vanish is one that listens, is in a message, floods, or floods and does not
	// read, when the fault befalls it.
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
			c.forever(message)
		case 3:
			c.forever(message)
		}
	}
	return []Attack{
		{Name: "silence", once: func(c *conn) { c.hear() }},
		{Name: "header slowloris", once: func(c *conn) {
			if c.send([]byte("GET / HTTP/1.1\r\nHost: x\r\n")) {
				c.drip([]byte("X: y\r\n"), slow)
			}
		}},
		{Name: "TLS slowloris", TLS: true, once: func(c *conn) {
			switch hello := clientHello(); c.n % 4 {
			case 0:
				c.drip(hello, slow)
			case 1:
				c.send(hello[:len(hello)/2])
				c.hear()
			case 2: // and what the server answers is the last that is said
				c.send(hello)
				c.hear()
			case 3:
				t := tls.Client(c.Conn, &tls.Config{InsecureSkipVerify: true})
				if t.HandshakeContext(c.ctx) == nil {
					(&conn{Conn: t, ctx: c.ctx, n: c.n}).drip([]byte("GET / HTTP/1.1\r\nHost: x\r\n"), slow)
				}
			}
		}},
		{Name: "header flood", once: func(c *conn) {
			go c.send(hugeHeader)
			c.hear()
		}},
		{Name: "plain requests, answers unread", once: func(c *conn) {
			c.forever(many([]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n")))
		}},
		// The server has answered, or can, and the connection must not keep its slot.
		{Name: "bodies that never come", once: func(c *conn) {
			c.send([]byte(choose(c, []string{"POST /", "GET /", "OPTIONS *", "GET /ws"}) + " HTTP/1.1\r\nHost: x\r\n" +
				choose(c, []string{"Content-Length: 100\r\n", "Transfer-Encoding: chunked\r\n", "Expect: x\r\nContent-Length: 100\r\n",
					"Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 100\r\n", "Expect: 100-continue\r\nContent-Length: 100\r\n"}) + "\r\n"))
			c.hear()
		}},
		// net/http can answer it without the server.
		{Name: "pipelined OPTIONS", once: func(c *conn) {
			go c.forever(many([]byte("OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n")))
			c.hear()
		}},
		{Name: "refused handshakes, answers unread", once: func(c *conn) {
			c.forever(many([]byte("GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
				"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nOrigin: http://elsewhere.example\r\n\r\n")))
		}},
		{Name: "handshake flood at the cap", Flags: []string{"--max-conns=100"}, Full: true, once: func(c *conn) {
			if c.handshake("") {
				c.hear()
			}
		}},
		{Name: "frame slowloris", once: func(c *conn) {
			if c.handshake("") {
				c.drip(wstest.Header(0x82, true, [4]byte{}, 1<<20, 0), slow) // and then payload
			}
		}},
		// What has come of a message is held until the rest has.
		{Name: "dripped payloads", once: func(c *conn) {
			if c.handshake("") {
				// Of a MiB, nothing has come, or half, or nearly all; and then a byte at a time.
				come := choose(c, []int{0, 1 << 19, 1<<20 - 1000})
				if c.send(append(wstest.Header(0x82, true, [4]byte{}, 1<<20, 64), make([]byte, come)...)) {
					c.drip([]byte{0}, slow)
				}
			}
		}},
		{Name: "messages, echoes unread", once: func(c *conn) {
			if c.handshake("") {
				c.forever(message)
				c.deaf()
			}
		}},
		// An echo is held until it is read.
		{Name: "large messages, echoes unread", once: func(c *conn) {
			if c.handshake("") {
				c.forever(large)
				c.deafFor(time.Second)
			}
		}},
		{Name: "ping flood", once: func(c *conn) {
			if c.handshake("") {
				go c.hear()
				c.forever(many(ping))
			}
		}},
		{Name: "ping flood, pongs unread", once: func(c *conn) {
			if c.handshake("") {
				c.forever(many(ping))
			}
		}},
		{Name: "pong flood", once: func(c *conn) {
			if c.handshake("") {
				go c.hear()
				c.forever(many(pong))
			}
		}},
		{Name: "messages and pings", once: func(c *conn) {
			if c.handshake("") {
				go c.hear()
				c.forever(many(append(frames(wstest.TextFrame("x")), ping...)))
			}
		}},
		{Name: "tiny fragments", once: func(c *conn) {
			if c.handshake("") && c.send(open) {
				go c.hear()
				c.forever(many(frames(wstest.Frame{Payload: []byte("x")})))
			}
		}},
		{Name: "empty fragments", once: func(c *conn) {
			if c.handshake("") && c.send(open) {
				go c.hear()
				c.forever(many(frames(wstest.Frame{})))
			}
		}},
		{Name: "lies about lengths", once: func(c *conn) {
			if c.handshake("") {
				length := choose(c, []uint64{1 << 63, 1<<63 - 1, 1 << 62, 1 << 40, 16<<20 + 1, 16 << 20})
				go c.send(append(wstest.Header(0x82, true, [4]byte{}, length, 64), make([]byte, 40_000)...))
				c.hear()
			}
		}},
		{Name: "close frames that may not be", once: func(c *conn) {
			if c.handshake("") {
				bad := choose(c, []wstest.Frame{
					{Fin: true, Opcode: wstest.Close, Payload: []byte{3}}, wstest.CloseFrame(1005, ""), wstest.CloseFrame(999, ""),
					wstest.CloseFrame(1000, "\xff"), wstest.CloseFrame(1000, strings.Repeat("x", 124)), wstest.CloseFrame(1000, "").Open(),
				})
				c.send(frames(bad, bad, wstest.TextFrame("and more")))
				c.hear()
			}
		}},
		{Name: "goodbyes held open", once: func(c *conn) {
			if c.handshake("") {
				// A reason to say goodbye, or none, and nothing after it; or no end of it.
				c.send(choose(c, [][]byte{
					frames(wstest.CloseFrame(1000, "")), {0xff, 0xff}, frames(wstest.TextFrame("\xff")),
					append(wstest.Header(0x82, true, [4]byte{}, 1<<24, 64), make([]byte, 40_000)...),
				}))
				if c.n%2 == 0 {
					c.forever(make([]byte, 64<<10))
				}
				c.deafFor(5 * time.Second)
			}
		}},
		{Name: "resets", once: func(c *conn) {
			defer c.reset()
			if c.n%4 == 0 {
				c.send([]byte("GET / HT"))
			} else if c.handshake("") && c.n%4 > 1 {
				go c.send(message[:c.n*37%len(message)])
			}
			c.deafFor(someMicroseconds(10_000))
		}},
		// What has come out of a bomb is held until it is too much.
		{Name: "deflate bombs", Flags: []string{"--compression=context-takeover"}, once: func(c *conn) {
			if c.handshake("Sec-WebSocket-Extensions: permessage-deflate\r\n") {
				go c.forever(bomb())
				c.hear()
			}
		}},
		{Name: "log injection", Flags: []string{"--log-level=debug", "--subprotocol=chat"}, once: inject},
		{Name: "log injection, JSON", Flags: []string{"--log-level=debug", "--subprotocol=chat", "--log-format=json"}, once: inject},
		{Name: "descriptors exhausted", Flags: []string{"--max-conns=1000"}, Files: 128, Full: true, once: func(c *conn) {
			if c.handshake("") {
				go c.answer()
				c.deafFor(someMicroseconds(1_000_000)) // and the next one comes in
			}
		}},
		{Name: "half-open paths", Flags: soon, Fault: Cut, once: vanish},
		{Name: "frozen processes", Flags: soon, Fault: Freeze, once: vanish},
	}
}

// inject puts into all that a server may log what would end a line, begin a value
// or a line of one's own, turn the text around it, or be very long.
func inject(c *conn) {
	const forged = "time=2000-01-01T00:00:00.000Z level=ERROR msg=forged forged=yes"
	long := strings.Repeat("\xff\u202e", 3000)
	paths := []string{
		"/", "/\u202e\xff\u0085\u2028", "/\"forged=\"yes", "/{\"forged\":\"yes\"}", "/%0a%1b[31m", "/\x1b[31m", "/a forged=yes",
		"/" + choose(c, []string{"", long}),
	}
	lines := []string{
		"", "Origin: http://\u202e\xff\r\n", "Origin: \"forged=\"yes\r\n", "Origin: \x1b[31m\r\n", "Origin: null\r\n " + forged + "\r\n",
		"Sec-WebSocket-Protocol: chat, \u202e\xff \"forged=yes\r\n", "Sec-WebSocket-Protocol: chat\r\n", "Sec-WebSocket-Protocol: \x1b[31m\r\n",
		"Sec-WebSocket-Extensions: permessage-deflate; \"forged=yes\u202e\r\n", "Host: forged=yes\u202e\r\n", "User-Agent: \u202e\xff\r\n",
		"Origin: http://" + choose(c, []string{"y", long}) + "\r\n",
	}
	reasons := []string{"\n" + forged, "\r\x1b[31m\u202e", "\" forged=\"yes", "\",\"forged\":\"yes", "\x00\u0085\u2028", strings.Repeat("\u202e", 41), "\xff"}
	if c.ask(choose(c, paths), lines[c.n/len(paths)%len(lines)]) {
		c.send(frames(wstest.CloseFrame(4000, choose(c, reasons))))
	}
	c.hear()
}

// clientHello is what a client begins TLS with.
var clientHello = sync.OnceValue(func() []byte {
	near, far := net.Pipe()
	over := make(chan struct{})
	go func() {
		defer close(over)
		_ = tls.Client(near, &tls.Config{InsecureSkipVerify: true}).Handshake() // nobody answers
	}()
	hello := make([]byte, 5) // a record's header, with the length of the rest
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

// bomb is a message of 64 MiB in 64 KiB.
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
