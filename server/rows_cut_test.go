package server_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"example.com/wsecho/ending"
	"example.com/wsecho/internal/testfull"
	"example.com/wsecho/server"
	"example.com/wsecho/wstest"
)

// cuttable returns messages to cut, split into their writes.
func cuttable(t *testing.T) map[string][][]byte {
	key := [4]byte{1, 2, 3, 4}
	frame := func(f wstest.Frame) []byte { return f.WithKey(key).Append(nil) }
	deflated := deflated(t, strings.Repeat("to be or not to be ", 3))
	return map[string][][]byte{
		"plain":      {frame(wstest.TextFrame("whole"))},
		"medium":     {frame(wstest.BinaryFrame(make([]byte, 126)))},
		"fragments":  {frame(wstest.TextFrame("wh").Open()), frame(wstest.PingFrame("")), frame(wstest.Frame{Fin: true, Payload: []byte("ole")})},
		"compressed": {frame(wstest.BinaryFrame(deflated).WithRsv(wstest.RSV1))},
	}
}

const deflateOffer = "permessage-deflate"

// wantCut checks that the peer receives no echo, and compares the Outcome.
func (s *testServer) wantCut(t *testing.T, p *wstest.Peer, at int, k ending.Kind) {
	t.Helper()
	e, err := p.End(soon)
	if err != nil || e.Code != 0 || !e.FIN && !e.RST || e.After > soonGone {
		t.Errorf("cut at %d: the peer got %v after %v, %v, want the end", at, e, e.After, err)
	}
	_ = p.Close()
	o := s.end(t)
	wantKind(t, o, k)
	if o.By != k.By() || o.Code != 0 || o.Sent != 0 || o.Received != 0 || o.MessagesIn != 0 || o.MessagesOut != 0 {
		t.Errorf("cut at %d: got %+v, want no code and no message", at, o)
	}
}

// truncated ends the stream at every byte of a message. The server never echoes it.
// Under TLS the stream ends with and without close_notify.
func truncated(t *testing.T, w way) {
	ends := map[string]func(*wstest.Peer) error{"FIN": (*wstest.Peer).FIN}
	if w.tls() {
		ends = map[string]func(*wstest.Peer) error{"close_notify": (*wstest.Peer).FIN, "FIN": (*wstest.Peer).CutTLS}
	}
	for name, parts := range cuttable(t) {
		all := []byte(strings.Join(toStrings(parts), ""))
		ext := ""
		if name == "compressed" {
			ext = deflateOffer
		}
		for how, end := range ends {
			t.Run(name+"/"+how, func(t *testing.T) {
				t.Parallel()
				s := w.serve(t, echoes, server.Options{Compression: websocket.CompressionNoContextTakeover, PingInterval: -1})
				for n := 0; n < len(all); n += stride(n) {
					p := s.dial(t, wstest.DialOptions{Extensions: ext, Timeout: soon})
					if n > 0 {
						_ = p.SendRaw(all[:n])
					}
					if err := end(p); err != nil {
						t.Fatal(err)
					}
					s.wantCut(t, p, n, ending.Abnormal)
				}
				s.wantEcho(t, ext, func(p *wstest.Peer) {
					_ = p.SendRaw(all)
					_ = end(p)
				})
			})
		}
	}
}

// stride returns the distance to the next cut. In the full tests it is 1, and 7 in the
// long run of zeros of the longest message. By default it is 3.
func stride(n int) int {
	if n > 70 {
		return 7
	}
	return testfull.N(3, 1)
}

// wantEcho wants an echo of the message that do sends before the stream ends.
func (s *testServer) wantEcho(t *testing.T, ext string, do func(p *wstest.Peer)) {
	t.Helper()
	p := s.dial(t, wstest.DialOptions{Extensions: ext, Timeout: soon})
	do(p)
	for {
		f, err := p.Recv()
		if err != nil || f.Opcode != wstest.Pong && !f.Fin {
			t.Fatalf("whole: got %v, %v", f, err)
		}
		if f.Opcode != wstest.Pong {
			break
		}
	}
	_ = p.Close()
	o := s.end(t)
	wantKind(t, o, ending.Abnormal)
	if o.MessagesIn != 1 || o.MessagesOut != 1 {
		t.Errorf("whole: got %d messages in, %d out", o.MessagesIn, o.MessagesOut)
	}
}

func toStrings(parts [][]byte) (all []string) {
	for _, p := range parts {
		all = append(all, string(p))
	}
	return all
}

// cutInARecord ends the TCP connection at every byte of a message's TLS records. Only
// an end between two records is a normal end of the stream. Without TLS it is the same
// as truncated.
func cutInARecord(t *testing.T, w way) {
	errCut := errors.New("nothing more is sent")
	for name, parts := range cuttable(t) {
		ext := ""
		if name == "compressed" {
			ext = deflateOffer
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := w.serve(t, echoes, server.Options{Compression: websocket.CompressionNoContextTakeover, PingInterval: -1})
			// cut passes n bytes and reports whether they end inside a record.
			cut := func(p *wstest.Peer, wire *tap, n int) (inside, all bool) {
				wire.onWrite = func(b []byte) (int, error) {
					k := min(n, len(b))
					if k > 0 {
						if _, err := wire.TCPConn.Write(b[:k]); err != nil {
							t.Error(err)
						}
					}
					n -= k
					if k < len(b) {
						inside = k > 0
						return k, errCut
					}
					return k, nil
				}
				for _, part := range parts {
					if err := p.SendRaw(part); err != nil {
						if !errors.Is(err, errCut) {
							t.Error(err)
						}
						_ = p.CutTLS()
						return inside, false
					}
				}
				_ = p.CutTLS()
				return false, true
			}
			for n := 0; ; n += stride(n) {
				p, wire := s.tapped(t, wstest.DialOptions{Extensions: ext, Timeout: soon})
				inside, all := cut(p, wire, n)
				if all {
					_ = p.RST()
					_ = s.end(t)
					if n < 22*len(parts) {
						t.Errorf("the message was complete after %d bytes", n)
					}
					break
				}
				want := ending.Abnormal
				if inside {
					want = ending.Truncated
				}
				s.wantCut(t, p, n, want)
			}
		})
	}
}

// TestBrokenTLS changes TLS records on their way, in either direction.
func TestBrokenTLS(t *testing.T) {
	t.Parallel()
	for name, do := range map[string]func(t *testing.T, p *wstest.Peer, wire *tap){
		"forged": func(t *testing.T, p *wstest.Peer, wire *tap) {
			_, _ = wire.TCPConn.Write(append([]byte{23, 3, 3, 0, 40}, make([]byte, 40)...))
		},
		"damaged": func(t *testing.T, p *wstest.Peer, wire *tap) {
			wire.onWrite = func(b []byte) (int, error) {
				b = append([]byte(nil), b...)
				b[len(b)-1] ^= 1
				return wire.TCPConn.Write(b)
			}
			send(t, p, wstest.TextFrame("not this"))
		},
		"repeated": func(t *testing.T, p *wstest.Peer, wire *tap) {
			wire.onWrite = func(b []byte) (int, error) {
				return wire.TCPConn.Write(append(append([]byte(nil), b...), b...))
			}
			send(t, p, wstest.TextFrame("once").Open())
		},
		"no record": func(t *testing.T, p *wstest.Peer, wire *tap) {
			_, _ = wire.TCPConn.Write([]byte("GET / HTTP/1.1\r\n\r\n"))
		},
		"too long": func(t *testing.T, p *wstest.Peer, wire *tap) {
			_, _ = wire.TCPConn.Write([]byte{23, 3, 3, 0xff, 0xff})
		},
		"alert": func(t *testing.T, p *wstest.Peer, wire *tap) {
			// A record from the server is changed on its way.
			wire.onRead = func(b []byte) (int, error) {
				n, err := wire.TCPConn.Read(b)
				if n > 0 {
					b[n-1] ^= 1
				}
				return n, err
			}
			send(t, p, wstest.PingFrame("?"))
			if f, err := p.Recv(); err == nil {
				t.Errorf("got %v", f)
			}
			wire.onRead = nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serveTLS(t, echoes, server.Options{PingInterval: -1})
			p, wire := s.tapped(t, wstest.DialOptions{Timeout: soon})
			do(t, p, wire)
			o := s.end(t)
			wantKind(t, o, ending.BadTLS)
			if o.By != ending.Network || o.Code != 0 || o.Sent != 0 || o.MessagesIn != 0 || o.Cause == nil {
				t.Errorf("got %+v", o)
			}
			if !strings.Contains(o.Cause.Error(), "tls: ") {
				t.Errorf("the cause is %q", o.Cause)
			}
		})
	}
}
