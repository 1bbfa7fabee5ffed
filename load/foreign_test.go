package load_test

import (
	"bytes"
	"compress/flate"
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"example.com/wsecho/load"
	"example.com/wsecho/wstest"
)

// TestForeign checks servers that echo in other ways, all of them correct.
func TestForeign(t *testing.T) {
	t.Parallel()
	each := func(answer func(*wstest.Peer, wstest.Frame)) func(*wstest.Peer) {
		return func(p *wstest.Peer) {
			for {
				f, err := p.Recv()
				if err != nil {
					return
				}
				switch f.Opcode {
				case wstest.Close:
					_ = p.Send(wstest.CloseFrame(1000, ""))
					return
				case wstest.Text:
					answer(p, f)
				}
			}
		}
	}
	var pongs atomic.Int64
	for name, handle := range map[string]func(*wstest.Peer){
		"fragments": each(func(p *wstest.Peer, f wstest.Frame) {
			_ = p.Send(wstest.Fragments(wstest.Text, "", string(f.Payload[:3]), "", string(f.Payload[3:]), "")...)
		}),
		"pings in between": func(p *wstest.Peer) {
			for n := 0; ; n++ {
				f, err := p.Recv()
				if err != nil {
					return
				}
				switch f.Opcode {
				case wstest.Close:
					_ = p.Send(wstest.CloseFrame(1000, ""))
					return
				case wstest.Pong:
					if string(f.Payload) == "are you there?" {
						pongs.Add(1)
					}
				case wstest.Text:
					parts := wstest.Fragments(wstest.Text, string(f.Payload[:1]), string(f.Payload[1:]))
					_ = p.Send(wstest.PongFrame("unasked"), parts[0], wstest.PingFrame("are you there?"), parts[1], wstest.PingFrame(""))
				}
			}
		},
		"long headers": each(func(p *wstest.Peer, f wstest.Frame) {
			_ = p.SendRaw(append(wstest.Header(0x80|wstest.Text, false, [4]byte{}, uint64(len(f.Payload)), 64), f.Payload...))
		}),
		"byte by byte": each(func(p *wstest.Peer, f wstest.Frame) {
			f.Masked = false
			_ = p.Drip(f.Append(nil), time.Microsecond)
		}),
		"no close frame": func(p *wstest.Peer) { // which is not polite, but nothing is lost
			_, _ = p.Answer(context.Background(), wstest.AnswerOptions{Echo: true, NoClose: true})
		},
	} {
		for loop, plan := range map[string]load.Plan{
			"closed":        {Size: 7, InFlight: 3},
			"closed, large": {Size: 70_000, InFlight: 3},
			"open":          {Size: 7, Rate: 100},
		} {
			if name == "byte by byte" && plan.Size > 1000 {
				continue
			}
			t.Run(name+"/"+loop, func(t *testing.T) {
				t.Parallel()
				r := run(t, plan, wstest.Serve(t, handle))
				if !r.OK() {
					t.Error(r.Targets[0].Problems())
				}
			})
		}
	}
	t.Cleanup(func() { // after the parallel ones
		if pongs.Load() == 0 {
			t.Error("no ping was answered")
		}
	})
}

// TestPlainAnswers checks a server that agreed to compression and does not compress.
func TestPlainAnswers(t *testing.T) {
	url := wstest.ServeRaw(t, nil, func(p *wstest.Peer) {
		if err := p.Accept(http.Header{"Sec-WebSocket-Extensions": {"permessage-deflate; server_no_context_takeover"}}); err != nil {
			t.Error(err)
			return
		}
		for {
			f, err := p.Recv()
			if err != nil || f.Opcode == wstest.Close {
				return
			}
			if f.Rsv != wstest.RSV1 {
				t.Error("the message is not compressed")
			}
			plain, err := inflate(f.Payload)
			if err != nil {
				t.Error(err)
			}
			_ = p.Send(wstest.TextFrame(plain))
		}
	})
	if r := run(t, load.Plan{Compression: true, Size: 300}, url); !r.OK() {
		t.Error(r.Targets[0].Problems())
	}
}

// TestTakeover checks a server whose messages refer back to earlier ones, though it was
// asked not to. The earlier ones include a greeting that is ignored.
func TestTakeover(t *testing.T) {
	t.Parallel()
	for name, greeting := range map[string]string{"": "", "greeting": strings.Repeat("ba ce di fo gu ka le mi no pu ra se ti vo zu an ", 50)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := wstest.ServeRaw(t, nil, func(p *wstest.Peer) {
				if err := p.Accept(http.Header{"Sec-WebSocket-Extensions": {"permessage-deflate; server_max_window_bits=15"}}); err != nil {
					t.Error(err)
					return
				}
				var compressed bytes.Buffer
				w, err := flate.NewWriter(&compressed, flate.BestCompression)
				if err != nil {
					t.Error(err)
					return
				}
				first := true
				send := func(text string) {
					compressed.Reset()
					_, _ = w.Write([]byte(text))
					_ = w.Flush()
					payload := bytes.TrimSuffix(compressed.Bytes(), []byte{0, 0, 0xff, 0xff})
					if alone, err := inflate(payload); !first && err == nil && alone == text {
						t.Error("the message does not refer to those before")
					}
					first = false
					_ = p.Send(wstest.Frame{Fin: true, Rsv: wstest.RSV1, Opcode: wstest.Text, Payload: payload})
				}
				if greeting != "" {
					send(greeting)
				}
				for {
					f, err := p.Recv()
					if err != nil || f.Opcode == wstest.Close {
						return
					}
					plain, err := inflate(f.Payload)
					if err != nil {
						t.Error(err)
					}
					send(plain)
				}
			})
			// Together the messages are longer than the window.
			plan := load.Plan{Compression: true, Size: 3000, Connections: 1, Rate: 20, Duration: time.Second, SkipGreeting: min(len(greeting), 1)}
			if r := run(t, plan, url); !r.OK() || r.Targets[0].Messages < 12 {
				t.Error(r.Targets[0].Messages, r.Targets[0].Problems())
			}
		})
	}
}

// TestBothWays checks a server that does not read while it writes. The client must read
// while it writes, or both would wait for ever.
func TestBothWays(t *testing.T) {
	url := wstest.Serve(t, func(p *wstest.Peer) {
		tcp := p.NetConn().(*net.TCPConn)
		if err := errors.Join(tcp.SetReadBuffer(64<<10), tcp.SetWriteBuffer(64<<10)); err != nil {
			t.Error(err)
		}
		p.Timeout = -1
		wstest.Echo(p)
	})
	// The messages in flight do not fit in the buffers of both kernels.
	if r := run(t, load.Plan{Size: 3 << 20, InFlight: 6, Connections: 1, Binary: true}, url); !r.OK() {
		t.Error(r.Targets[0].Problems())
	}
}
