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

// wsURL returns url with the scheme ws. The URLs of package httptest have http.
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

// handshakes prints the server's answer to handshakes with several origins.
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

// A session contains the actions of a raw peer on one connection.
type session struct {
	name string
	do   func(*wstest.Peer) error
}

func sends(frames ...wstest.Frame) func(*wstest.Peer) error {
	return func(p *wstest.Peer) error { return p.Send(frames...) }
}

// half sends half of a message, and then FIN.
func half(p *wstest.Peer) error {
	b := wstest.TextFrame("half a message").WithKey([4]byte{1, 2, 3, 4}).Append(nil)
	return errors.Join(p.SendRaw(b[:len(b)/2]), p.FIN())
}

// sessions run against a read loop with a limit of 64 bytes.
var sessions = []session{
	{"hello, quit", sends(wstest.TextFrame("hello"), wstest.TextFrame("quit"))},
	{"text that is not UTF-8", sends(wstest.TextFrame("caf\xe9"), wstest.CloseFrame(1000, ""))},
	{"half a message", half},
	{"65 bytes", sends(wstest.BinaryFrame(make([]byte, 65)))},
}

// peerEndings are the ways in which a peer can end a connection.
var peerEndings = []session{
	{"close 1000", sends(wstest.CloseFrame(1000, ""))},
	{"close without a code", sends(wstest.CloseFrame(0, ""))},
	{"close 1001", sends(wstest.CloseFrame(1001, "tab closed"))},
	{"close 4000", sends(wstest.CloseFrame(4000, ""))},
	{"FIN", (*wstest.Peer).FIN},
	{"FIN inside a message", half},
	{"RST", (*wstest.Peer).RST},
}

// runSessions runs each session and prints the frames that the peer receives.
func runSessions(url string, sessions []session) {
	for _, s := range sessions {
		p := dial(url)
		if err := s.do(p); err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s: %s\n", s.name, strings.Join(receive(p), ", "))
		p.Close()
	}
}

// endEach ends one connection in each of the ways, and waits until the server has
// noticed. It first waits for a pong: before the upgrade net/http reads from the
// connection, and it would hide a reset.
func endEach(url string, done <-chan struct{}) {
	for _, s := range peerEndings {
		fmt.Print(s.name, ": ")
		p := dial(url)
		err := p.Send(wstest.PingFrame(""))
		if err == nil {
			_, err = p.Recv()
		}
		if err := errors.Join(err, s.do(p)); err != nil {
			log.Fatal(err)
		}
		<-done
		p.Close()
	}
}

// receive answers like a correct peer until the connection ends. It returns the
// frames that it received.
func receive(p *wstest.Peer) (received []string) {
	end, err := p.Answer(context.Background(), wstest.AnswerOptions{Each: func(f wstest.Frame) {
		if f.Opcode != wstest.Close {
			received = append(received, fmt.Sprintf("%q", f.Payload))
		}
	}})
	switch {
	case err != nil:
		log.Fatal(err)
	case end.Code == 0:
		return append(received, "no close frame")
	}
	return append(received, strings.TrimSuffix(fmt.Sprintf("close %d %q", end.Code, end.Reason), ` ""`))
}

// halfMessage serves one client. It sends the first of two fragments, and then FIN.
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
		_, _ = p.End(10 * time.Second) // any ending is right
	}()
	return "ws://" + l.Addr().String()
}

// brokenPipe reports whether err is EPIPE or ECONNRESET.
func brokenPipe(err error) bool {
	return errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET)
}
