package ending_test

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/coder/websocket"

	"example.com/wsecho/ending"
	"example.com/wsecho/wstest"
)

// readUntil reads from conn until a read fails. It returns the payloads of the complete
// messages, and the error.
func readUntil(ctx context.Context, conn *websocket.Conn) (whole []string, err error) {
	for {
		_, p, err := conn.Read(ctx)
		if err != nil {
			return whole, err
		}
		whole = append(whole, string(p))
	}
}

func dial(t *testing.T, url string, base *tls.Config) *websocket.Conn {
	t.Helper()
	transport := &http.Transport{TLSClientConfig: base}
	client := &http.Client{Transport: ending.RoundTripper{Base: transport}}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, url, &websocket.DialOptions{HTTPClient: client})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.CloseNow(); transport.CloseIdleConnections() })
	return conn
}

// TestClientEndings causes each ending of a client on the wire, with a raw server.
func TestClientEndings(t *testing.T) {
	text := wstest.TextFrame("whole")
	for _, test := range []struct {
		name   string
		kind   ending.Kind
		tls    bool
		server func(p *wstest.Peer)
	}{
		{"1000", ending.Normal, false, func(p *wstest.Peer) { p.Send(text, wstest.CloseFrame(1000, "")) }},
		{"no code", ending.Normal, false, func(p *wstest.Peer) { p.Send(text, wstest.CloseFrame(0, "")) }},
		{"1001", ending.GoingAway, false, func(p *wstest.Peer) { p.Send(text, wstest.CloseFrame(1001, "bye")) }},
		{"4000", ending.PeerCode, false, func(p *wstest.Peer) { p.Send(text, wstest.CloseFrame(4000, "")) }},
		{"FIN", ending.Abnormal, false, func(p *wstest.Peer) { p.Send(text); p.FIN() }},
		{"FIN in a header", ending.Abnormal, false, func(p *wstest.Peer) { p.Send(text); p.SendRaw([]byte{0x81}); p.FIN() }},
		{"FIN in a payload", ending.Abnormal, false, func(p *wstest.Peer) {
			p.Send(text)
			p.SendRaw(append(wstest.Header(0x81, false, [4]byte{}, 1000, 0), make([]byte, 512)...))
			p.FIN()
		}},
		{"FIN between fragments", ending.Abnormal, false, func(p *wstest.Peer) { p.Send(text, wstest.TextFrame("half").Open()); p.FIN() }},
		{"close_notify", ending.Abnormal, true, func(p *wstest.Peer) { p.Send(text); p.FIN() }},
		{"RST", ending.Reset, false, func(p *wstest.Peer) { p.Send(text); time.Sleep(50 * time.Millisecond); p.RST() }},
		{"reserved bit", ending.Protocol, false, func(p *wstest.Peer) { p.Send(text, text.WithRsv(wstest.RSV2)) }},
		{"reserved opcode", ending.Protocol, false, func(p *wstest.Peer) { p.Send(text, wstest.Frame{Fin: true, Opcode: 3}) }},
		{"continuation of nothing", ending.Protocol, false, func(p *wstest.Peer) { p.Send(text, wstest.Frame{Fin: true}) }},
		{"message in a message", ending.Protocol, false, func(p *wstest.Peer) { p.Send(text, text.Open(), text) }},
		{"long ping", ending.Protocol, false, func(p *wstest.Peer) { p.Send(text, wstest.PingFrame(string(make([]byte, 126)))) }},
		{"fragmented ping", ending.Protocol, false, func(p *wstest.Peer) { p.Send(text, wstest.PingFrame("x").Open()) }},
		{"close of one byte", ending.Protocol, false, func(p *wstest.Peer) {
			p.Send(text, wstest.Frame{Fin: true, Opcode: wstest.Close, Payload: []byte{3}})
		}},
		{"top bit of the length", ending.Protocol, false, func(p *wstest.Peer) {
			p.Send(text)
			p.SendRaw(wstest.Header(0x82, false, [4]byte{}, 1<<63, 64))
		}},
		{"read limit", ending.TooBig, false, func(p *wstest.Peer) { p.Send(text, wstest.BinaryFrame(make([]byte, 40_000))) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			handle := func(p *wstest.Peer) {
				test.server(p)
				p.End(5 * time.Second) // the test ignores the client's reaction
			}
			var url string
			var config *tls.Config
			if test.tls {
				url = wstest.ServeTLS(t, handle)
				_, config = wstest.TLS()
			} else {
				url = wstest.Serve(t, handle)
			}
			conn := dial(t, url, config)
			whole, err := readUntil(t.Context(), conn)
			if got := ending.Of(err); got.Kind != test.kind {
				t.Errorf("got %v (%v), want %v", got.Kind, err, test.kind)
			}
			if len(whole) != 1 || whole[0] != "whole" {
				t.Errorf("got the messages %q, want the complete one", whole)
			}
			conn.CloseNow()
		})
	}
}

// TestClientTLS causes the endings with a fault of TLS, beneath the WebSocket.
func TestClientTLS(t *testing.T) {
	for name, test := range map[string]struct {
		beneath []byte
		want    ending.Kind
	}{
		"FIN in a record": {[]byte{23, 3, 3, 0, 200, 1, 2, 3}, ending.Truncated},
		"forged record":   {append([]byte{23, 3, 3, 0, 40}, make([]byte, 40)...), ending.BadTLS},
		"no record":       {[]byte("HTTP/1.1 400 Bad Request\r\n\r\n"), ending.BadTLS},
	} {
		t.Run(name, func(t *testing.T) {
			server, client := wstest.TLS()
			url := wstest.ServeRaw(t, server, func(p *wstest.Peer) {
				if p.Accept(nil) != nil {
					return
				}
				tcp := p.NetConn().(*tls.Conn).NetConn()
				tcp.Write(test.beneath)
				p.CutTLS()
				p.End(5 * time.Second)
			})
			conn := dial(t, url, client)
			_, err := readUntil(t.Context(), conn)
			if got := ending.Of(err); got.Kind != test.want {
				t.Errorf("got %v (%v), want %v", got.Kind, err, test.want)
			}
			if ending.Gone(err) {
				t.Error("Gone is true, but gorilla reports no close error")
			}
			conn.CloseNow()
		})
	}
}

// An ending by this side is local.
func TestClientLocal(t *testing.T) {
	for name, end := range map[string]func(conn *websocket.Conn, cancel func()){
		"cancelled": func(_ *websocket.Conn, cancel func()) { cancel() },
		"CloseNow":  func(conn *websocket.Conn, _ func()) { conn.CloseNow() },
	} {
		t.Run(name, func(t *testing.T) {
			url := wstest.Serve(t, wstest.Silent)
			conn := dial(t, url, nil)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			time.AfterFunc(50*time.Millisecond, func() { end(conn, cancel) })
			_, err := readUntil(ctx, conn)
			if got := ending.Of(err); got.Kind != ending.Closed {
				t.Errorf("got %v (%v), want closed", got.Kind, err)
			}
			conn.CloseNow()
		})
	}
}

// The wrapper must not change other answers.
func TestRoundTripperPlain(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: http.NotFoundHandler()}
	done := make(chan struct{})
	go func() { defer close(done); srv.Serve(l) }()
	t.Cleanup(func() { srv.Close(); <-done })
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: ending.RoundTripper{Base: transport}}).Get("http://" + l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusNotFound {
		t.Errorf("got %s", resp.Status)
	}
}
