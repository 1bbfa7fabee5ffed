package hostile

import (
	"bytes"
	"compress/flate"
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
	return []Attack{
		{Name: "silence", once: func(c *conn) { c.hear() }},
		{Name: "header slowloris", once: func(c *conn) {
			if c.send([]byte("GET / HTTP/1.1\r\nHost: x\r\n")) {
				c.drip([]byte("X: y\r\n"), slow)
			}
		}},
		{Name: "header flood", once: func(c *conn) {
			go c.send(hugeHeader)
			c.hear()
		}},
		{Name: "plain requests, answers unread", once: func(c *conn) {
			c.forever(many([]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n")))
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
		{Name: "messages, echoes unread", once: func(c *conn) {
			if c.handshake("") {
				c.forever(message)
				c.deaf()
			}
		}},
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
				length := choose(c, []uint64{1 << 63, 1<<63 - 1, 1 << 62, 1 << 40, 32<<20 + 1, 32 << 20})
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
		{Name: "deflate bombs", Flags: []string{"--compression=context-takeover"}, once: func(c *conn) {
			if c.handshake("Sec-WebSocket-Extensions: permessage-deflate\r\n") {
				go c.forever(bomb())
				c.hear()
			}
		}},
	}
}

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
