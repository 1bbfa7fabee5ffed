package server_test

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/coder/websocket"

	"example.com/wsecho/ending"
	"example.com/wsecho/server"
	"example.com/wsecho/wstest"
)

// A hijackable is a ResponseWriter that can be hijacked. Its connection is one end of a
// pipe.
type hijackable struct {
	*httptest.ResponseRecorder
	conn net.Conn
	rest io.Reader
	used bool
}

func (w *hijackable) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	w.used = true
	return w.conn, bufio.NewReadWriter(bufio.NewReader(w.rest), bufio.NewWriter(w.conn)), nil
}

// FuzzHandshake sends requests to the handler. The handler does not panic, returns in
// bounded time, and gives a documented answer.
func FuzzHandshake(f *testing.F) {
	for _, header := range []http.Header{
		nil, {"Origin": {"null"}}, {"Origin": {"http://a.good.com"}}, {"Sec-WebSocket-Protocol": {"a, b"}},
		{"Sec-WebSocket-Extensions": {"permessage-deflate; client_max_window_bits=15, x;;,"}},
		{"Sec-WebSocket-Version": {"8"}}, {"Sec-WebSocket-Key": {"x"}}, {"Connection": {"close"}}, {"Host": {"[::1]:8080"}},
	} {
		f.Add(wstest.Request("ws://localhost/ws", "", header))
	}
	f.Add([]byte("GET / HTTP/1.0\r\n\r\n"))
	f.Add([]byte("POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx"))
	f.Add([]byte("GET * HTTP/1.1\r\nHost: \xff\r\nUpgrade: WebSocket\r\nConnection: a,upgrade\r\n\r\n"))
	documented := []int{200, 400, 403, 405, 421, 426, 503}
	s, err := server.New(returns(nil), server.Options{
		OriginPatterns: []string{"*.good.com"}, Hosts: []string{"localhost", "::1"}, Subprotocols: []string{"b", "a"},
		Compression: websocket.CompressionContextTakeover, CloseTimeout: time.Millisecond, PingInterval: -1, MaxConnsPerIP: 1,
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(b)))
		if err != nil {
			return
		}
		r.RemoteAddr = "192.0.2.1:1234"
		ours, theirs := net.Pipe()
		defer ours.Close()
		defer theirs.Close()
		w := &hijackable{ResponseRecorder: httptest.NewRecorder(), conn: theirs, rest: theirs}
		status := make(chan string, 1)
		go func() {
			var b [len("HTTP/1.1 101")]byte
			_, _ = io.ReadFull(ours, b[:])
			status <- string(b[:])
			_, _ = io.Copy(io.Discard, ours)
		}()
		start := time.Now()
		s.ServeHTTP(w, r)
		if d := time.Since(start); d > soon {
			t.Errorf("%v", d)
		}
		switch {
		case w.used:
			if got := <-status; got != "HTTP/1.1 101" {
				t.Errorf("got %q on a hijacked connection", got)
			}
		case !slices.Contains(documented, w.Code):
			t.Errorf("got %d", w.Code)
		}
		for i := range s.Connections() {
			t.Errorf("open: %+v", i)
		}
	})
}

// FuzzConn sends a stream of bytes to a connection and then ends the stream. The
// connection ends once, in bounded time, with a documented kind, and all its frames are
// legal.
func FuzzConn(f *testing.F) {
	key := [4]byte{1, 2, 3, 4}
	seed := func(deflate bool, frames ...wstest.Frame) {
		var b []byte
		for _, frame := range frames {
			b = frame.WithKey(key).Append(b)
		}
		f.Add(b, deflate)
	}
	seed(false, wstest.TextFrame("hello"), wstest.BinaryFrame([]byte{0, 1}), wstest.PingFrame("p"), wstest.CloseFrame(1000, "bye"))
	seed(false, append(wstest.Fragments(wstest.Text, "a", "\xe2\x82", "\xac"), wstest.PongFrame(""))...)
	seed(false, wstest.TextFrame("\xff"), wstest.TextFrame("x").WithRsv(7))
	seed(false, wstest.CloseFrame(1005, ""), wstest.TextFrame("after"))
	seed(true, wstest.BinaryFrame(deflated(f, "deflated deflated")).WithRsv(wstest.RSV1), wstest.CloseFrame(0, ""))
	seed(true, wstest.BinaryFrame([]byte{0, 0, 0xff, 0xff}).WithRsv(wstest.RSV1))
	for _, form := range forms {
		seed(true, wstest.BinaryFrame([]byte(unhex(form.payload))).WithRsv(wstest.RSV1), wstest.TextFrame("plain"), wstest.CloseFrame(0, ""))
	}
	f.Add(append(wstest.Header(0x82, true, key, 1<<63, 64), "x"...), false)
	f.Add(append(wstest.Header(0x82, true, key, 5, 16), "x"...), false)
	f.Add([]byte{0x81}, false)
	f.Fuzz(func(t *testing.T, b []byte, deflate bool) {
		if len(b) == 0 {
			return // unlike a socket, net.Pipe delivers an empty write
		}
		ends := make(chan server.Outcome, 2)
		s, err := server.New(echoes, server.Options{
			Compression: websocket.CompressionContextTakeover, ReadLimit: 1 << 16, CloseTimeout: 50 * time.Millisecond,
			PingInterval: -1, OnEnd: func(o server.Outcome) { ends <- o }, ReadBufferSize: 512, WriteBufferSize: 512,
		})
		if err != nil {
			t.Fatal(err)
		}
		header := make(http.Header)
		if deflate {
			header.Set("Sec-WebSocket-Extensions", "permessage-deflate")
		}
		r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(wstest.Request("ws://x/", "", header))))
		if err != nil {
			t.Fatal(err)
		}
		ours, theirs := net.Pipe()
		defer theirs.Close()
		p := wstest.Client(ours)
		heard := make(chan wstest.End, 1)
		go func() {
			e, _ := p.End(soon)
			heard <- e
		}()
		go func() {
			_ = p.SendRaw(b)
			_ = p.Close()
		}()
		w := &hijackable{ResponseRecorder: httptest.NewRecorder(), conn: theirs, rest: theirs}
		start := time.Now()
		s.ServeHTTP(w, r)
		if d := time.Since(start); d > soon {
			t.Errorf("it took %v", d)
		}
		<-heard
		o := <-ends
		if len(ends) > 0 {
			t.Errorf("two outcomes: %+v, %+v", o, <-ends)
		}
		switch o.Kind {
		case ending.Normal, ending.GoingAway, ending.PeerCode, ending.Abnormal,
			ending.Protocol, ending.InvalidUTF8, ending.TooBig, ending.Flood, ending.Reset, ending.Closed:
		default:
			t.Errorf("got %v, cause %v", o.Kind, o.Cause)
		}
		if err := s.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
}
