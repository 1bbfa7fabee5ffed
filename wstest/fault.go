package wstest

import (
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/coder/websocket"

	"example.com/wsecho/internal/frame"
)

// A Fault is one way in which an [EchoServer] misbehaves. Functions such as [NoPong] make
// one. Each is a parameter of docs/faults.md, with the same effect. The limits of its
// arguments may differ from those of the parameter.
//
// A wrong argument is reported by [NewServer], which ends the test.
type Fault struct {
	call  string // as in Go, for errors
	kind  string // only one fault of a kind can be in use
	wrong string // why it is wrong; empty: it is right
	event *event // the effect at one moment, which After can delay; nil: none
	set   func(*plan)
}

// event is an effect at one moment. insert comes before end.
type event struct {
	call      string // of the fault, as in Go
	insert    []byte // frames
	end       endMode
	code      uint16 // of endClose
	reason    string
	after     int           // echoed messages before it; 0: afterTime
	afterTime time.Duration // since the opening
}

// endMode is how an event ends a connection.
type endMode uint8

const (
	endNot endMode = iota
	endClose
	endFIN
	endRST
)

// Bounds of the arguments.
const (
	minTime     = time.Millisecond
	maxTime     = time.Hour
	maxCount    = 1_000_000
	maxRate     = 1 << 30
	maxFragment = 16 << 20
)

// After delays f until the server has echoed n messages. n is from 1 to 1,000,000. f must
// be CloseWith, DropFIN, DropRST, Truncate, Garbage or BadUTF8. Without After and AfterTime
// these happen at the opening.
func (f Fault) After(n int) Fault {
	return f.delayed(fmt.Sprintf("After(%d)", n), inRange("n", n, 1, maxCount), func(e *event) { e.after = n })
}

// AfterTime delays f until the connection is open for d, from a millisecond to an hour. f
// is as in After.
func (f Fault) AfterTime(d time.Duration) Fault {
	return f.delayed(fmt.Sprintf("AfterTime(%v)", d), timeInRange(d), func(e *event) { e.afterTime = d })
}

func (f Fault) delayed(call, wrong string, set func(*event)) Fault {
	f.call += "." + call
	switch {
	case f.wrong != "":
	case f.event == nil:
		f.wrong = "After and AfterTime are for CloseWith, DropFIN, DropRST, Truncate, Garbage and BadUTF8"
	case f.event.after > 0 || f.event.afterTime > 0:
		f.wrong = "it has two delays; give one"
	default:
		f.wrong = wrong
		e := *f.event // f may be used again
		set(&e)
		f.event = &e
	}
	return f
}

// CloseWith sends a close frame with this code and reason. The code is 1000 to 1003, 1007
// to 1014, or 3000 to 4999. The reason is UTF-8 of at most 123 bytes.
func CloseWith(code uint16, reason string) Fault {
	f := Fault{call: fmt.Sprintf("CloseWith(%d, %q)", code, reason), kind: "end", event: &event{end: endClose, code: code, reason: reason}}
	switch {
	case !frame.LegalCode(websocket.StatusCode(code)):
		f.wrong = "a close code is 1000 to 1003, 1007 to 1014, or 3000 to 4999; Serve and CloseFrame can send any other"
	case len(reason) > 123 || !utf8.ValidString(reason):
		f.wrong = "a reason is UTF-8 of at most 123 bytes; Serve and CloseFrame can send any other"
	}
	return f
}

// DropFIN ends TCP with FIN, without a close frame and without the end of TLS.
func DropFIN() Fault { return Fault{call: "DropFIN()", kind: "end", event: &event{end: endFIN}} }

// DropRST ends TCP with RST. A client may lose echoes that it has not read.
func DropRST() Fault { return Fault{call: "DropRST()", kind: "end", event: &event{end: endRST}} }

// Truncate ends TCP with FIN inside a frame.
func Truncate() Fault {
	b := append(Header(0x80|Binary, false, [4]byte{}, 200, 0), "truncated"...)
	return Fault{call: "Truncate()", kind: "end", event: &event{insert: b, end: endFIN}}
}

// Garbage sends an invalid frame, which has the reserved opcode 3. The connection goes on.
func Garbage() Fault {
	return Fault{call: "Garbage()", kind: "garbage", event: &event{insert: Frame{Fin: true, Opcode: 3}.Append(nil)}}
}

// BadUTF8 sends a text message that is not UTF-8. The connection goes on.
func BadUTF8() Fault {
	return Fault{call: "BadUTF8()", kind: "utf8", event: &event{insert: TextFrame("ba\xffd").Append(nil)}}
}

// Delay sends each echo d later, from a millisecond to an hour. The server reads on
// meanwhile and answers pings. At most 64 messages with 1 MiB together wait. Beyond that,
// the server does not read until one is sent.
func Delay(d time.Duration) Fault { return timed("Delay", d, func(p *plan) { p.delay = d }) }

// Jitter varies the delay of each echo at random by at most d, up or down. d is from a
// millisecond to an hour. Echoes stay in order.
func Jitter(d time.Duration) Fault { return timed("Jitter", d, func(p *plan) { p.jitter = d }) }

// NoPong answers no ping.
func NoPong() Fault { return PongsThenNone(0).named("NoPong()") }

// PongsThenNone answers n pings and then none. n is at most 1,000,000. 0 is NoPong.
func PongsThenNone(n int) Fault {
	return Fault{call: fmt.Sprintf("PongsThenNone(%d)", n), kind: "pong", wrong: inRange("n", n, 0, maxCount),
		set: func(p *plan) { p.pong, p.pongs = pongCount, n }}
}

// LatePong answers each ping d later, from a millisecond to an hour. At most 64 pongs
// wait. Further pings get none.
func LatePong(d time.Duration) Fault {
	f := timed("LatePong", d, func(p *plan) { p.pong, p.late = pongLate, d })
	f.kind = "pong"
	return f
}

// WrongPong answers each ping with another payload.
func WrongPong() Fault {
	return Fault{call: "WrongPong()", kind: "pong", set: func(p *plan) { p.pong = pongOther }}
}

// StallRead reads nothing behind the opening handshake. So nothing is answered, and the
// writes of the client block when the buffers are full. The receive buffer is as small as
// the kernel allows. The server reads again when the client has ended its stream, which it
// sees on Linux and over a [Pipe].
func StallRead() Fault {
	return Fault{call: "StallRead()", kind: "read", set: func(p *plan) { p.stall = true }}
}

// SlowRead reads this many bytes per second, from 1 to 1 GiB.
func SlowRead(rate int) Fault {
	return Fault{call: fmt.Sprintf("SlowRead(%d)", rate), kind: "read", wrong: inRange("the rate", rate, 1, maxRate),
		set: func(p *plan) { p.readRate = rate }}
}

// SlowWrite writes this many bytes per second, from 1 to 1 GiB.
func SlowWrite(rate int) Fault {
	return Fault{call: fmt.Sprintf("SlowWrite(%d)", rate), kind: "write", wrong: inRange("the rate", rate, 1, maxRate),
		set: func(p *plan) { p.writeRate = rate }}
}

// Fragment sends each message in frames of n bytes, from 1 to 16 MiB.
func Fragment(n int) Fault {
	return Fault{call: fmt.Sprintf("Fragment(%d)", n), kind: "fragment", wrong: inRange("n", n, 1, maxFragment),
		set: func(p *plan) { p.fragment = n }}
}

// Mask masks each frame of the server, which only a client may do. The frames of Garbage,
// BadUTF8 and Truncate are not masked.
func Mask() Fault { return Fault{call: "Mask()", kind: "mask", set: func(p *plan) { p.mask = true }} }

// Status refuses the handshake with this status, from 200 to 599.
func Status(code int) Fault {
	return Fault{call: fmt.Sprintf("Status(%d)", code), kind: "status", wrong: inRange("the status", code, 200, 599),
		set: func(p *plan) { p.status = code }}
}

// Hold answers the handshake d later, from a millisecond to an hour.
func Hold(d time.Duration) Fault { return timed("Hold", d, func(p *plan) { p.hold = d }) }

// WrongAccept answers the handshake with a wrong Sec-WebSocket-Accept.
func WrongAccept() Fault {
	return Fault{call: "WrongAccept()", kind: "accept", set: func(p *plan) { p.wrongAccept = true }}
}

// Hello sends a first message of JSON, with what the server sees of the request. The
// fields Authorization, Proxy-Authorization and Cookie are left out.
func Hello() Fault {
	return Fault{call: "Hello()", kind: "hello", set: func(p *plan) { p.hello = true }}
}

// HelloAll is Hello with all fields.
func HelloAll() Fault {
	return Fault{call: "HelloAll()", kind: "hello", set: func(p *plan) { p.hello, p.helloAll = true, true }}
}

// PingEvery sends a ping this often, from a millisecond to an hour.
func PingEvery(d time.Duration) Fault { return timed("PingEvery", d, func(p *plan) { p.ping = d }) }

// Send sends n text messages that are no echo, such as "message 1 of 3". It waits for every
// before each. n is at most 1,000,000. every is from a millisecond to an hour.
func Send(n int, every time.Duration) Fault {
	f := Fault{call: fmt.Sprintf("Send(%d, %v)", n, every), kind: "send", wrong: inRange("n", n, 1, maxCount),
		set: func(p *plan) { p.send, p.every = n, every }}
	if f.wrong == "" {
		f.wrong = timeInRange(every)
	}
	return f
}

// timed returns a fault whose only argument is a time.
func timed(name string, d time.Duration, set func(*plan)) Fault {
	return Fault{call: fmt.Sprintf("%s(%v)", name, d), kind: name, wrong: timeInRange(d), set: set}
}

func (f Fault) named(call string) Fault {
	f.call = call
	return f
}

// String returns the call that has made f.
func (f Fault) String() string { return f.call }

func inRange(name string, n, least, most int) string {
	if n < least || n > most {
		return fmt.Sprintf("%s is from %d to %d", name, least, most)
	}
	return ""
}

func timeInRange(d time.Duration) string {
	if d < minTime || d > maxTime {
		return fmt.Sprintf("the time is from %v to %v", minTime, maxTime)
	}
	return ""
}
