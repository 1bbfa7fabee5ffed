package endings

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	coder "github.com/coder/websocket"
	gorilla "github.com/gorilla/websocket"

	"example.com/wsecho/ending"
	"example.com/wsecho/wstest"
)

// A clientScenario is one way in which a client's connection ends. The test plays it
// against three clients: gorilla's, coder's with ending.RoundTripper, and coder's alone.
type clientScenario struct {
	name string
	set  clientSetup
	peer []step
	expectation
	alone
}

// alone is the expected result of coder's client without ending.RoundTripper, if it
// differs. The zero value means that it does not differ. A test fails if coder changes.
type alone struct {
	truncated []string    // truncated messages that it returns as whole ones, with a nil error
	kind      ending.Kind // the kind that Of returns for the error after them; 0: the same
}

// lost describes a in the table.
func (a alone) lost() (s string) {
	for _, m := range a.truncated {
		s += fmt.Sprintf("coder alone returns %d bytes as a whole message; ", len(m))
	}
	if a.kind != ending.Open {
		s += fmt.Sprintf("coder alone reports %v", a.kind)
	}
	return strings.TrimSuffix(s, "; ")
}

type clientSetup struct {
	tls         bool
	deflate     bool
	limit       int64         // of a message; 0: the default of the client
	readTimeout time.Duration // 0: none
}

func TestClient(t *testing.T) {
	all := clientScenarios()
	tab := newTable(t, len(all))
	for i, s := range all {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			s.check(t)

			gorillaErr, messages := s.runGorilla(t)
			s.checkGorilla(t, gorillaErr)
			checkMessages(t, "gorilla", messages)

			err, messages := s.runCoder(t, func(base http.RoundTripper) http.RoundTripper {
				return ending.RoundTripper{Base: base}
			})
			s.checkGone(t, err)
			s.checkEnding(t, ending.Of(err))
			checkMessages(t, "ours", messages)
			tab.set(i, s.name, gorillaErr, ending.Gone(err), ending.Of(err), s.remark()+s.lost())

			err, messages = s.runCoder(t, func(base http.RoundTripper) http.RoundTripper { return base })
			s.checkAlone(t, err, messages)
		})
	}
}

// checkAlone compares the result of coder alone.
func (s clientScenario) checkAlone(t *testing.T, err error, messages []string) {
	t.Helper()
	messages = slices.DeleteFunc(messages, func(m string) bool { return strings.HasPrefix(m, "whole") })
	if !slices.Equal(messages, s.truncated) {
		t.Errorf("coder alone: truncated messages returned as whole ones: %q, want %q", messages, s.truncated)
	}
	want := s.alone.kind
	if want == ending.Open {
		want = s.expectation.kind
	}
	if got := ending.Of(err).Kind; got != want {
		t.Errorf("coder alone: %v (%v), want %v", got, err, want)
	}
}

func (s clientScenario) runGorilla(t *testing.T) (error, []string) {
	t.Helper()
	dialer := gorilla.Dialer{EnableCompression: s.set.deflate}
	if s.set.tls {
		_, dialer.TLSClientConfig = wstest.TLS()
	}
	return s.against(t, func(url string) (link, func() (string, error), error) {
		c, _, err := dialer.Dial(url, nil)
		if err != nil {
			return nil, nil, err
		}
		c.SetReadLimit(s.set.limit)
		if s.set.readTimeout > 0 {
			_ = c.SetReadDeadline(time.Now().Add(s.set.readTimeout))
		}
		return &gorillaLink{c}, func() (string, error) {
			_, p, err := c.ReadMessage()
			return string(p), err
		}, nil
	})
}

func (s clientScenario) runCoder(t *testing.T, through func(http.RoundTripper) http.RoundTripper) (error, []string) {
	t.Helper()
	base := &http.Transport{}
	defer base.CloseIdleConnections()
	if s.set.tls {
		_, base.TLSClientConfig = wstest.TLS()
	}
	options := &coder.DialOptions{HTTPClient: &http.Client{Transport: through(base)}}
	if s.set.deflate {
		options.CompressionMode = coder.CompressionNoContextTakeover
	}
	return s.against(t, func(url string) (link, func() (string, error), error) {
		c, _, err := coder.Dial(context.Background(), url, options)
		if err != nil {
			return nil, nil, err
		}
		if s.set.limit > 0 {
			c.SetReadLimit(s.set.limit)
		}
		ctx, cancel := context.WithCancel(context.Background())
		if s.set.readTimeout > 0 {
			ctx, cancel = context.WithTimeout(ctx, s.set.readTimeout)
		}
		return &coderLink{c, cancel}, func() (string, error) {
			_, p, err := c.Read(ctx)
			return string(p), err
		}, nil
	})
}

// against starts a raw server, dials it and plays the steps. It returns the error that
// ended reading, and the messages before it.
func (s clientScenario) against(t *testing.T, dial func(url string) (link, func() (string, error), error)) (error, []string) {
	t.Helper()
	peers, over := make(chan *wstest.Peer, 1), make(chan struct{})
	defer close(over)
	config, _ := wstest.TLS()
	if !s.set.tls {
		config = nil
	}
	answer := http.Header{}
	if s.set.deflate {
		answer.Set("Sec-WebSocket-Extensions", "permessage-deflate; server_no_context_takeover; client_no_context_takeover")
	}
	url := wstest.ServeRaw(t, config, func(p *wstest.Peer) {
		if err := p.Accept(answer); err != nil {
			t.Errorf("handshake: %v", err)
			return
		}
		peers <- p
		<-over
	})
	l, read, err := dial(url)
	if err != nil {
		t.Fatal(err)
	}
	defer l.closeNow()
	ended, messages := make(chan error, 1), []string(nil)
	go func() {
		for {
			m, err := read()
			if err != nil {
				ended <- err
				return
			}
			messages = append(messages, m)
		}
	}()
	select {
	case p := <-peers:
		return play(t, &run{peer: p, link: l}, s.peer, ended), messages
	case <-time.After(stepTimeout):
		t.Fatal("the peer has not begun")
		return nil, nil
	}
}

type coderLink struct {
	conn   *coder.Conn
	cancel context.CancelFunc
}

func (l *coderLink) write(text string) {
	_ = l.conn.Write(context.Background(), coder.MessageText, []byte(text))
}

func (l *coderLink) closeNow() {
	l.cancel()
	_ = l.conn.CloseNow()
}

func (l *coderLink) closeWith(code int) { _ = l.conn.Close(coder.StatusCode(code), "") }
func (l *coderLink) drain()             { l.closeWith(1001) }
func (l *coderLink) cancelRead()        { l.cancel() }
func (l *coderLink) beat()              {}

// clientScenarios returns the scenarios for clients.
func clientScenarios() []clientScenario {
	frame := func(code uint16, reason string) []step { return []step{send(wstest.CloseFrame(code, reason))} }
	tls := clientSetup{tls: true}
	truncated := expectation{kind: ending.Truncated}
	// coder alone reports this like a stream that ends between records.
	truncatedAlone := alone{kind: ending.Abnormal}
	limited := clientSetup{limit: 100}
	deflate := clientSetup{deflate: true}
	deadline := clientSetup{readTimeout: grace}
	// If the stream ends between two reads of a payload, coder alone takes it for the end
	// of the message. If it ends between fragments, the next error has no known kind.
	asWhole := func(m string) alone { return alone{truncated: []string{m}} }
	asWholeThenUnknown := func(m string) alone { return alone{[]string{m}, ending.Unknown} }
	// coder's Conn.Read starts with a buffer of 512 bytes.
	kilo := wstest.TextFrame("cut" + strings.Repeat(".", 997))
	masked := whole.WithKey([4]byte{})
	const ignored = "coder's client ignores the mask bit and returns the payload"
	tooBig := expectation{kind: ending.TooBig}
	return []clientScenario{
		{"close 1000", clientSetup{}, frame(1000, ""), normal, alone{}},
		{"close 1000 over TLS", tls, frame(1000, ""), normal, alone{}},
		{"close 1001", clientSetup{}, frame(1001, "restarting"), goneAway, alone{}},
		{"close 1001 over TLS", tls, frame(1001, ""), goneAway, alone{}},
		{"close 1001 after a message", clientSetup{}, []step{send(whole, wstest.CloseFrame(1001, ""))}, goneAway, alone{}},
		{"close 1001 between fragments", clientSetup{}, []step{send(start, wstest.CloseFrame(1001, ""))}, goneAway, alone{}},
		{"close without a code", clientSetup{}, frame(0, ""), expectation{gorilla: 1005, kind: ending.Normal, code: 1005}, alone{}},
		{"close 1011", clientSetup{}, frame(1011, "panic"), code(1011), alone{}},
		{"close 1013", clientSetup{}, frame(1013, ""), code(1013), alone{}},
		{"close 4000", clientSetup{}, frame(4000, "ours to say"), code(4000), alone{}},
		{"close 1006", clientSetup{}, frame(1006, ""), violation, alone{}},

		{"FIN before any frame", clientSetup{}, []step{closeTCP}, abnormal, alone{}},
		{"FIN after a message", clientSetup{}, []step{send(whole), closeTCP}, abnormal, alone{}},
		{"half-close", clientSetup{}, []step{fin}, abnormal, alone{}},
		{"FIN in a header, after 1 byte of 2", clientSetup{}, []step{part(cut, 1), fin}, abnormal, alone{}},
		{"FIN in a header, inside the length", clientSetup{}, []step{part(huge, 5), fin}, abnormal, alone{}},
		{"FIN between header and payload", clientSetup{}, []step{part(cut, 2), fin}, abnormal, asWhole("")},
		{"FIN in a payload", clientSetup{}, []step{part(cut, 2+9), fin}, abnormal, alone{}},
		{"FIN in a payload, after 300 bytes of 1000", clientSetup{}, []step{part(kilo, 4+300), fin}, abnormal, alone{}},
		{"FIN in a payload, after 512 bytes of 1000", clientSetup{}, []step{part(kilo, 4+512), fin}, abnormal, asWhole(string(kilo.Payload[:512]))},
		{"FIN in a payload, after a whole message", clientSetup{}, []step{send(whole), part(cut, 2+9), fin}, abnormal, alone{}},
		{"FIN between fragments", clientSetup{}, []step{send(start), fin}, abnormal, asWholeThenUnknown("cut")},
		{"FIN in the last fragment", clientSetup{}, []step{send(start), part(wstest.Fragments(wstest.Text, "", " the end")[1], 2+4), fin}, abnormal, alone{}},
		{"RST before any frame", clientSetup{}, []step{rst}, reset, alone{}},
		{"RST directly after a message", clientSetup{}, []step{send(whole), rst}, reset, alone{}},
		{"RST in a payload", clientSetup{}, []step{part(cut, 2+9), rst}, reset, alone{}},
		{"RST between fragments", clientSetup{}, []step{send(start), rst}, reset, alone{}},

		{"TLS: close_notify and FIN", tls, []step{fin}, abnormal, alone{}},
		{"TLS: close_notify in a payload", tls, []step{part(cut, 2+9), fin}, abnormal, alone{}},
		{"TLS: close_notify between fragments", tls, []step{send(start), fin}, abnormal, asWholeThenUnknown("cut")},
		{"TLS: FIN between records", tls, []step{cutTLS}, abnormal, alone{}},
		{"TLS: FIN between records, in a payload", tls, []step{part(cut, 2+9), cutTLS}, abnormal, alone{}},
		{"TLS: FIN in a record", tls, []step{partOfRecord(5 + 100), cutTLS}, truncated, truncatedAlone},
		{"TLS: FIN in a record, in a payload", tls, []step{part(cut, 2+9), partOfRecord(5 + 100), cutTLS}, truncated, truncatedAlone},
		{"TLS: FIN in a record, between fragments", tls, []step{send(start), partOfRecord(5 + 100), cutTLS}, truncated, truncatedAlone},

		{"deflate: close 1001", deflate, []step{send(deflated, wstest.CloseFrame(1001, ""))}, goneAway, alone{}},
		{"deflate: FIN in a payload", deflate, []step{part(deflated, 2+8), fin}, abnormal, asWhole("who")},
		{"deflate: FIN between fragments", deflate, []step{send(deflatedStart), fin}, abnormal, asWholeThenUnknown("cut")},
		{"deflate: not deflate", deflate, []step{send(corrupt)}, violation, alone{}},

		{"RSV2", clientSetup{}, []step{send(cut.WithRsv(wstest.RSV2))}, violation, alone{}},
		{"reserved opcode 3", clientSetup{}, []step{send(wstest.Frame{Fin: true, Opcode: 3})}, violation, alone{}},
		{"masked, then close 1000", clientSetup{}, []step{send(masked, wstest.CloseFrame(1000, ""))}, expectation{kind: ending.Normal, code: 1000, codes: ignored}, alone{}},
		{"masked, then FIN", clientSetup{}, []step{send(masked), fin}, expectation{kind: ending.Abnormal, verdict: ignored}, alone{}},
		{"a ping in fragments", clientSetup{}, []step{send(wstest.PingFrame("half").Open())}, violation, alone{}},
		{"a ping of 126 bytes", clientSetup{}, []step{send(wstest.PingFrame(strings.Repeat(".", 126)))}, violation, alone{}},
		{"a continuation without a message", clientSetup{}, []step{send(wstest.Frame{Fin: true, Payload: []byte("cut")})}, violation, alone{}},
		{"a message inside a message", clientSetup{}, []step{send(start, whole)}, violation, alone{}},
		{"a length with the top bit set", clientSetup{}, []step{raw(wstest.Header(0x80|wstest.Binary, false, key, 1<<63+5, 64))}, violation, alone{}},
		{"a message over the limit", limited, []step{send(wstest.TextFrame(strings.Repeat(".", 101)))}, tooBig, alone{}},
		{"a message over the limit in fragments", limited, []step{send(wstest.Fragments(wstest.Text, strings.Repeat(".", 60), strings.Repeat(".", 60))...)}, tooBig, alone{}},
		{"text not UTF-8, then close 1001", clientSetup{}, []step{send(wstest.TextFrame("whole \xff"), wstest.CloseFrame(1001, ""))}, goneAway, alone{}},

		{"the read's context has a deadline", deadline, nil, local, alone{}},
		{"the read's context has a deadline, in a payload", deadline, []step{part(cut, 2+9)}, local, alone{}},
		{"we close the socket", clientSetup{}, []step{act(link.closeNow)}, local, alone{}},
	}
}
