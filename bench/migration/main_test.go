package migration_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"example.com/wsecho/wstest"
)

func TestMain(m *testing.M) { os.Exit(wstest.VerifyNoLeaks(m)) }

// wsURL is url, which may be one of package httptest, for a raw peer.
func wsURL(url string) string { return "ws://" + url[strings.Index(url, "//")+2:] }

// dial connects a raw peer.
func dial(url string) *wstest.Peer {
	p, err := wstest.Dial(wsURL(url), wstest.DialOptions{})
	if err != nil {
		log.Fatal(err)
	}
	return p
}

func listen() net.Listener {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	return l
}

// handshakes prints the answers to handshakes with several origins.
func handshakes(url string) {
	const host = "chat.example.org"
	for _, origin := range []string{"", "http://" + host, "https://www.example.com", "http://www.example.com", "null"} {
		header := http.Header{"Host": {host}}
		if origin != "" {
			header.Set("Origin", origin)
		}
		p, err := wstest.Dial(wsURL(url), wstest.DialOptions{
			Header:       header,
			Subprotocols: []string{"chat.v1", "chat.v2"},
			Extensions:   "permessage-deflate",
		})
		answer := ""
		var refused *wstest.HandshakeError
		switch {
		case errors.As(err, &refused):
			answer = fmt.Sprint(refused.Response.StatusCode, " ", strings.TrimSpace(string(refused.Body)))
		case err != nil:
			log.Fatal(err)
		default:
			extension, _, _ := strings.Cut(p.Response.Header.Get("Sec-WebSocket-Extensions"), ";")
			answer = strings.TrimSpace(fmt.Sprint("101 ", p.Response.Header.Get("Sec-WebSocket-Protocol"), " ", extension))
			p.Close()
		}
		fmt.Printf("%q: %s\n", origin, answer)
	}
}

// A visit is what a raw peer does on one connection.
type visit struct {
	name string
	do   func(*wstest.Peer) error
}

func sends(frames ...wstest.Frame) func(*wstest.Peer) error {
	return func(p *wstest.Peer) error { return p.Send(frames...) }
}

// half sends half of a message and then FIN.
func half(p *wstest.Peer) error {
	b := wstest.TextFrame("half a message").WithKey([4]byte{1, 2, 3, 4}).Append(nil)
	return errors.Join(p.SendRaw(b[:len(b)/2]), p.FIN())
}

// visits are those for a read loop with a limit of 64 bytes.
var visits = []visit{
	{"hello, quit", sends(wstest.TextFrame("hello"), wstest.TextFrame("quit"))},
	{"text that is not UTF-8", sends(wstest.TextFrame("caf\xe9"), wstest.CloseFrame(1000, ""))},
	{"half a message", half},
	{"65 bytes", sends(wstest.BinaryFrame(make([]byte, 65)))},
}

// goodbyes are ways to leave.
var goodbyes = []visit{
	{"close 1000", sends(wstest.CloseFrame(1000, ""))},
	{"close without a code", sends(wstest.CloseFrame(0, ""))},
	{"close 1001", sends(wstest.CloseFrame(1001, "tab closed"))},
	{"close 4000", sends(wstest.CloseFrame(4000, ""))},
	{"FIN", (*wstest.Peer).FIN},
	{"FIN inside a message", half},
	{"RST", (*wstest.Peer).RST},
}

// pay pays the visits and prints what each peer hears.
func pay(url string, visits []visit) {
	for _, v := range visits {
		p := dial(url)
		if err := v.do(p); err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s: %s\n", v.name, strings.Join(hears(p), ", "))
		p.Close()
	}
}

// leave says each goodbye on a connection of its own and waits until the server
// is done with it. The server has to be reading before it hears one: until it has
// taken the connection from net/http, that reads, and keeps a reset to itself.
func leave(url string, done <-chan struct{}) {
	for _, g := range goodbyes {
		fmt.Print(g.name, ": ")
		p := dial(url)
		err := p.Send(wstest.PingFrame(""))
		if err == nil {
			_, err = p.Recv()
		}
		if err := errors.Join(err, g.do(p)); err != nil {
			log.Fatal(err)
		}
		<-done
		p.Close()
	}
}

// hears is a correct peer until the connection ends, and returns what it hears.
func hears(p *wstest.Peer) (heard []string) {
	end, err := p.Answer(context.Background(), wstest.AnswerOptions{Each: func(f wstest.Frame) {
		if f.Opcode != wstest.Close {
			heard = append(heard, fmt.Sprintf("%q", f.Payload))
		}
	}})
	switch {
	case err != nil:
		log.Fatal(err)
	case end.Code == 0:
		return append(heard, "no close frame")
	}
	return append(heard, strings.TrimSuffix(fmt.Sprintf("close %d %q", end.Code, end.Reason), ` ""`))
}

// halfMessage serves one client: the first of two fragments, and then the end of
// the stream.
func halfMessage() (url string) {
	l := listen()
	go func() {
		c, err := l.Accept()
		if err != nil {
			log.Fatal(err)
		}
		l.Close()
		p := wstest.Server(c)
		defer p.Close()
		if err := errors.Join(p.Accept(nil), p.Send(wstest.TextFrame("half a").Open()), p.FIN()); err != nil {
			log.Fatal(err)
		}
		_, _ = p.End(10 * time.Second) // until the client has gone, however it goes
	}()
	return "ws://" + l.Addr().String()
}

// brokenPipe reports whether err is that of a system whose peer is gone.
func brokenPipe(err error) bool {
	return errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET)
}
