package wstest_test

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"example.com/wsecho/wstest"
	"github.com/coder/websocket"
)

func TestMain(m *testing.M) { os.Exit(wstest.VerifyNoLeaks(m)) }

// coder returns the URL of a github.com/coder/websocket server that echoes, over
// TLS if secure.
func coder(t *testing.T, secure bool) string {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/teapot" {
			http.Error(w, "no coffee", http.StatusTeapot)
			return
		}
		c, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"b"}})
		if err != nil {
			return
		}
		defer c.CloseNow()
		for {
			kind, b, err := c.Read(r.Context())
			if err != nil || c.Write(r.Context(), kind, b) != nil {
				return
			}
		}
	}))
	t.Cleanup(s.Close)
	if secure {
		s.TLS, _ = wstest.TLS()
		s.StartTLS()
		return "wss" + strings.TrimPrefix(s.URL, "https")
	}
	s.Start()
	return "ws" + strings.TrimPrefix(s.URL, "http")
}

func dial(t *testing.T, url string, o wstest.DialOptions) *wstest.Peer {
	t.Helper()
	_, o.TLS = wstest.TLS()
	p, err := wstest.Dial(url, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// check fails the test if err is not nil.
func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}

func TestDial(t *testing.T) {
	for name, secure := range map[string]bool{"ws": false, "wss": true} {
		t.Run(name, func(t *testing.T) {
			p := dial(t, coder(t, secure)+"/echo", wstest.DialOptions{Subprotocols: []string{"a", "b"}})
			if got := p.Response.Header.Get("Sec-WebSocket-Protocol"); got != "b" {
				t.Errorf("got subprotocol %q, want b", got)
			}
			frames := wstest.Fragments(wstest.Text, "he", "l", "lo")
			check(t, p.Send(frames[0], wstest.PingFrame("?"), frames[1], frames[2]))
			f, err := p.Recv()
			if err != nil || f.Opcode != wstest.Pong || string(f.Payload) != "?" || f.Masked {
				t.Fatalf("got %v, %v, want a pong", f, err)
			}
			check(t, p.Send(wstest.PingFrame("skipped")))
			opcode, payload, err := p.RecvMessage()
			if err != nil || opcode != wstest.Text || string(payload) != "hello" {
				t.Fatalf("got %d %q, %v, want hello", opcode, payload, err)
			}
			check(t, p.Send(wstest.CloseFrame(1000, "bye")))
			end, err := p.End(5 * time.Second)
			if err != nil || end.Code != 1000 || !end.FIN || end.CloseNotify != secure || end.AfterClose != 0 {
				t.Errorf("got %v, %v, want 1000 and FIN", end, err)
			}
		})
	}
}

func TestUnmasked(t *testing.T) {
	p := dial(t, coder(t, false), wstest.DialOptions{})
	p.NoMask = true
	check(t, p.Send(wstest.TextFrame("bare")))
	// coder closes with or without an answer of 1002.
	end, err := p.End(5 * time.Second)
	if err != nil || !end.FIN && !end.RST {
		t.Errorf("got %v, %v, want an end", end, err)
	}
}

func TestHandshakeRefused(t *testing.T) {
	_, err := wstest.Dial(coder(t, false)+"/teapot", wstest.DialOptions{})
	var bad *wstest.HandshakeError
	if !errors.As(err, &bad) || bad.Response.StatusCode != 418 || string(bad.Body) != "no coffee\n" {
		t.Errorf("got %v, want 418 with its body", err)
	}
}

func TestHandshakeWrong(t *testing.T) {
	for _, test := range []struct {
		header http.Header
		reason string
	}{
		{http.Header{"Sec-WebSocket-Accept": {"x"}}, "Sec-WebSocket-Accept does not match the key"},
		{http.Header{"upgrade": nil}, `the answer is 101 with Upgrade ""`},
		{http.Header{"Connection": {"keep-alive"}}, "the answer is 101 without Connection: Upgrade"},
	} {
		url := wstest.ServeRaw(t, nil, func(p *wstest.Peer) { check(t, p.Accept(test.header)) })
		_, err := wstest.Dial(url, wstest.DialOptions{})
		var bad *wstest.HandshakeError
		if !errors.As(err, &bad) || bad.Reason != test.reason {
			t.Errorf("%v: got %v, want %s", test.header, err, test.reason)
		}
	}
}

func TestDialErrors(t *testing.T) {
	for _, url := range []string{"http://127.0.0.1", "ws://127.0.0.1:bad", "ws://\x7f", "127.0.0.1"} {
		if _, err := wstest.Dial(url, wstest.DialOptions{}); err == nil {
			t.Errorf("%q: got no error", url)
		}
	}
	broken := errors.New("broken")
	_, err := wstest.RawDial("ws://x", wstest.DialOptions{
		Dial: func(network, addr string) (net.Conn, error) {
			if network != "tcp" || addr != "x:80" {
				t.Errorf("got %s %s, want tcp x:80", network, addr)
			}
			return nil, broken
		},
	})
	if err != broken {
		t.Errorf("got %v, want the error of Dial", err)
	}
	mute := wstest.ServeRaw(t, nil, wstest.Silent)
	_, err = wstest.Dial(mute, wstest.DialOptions{Timeout: 20 * time.Millisecond, Dial: net.Dial})
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("mute server: got %v, want a timeout", err)
	}
}

func TestRawDial(t *testing.T) {
	url := coder(t, false)
	p, err := wstest.RawDial(url, wstest.DialOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	request := wstest.Request(url+"/path?q=1", "", http.Header{"X-More": {"1", "2"}, "host": {"other"}})
	if want := "GET /path?q=1 HTTP/1.1\r\nUpgrade: "; !strings.HasPrefix(string(request), want) {
		t.Errorf("got %q, want prefix %q", request, want)
	}
	if want := "\r\nX-More: 1\r\nX-More: 2\r\nhost: other\r\n\r\n"; !strings.HasSuffix(string(request), want) {
		t.Errorf("got %q, want suffix %q", request, want)
	}
	check(t, p.Drip(request, 10*time.Microsecond))
	r, err := p.ReadResponse()
	if err != nil || r.StatusCode != 101 || r.Header.Get("Sec-WebSocket-Accept") != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
		t.Fatalf("got %v, %v, want 101", r, err)
	}
	check(t, p.Send(wstest.TextFrame("x")))
	if _, payload, err := p.RecvMessage(); err != nil || string(payload) != "x" {
		t.Errorf("got %q, %v, want x", payload, err)
	}
	check(t, p.Close())
	if err := p.Drip([]byte("xx"), time.Hour); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Drip when closed: got %v, want %v", err, net.ErrClosed)
	}
	if _, err := p.Recv(); err == nil || err == io.EOF {
		t.Errorf("Recv when closed: got %v, want an error", err)
	}
}

// TestDialInterim checks that Dial skips interim responses.
func TestDialInterim(t *testing.T) {
	url := wstest.ServeRaw(t, nil, func(p *wstest.Peer) {
		r, err := p.ReadRequest()
		if err != nil {
			return
		}
		check(t, p.SendRaw([]byte("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")))
		check(t, p.SendRaw(wstest.Response(r.Header.Get("Sec-WebSocket-Key"), nil)))
		_, _ = p.End(wstest.DefaultTimeout)
	})
	if p := dial(t, url, wstest.DialOptions{}); p.Response.StatusCode != http.StatusSwitchingProtocols {
		t.Errorf("got %s", p.Response.Status)
	}
}
