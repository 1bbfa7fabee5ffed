package probe_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"example.com/wsecho/ending"
	"example.com/wsecho/internal/handshake"
	"example.com/wsecho/probe"
	"example.com/wsecho/wstest"
)

// stall is long enough to reach any step, also on a busy machine.
const stall = 4 * time.Second

// pongs answers pings and close frames, and calls then after n pings.
func pongs(n int, then func(*wstest.Peer)) func(*wstest.Peer) {
	return func(p *wstest.Peer) {
		for range n {
			f, err := p.Recv()
			if err != nil || f.Opcode != wstest.Ping || p.Send(wstest.PongFrame(string(f.Payload))) != nil {
				return
			}
		}
		then(p)
		_, _ = p.End(waitLimit)
	}
}

// answers is a server with these options.
func answers(o wstest.AnswerOptions) func(*wstest.Peer) {
	return func(p *wstest.Peer) { _, _ = p.Answer(context.Background(), o) }
}

// TestWatchEnds checks how a Watch reports each way to end.
func TestWatchEnds(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		handle         func(*wstest.Peer)
		o              probe.WatchOptions
		kind           ending.Kind
		code           int
		reason         string
		sent, received int // close codes
		replies        int // pongs at least
	}{
		"count":            {handle: wstest.Echo, o: probe.WatchOptions{Count: 3}, kind: ending.Closed, code: 1000, sent: 1000, received: 1000, replies: 3},
		"another answer":   {handle: answers(wstest.AnswerOptions{Code: 1011}), o: probe.WatchOptions{Count: 1}, kind: ending.Closed, code: 1000, sent: 1000, received: 1011, replies: 1},
		"no answer":        {handle: answers(wstest.AnswerOptions{NoClose: true}), o: probe.WatchOptions{Count: 1}, kind: ending.Closed, code: 1000, sent: 1000, replies: 1},
		"deadline":         {handle: wstest.Echo, o: probe.WatchOptions{Deadline: stall}, kind: ending.Closed, code: 1000, sent: 1000, received: 1000, replies: 1},
		"normal":           {handle: pongs(2, func(p *wstest.Peer) { _ = p.Send(wstest.CloseFrame(1000, "done")) }), kind: ending.Normal, code: 1000, reason: "done", sent: 1000, received: 1000, replies: 2},
		"no code":          {handle: pongs(1, func(p *wstest.Peer) { _ = p.Send(wstest.CloseFrame(0, "")) }), kind: ending.Normal, code: 1005, sent: 1005, received: 1005, replies: 1},
		"going away":       {handle: pongs(1, func(p *wstest.Peer) { _ = p.Send(wstest.CloseFrame(1001, "bye")) }), kind: ending.GoingAway, code: 1001, reason: "bye", sent: 1001, received: 1001, replies: 1},
		"peer code":        {handle: pongs(1, func(p *wstest.Peer) { _ = p.Send(wstest.CloseFrame(4711, "")) }), kind: ending.PeerCode, code: 4711, sent: 4711, received: 4711, replies: 1},
		"FIN":              {handle: pongs(1, func(p *wstest.Peer) { _ = p.FIN() }), kind: ending.Abnormal, replies: 1},
		"FIN in a message": {handle: pongs(1, func(p *wstest.Peer) { _ = p.SendRaw([]byte{0x81, 5, 'a'}); _ = p.FIN() }), kind: ending.Abnormal, replies: 1},
		"RST":              {handle: pongs(1, func(p *wstest.Peer) { _ = p.RST() }), o: probe.WatchOptions{Interval: waitLimit}, kind: ending.Reset}, // it may discard the pong; a ping would get the error in place of the reader
		"garbage":          {handle: pongs(1, func(p *wstest.Peer) { _ = p.Send(wstest.TextFrame("a").WithRsv(wstest.RSV2)) }), kind: ending.Protocol, code: 1002, sent: 1002, replies: 1},
		"a mask":           {handle: pongs(1, func(p *wstest.Peer) { _ = p.SendRaw([]byte{0x81, 0x81, 1, 2, 3, 4, 'a' ^ 1}) }), kind: ending.Protocol, code: 1002, sent: 1002, replies: 1},
		"a long length":    {handle: pongs(1, func(p *wstest.Peer) { _ = p.SendRaw([]byte{0x81, 126, 0, 1, 'a'}) }), kind: ending.Protocol, code: 1002, sent: 1002, replies: 1},
		"bad text":         {handle: pongs(1, func(p *wstest.Peer) { _ = p.Send(wstest.TextFrame("bad \xff")) }), kind: ending.InvalidUTF8, code: 1007, sent: 1007, replies: 1},
		"half a rune":      {handle: pongs(1, func(p *wstest.Peer) { _ = p.Send(wstest.TextFrame(strings.Repeat("\u00e9", 5000) + "\xc3")) }), kind: ending.InvalidUTF8, code: 1007, sent: 1007, replies: 1},
		"a long text": {handle: pongs(1, func(p *wstest.Peer) {
			_ = p.Send(wstest.TextFrame("a"+strings.Repeat("\u00e9", 50_000)), wstest.CloseFrame(1000, ""))
		}), kind: ending.Normal, code: 1000, sent: 1000, received: 1000, replies: 1},
	} {
		for _, scheme := range []string{"ws", "wss"} {
			t.Run(name+"/"+scheme, func(t *testing.T) {
				t.Parallel()
				o := test.o
				if o.Interval == 0 {
					o.Interval = 20 * time.Millisecond
				}
				if o.Connect.Timeout == 0 {
					o.Connect.Timeout = waitLimit
				}
				var url string
				if scheme == "wss" {
					_, o.Connect.TLS = wstest.TLS()
					url = wstest.ServeTLS(t, test.handle)
				} else {
					url = wstest.Serve(t, test.handle)
				}
				var events, ended int
				o.OnEvent = func(e probe.Event) {
					events++
					if e.Type == probe.Ended {
						ended++
					}
				}
				r, err := probe.Watch(t.Context(), url, o)
				if err != nil || r.End == nil {
					t.Fatalf("got %+v, %v", r, err)
				}
				e := r.End
				if e.Kind != test.kind || int(e.Code) != test.code || e.By != test.kind.By() || !strings.HasPrefix(e.Reason, test.reason) || test.reason == "" && e.Reason != "" {
					t.Errorf("got %+v, want %v, %d", e.Ending, test.kind, test.code)
				}
				if inside := name == "FIN in a message"; inside != strings.Contains(fmt.Sprint(e.Cause), "inside a frame") {
					t.Errorf("got the cause %v", e.Cause)
				}
				if e.Sent != test.sent || e.Received != test.received {
					t.Errorf("sent %d, received %d, want %d, %d", e.Sent, e.Received, test.sent, test.received)
				}
				p := r.Pings
				if p.Received < test.replies || p.Sent != p.Received+p.Lost+p.Pending || p.Received > 0 && (p.Min <= 0 || p.Min > p.Mean || p.Mean > p.Max) {
					t.Errorf("got %+v, want %d replies", p, test.replies)
				}
				if r.Opened != 1 || r.Failed != 0 || ended != 1 || events < 2+p.Received || len(r.First.Steps) != 2+len(scheme)-2 {
					t.Errorf("got %+v with %d events", r, events)
				}
			})
		}
	}
}

// TestWatchStalls checks that a server that stalls at any step does not hang a Watch.
func TestWatchStalls(t *testing.T) {
	t.Parallel()
	server, client := wstest.TLS()
	hang := func(ctx context.Context, _, _ string) (net.Conn, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	unread, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unread.Close() }) // after the parallel tests
	silent := "://" + unread.Addr().String() + "/"
	run := func(name, url string, o probe.WatchOptions, step probe.Step, kind ending.Kind) {
		for _, limit := range []string{"timeout", "deadline"} {
			t.Run(name+"/"+limit, func(t *testing.T) {
				t.Parallel()
				o := o
				o.Interval, o.Connect.TLS = 50*time.Millisecond, client
				if limit == "timeout" {
					o.Connect.Timeout = stall
					if step == 0 {
						o.Count = 1
					}
				} else {
					o.Connect.Timeout, o.Deadline = time.Hour, stall
				}
				began := time.Now()
				r, err := probe.Watch(t.Context(), url, o)
				if took := time.Since(began); err != nil || took > waitLimit {
					t.Fatalf("%v after %v", err, took)
				}
				switch {
				case step != 0 && (r.Err == nil || r.Err.Step != step || !r.Err.Timeout() || r.Failed != 1 || r.End != nil):
					t.Errorf("got %+v, %v, want a timeout at %v", r, r.Err, step)
				case step == 0 && (r.End == nil || r.End.Kind != kind):
					t.Errorf("got %+v, %+v, want %v", r, r.End, kind)
				}
			})
		}
	}
	run("dial", "ws://a.example/", probe.WatchOptions{Connect: probe.Options{DialContext: hang}}, probe.Connect, 0)
	run("TLS", "wss"+silent, probe.WatchOptions{}, probe.TLS, 0)
	run("handshake", "ws"+silent, probe.WatchOptions{}, probe.Handshake, 0)
	run("handshake over TLS", wstest.ServeRaw(t, server, wstest.Silent), probe.WatchOptions{}, probe.Handshake, 0)
	run("half a handshake", wstest.ServeRaw(t, nil, func(p *wstest.Peer) {
		if _, err := p.ReadRequest(); err == nil {
			_ = p.Drip([]byte("HTTP/1.1 101 Switching Protocols\r\nA: "+strings.Repeat("a", 60_000)), every)
		}
	}), probe.WatchOptions{}, probe.Handshake, 0)
	run("nothing read", wstest.Serve(t, wstest.Silent), probe.WatchOptions{}, 0, ending.Closed)
	run("no answer to close", wstest.ServeTLS(t, answers(wstest.AnswerOptions{NoClose: true})), probe.WatchOptions{}, 0, ending.Closed)
	run("half a frame", wstest.Serve(t, func(p *wstest.Peer) { _ = p.SendRaw([]byte{0x81, 100}); wstest.Silent(p) }), probe.WatchOptions{}, 0, ending.Closed)
	run("an endless message", wstest.Serve(t, func(p *wstest.Peer) {
		_ = p.SendRaw(wstest.Header(0x82, false, [4]byte{}, 1<<40, 64))
		_ = p.Drip(make([]byte, 100_000), every)
	}), probe.WatchOptions{}, 0, ending.Closed)
}

// pipe is a DialContext whose server handles each connection over an in-memory pipe.
func pipe(handle func(*wstest.Peer)) func(context.Context, string, string) (net.Conn, error) {
	return func(context.Context, string, string) (net.Conn, error) {
		a, b := net.Pipe()
		go func() {
			p := wstest.Server(b)
			p.Timeout = -1
			defer p.Close()
			if p.Accept(nil) == nil {
				handle(p)
			}
		}()
		return a, nil
	}
}

// TestWatchReplies counts late, lost and pending replies, in synthetic time.
func TestWatchReplies(t *testing.T) {
	const second = time.Second
	for name, test := range map[string]struct {
		delay        func(n int) time.Duration // of the nth pong; negative: none
		count        int
		interval     time.Duration
		want         probe.Replies // without times
		least, worst time.Duration
		kind         ending.Kind
	}{
		"in time": {delay: func(int) time.Duration { return second / 10 }, count: 5,
			want: probe.Replies{Sent: 5, Received: 5}, least: second / 10, worst: second / 10, kind: ending.Closed},
		"one late": {delay: func(n int) time.Duration { return map[int]time.Duration{2: 3 * second}[n] + second/10 }, count: 6,
			want: probe.Replies{Sent: 6, Received: 6, Late: 1}, least: second / 10, worst: 31 * second / 10, kind: ending.Closed},
		"one lost": {delay: func(n int) time.Duration { return map[int]time.Duration{2: -second}[n] }, count: 4,
			want: probe.Replies{Sent: 4, Received: 3, Lost: 1}, kind: ending.Closed},
		"the last lost": {delay: func(n int) time.Duration { return map[int]time.Duration{3: -second}[n] }, count: 3,
			want: probe.Replies{Sent: 3, Received: 2, Lost: 1}, kind: ending.Closed},
		// The last two are overdue when the third is late, and are awaited.
		"all late": {delay: func(int) time.Duration { return 3 * second }, count: 5,
			want: probe.Replies{Sent: 5, Received: 5, Late: 5}, least: 3 * second, worst: 3 * second, kind: ending.Closed},
		"late, then lost": {delay: func(n int) time.Duration { return map[int]time.Duration{6: -9 * second}[n] + 2*second }, count: 6,
			want: probe.Replies{Sent: 6, Received: 5, Late: 5, Lost: 1}, least: 2 * second, worst: 2 * second, kind: ending.Closed},
		// The third overdue ping in a row is the end.
		"none": {delay: func(int) time.Duration { return -second }, count: 100, want: probe.Replies{Sent: 4, Lost: 3, Pending: 1}, kind: ending.NoPong},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				handle := func(p *wstest.Peer) {
					n := 0
					_, _ = p.Answer(context.Background(), wstest.AnswerOptions{NoPong: true, Each: func(f wstest.Frame) {
						if f.Opcode != wstest.Ping {
							return
						}
						n++
						if d := test.delay(n); d >= 0 {
							payload := string(f.Payload)
							time.AfterFunc(d, func() { _ = p.Send(wstest.PongFrame(payload)) })
						}
					}})
				}
				missing := 0
				r, err := probe.Watch(t.Context(), "ws://a.example/", probe.WatchOptions{
					Connect:  probe.Options{Timeout: 3 * second / 2, DialContext: pipe(handle)},
					Interval: second, Count: test.count,
					OnEvent: func(e probe.Event) {
						if e.Type == probe.Missing {
							missing++
						}
						if e.Type == probe.Replied && e.Late != (e.RTT > 3*second/2) {
							t.Errorf("got %+v", e)
						}
					},
				})
				if err != nil {
					t.Fatal(err)
				}
				got := r.Pings
				if got.Sent != test.want.Sent || got.Received != test.want.Received || got.Late != test.want.Late || got.Lost != test.want.Lost || got.Pending != test.want.Pending {
					t.Errorf("got %+v, want %+v", got, test.want)
				}
				if missing != got.Lost+got.Late || got.Min != test.least || got.Max != test.worst {
					t.Errorf("got %d events of missing replies, and times from %v to %v", missing, got.Min, got.Max)
				}
				if r.End == nil || r.End.Kind != test.kind {
					t.Errorf("got %+v, want %v", r.End, test.kind)
				}
				synctest.Wait()
			})
		})
	}
}

// TestWatchWriteStalled checks that a server that accepts nothing is not said to have
// closed.
func TestWatchWriteStalled(t *testing.T) {
	for _, mode := range []probe.EchoMode{probe.NoEcho, probe.EchoBeside} {
		synctest.Test(t, func(t *testing.T) {
			stop := make(chan struct{})
			r, err := probe.Watch(t.Context(), "ws://a.example/", probe.WatchOptions{
				Connect: probe.Options{Timeout: time.Minute, DialContext: pipe(func(*wstest.Peer) { <-stop })},
				Echo:    mode, Interval: time.Minute,
			})
			close(stop)
			if err != nil || r.End == nil || r.End.Kind != ending.WriteStalled || r.End.By != ending.Local {
				t.Errorf("mode %d: got %+v, %v", mode, r.End, err)
			}
			synctest.Wait()
		})
	}
}

// TestWatchEcho checks both modes with messages, and other messages beside the echoes.
func TestWatchEcho(t *testing.T) {
	t.Parallel()
	greets := func(p *wstest.Peer) {
		_ = p.Send(wstest.TextFrame("hello"), wstest.BinaryFrame(make([]byte, 100_000)))
		wstest.Echo(p)
	}
	binary := func(p *wstest.Peer) {
		_, _ = p.Answer(context.Background(), wstest.AnswerOptions{Each: func(f wstest.Frame) {
			if f.Opcode == wstest.Text {
				_ = p.Send(wstest.BinaryFrame(f.Payload))
			}
		}})
	}
	for name, test := range map[string]struct {
		handle                  func(*wstest.Peer)
		mode                    probe.EchoMode
		pings, echoes, received int
		others                  int
	}{
		"pings":        {greets, probe.NoEcho, 3, 0, 0, 2},
		"beside":       {greets, probe.EchoBeside, 3, 3, 3, 2},
		"only":         {greets, probe.EchoOnly, 0, 3, 3, 2},
		"another type": {binary, probe.EchoBeside, 3, 3, 0, 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			timeout := waitLimit
			if test.received < test.echoes {
				timeout = stall
			}
			r, err := probe.Watch(t.Context(), wstest.Serve(t, test.handle), probe.WatchOptions{
				Connect: probe.Options{Timeout: timeout}, Count: 3, Interval: 20 * time.Millisecond, Echo: test.mode,
			})
			if err != nil || r.Pings.Sent != test.pings || r.Pings.Received != test.pings || r.Echoes.Sent != test.echoes || r.Echoes.Received != test.received || r.Others != test.others {
				t.Errorf("got %+v, %v", r, err)
			}
		})
	}
}

// TestWatchReconnect checks that each end is followed by a connection, and counts gaps, in
// synthetic time.
func TestWatchReconnect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var connections atomic.Int32
		answering := pipe(func(p *wstest.Peer) {
			if connections.Add(1) < 3 {
				pongs(1, func(p *wstest.Peer) { _ = p.Send(wstest.CloseFrame(1001, "")) })(p)
				return
			}
			wstest.Echo(p)
		})
		dials := 0
		dial := func(ctx context.Context, network, address string) (net.Conn, error) {
			if dials++; dials == 2 {
				return nil, errors.New("no way")
			}
			return answering(ctx, network, address)
		}
		var ends []ending.Kind
		r, err := probe.Watch(t.Context(), "ws://a.example/", probe.WatchOptions{
			Connect: probe.Options{DialContext: dial}, Count: 4, Interval: time.Second, Reconnect: true,
			OnEvent: func(e probe.Event) {
				if e.Type == probe.Ended {
					ends = append(ends, e.End.Kind)
				}
			},
		})
		if err != nil || r.Opened != 3 || r.Failed != 1 || r.Gaps != 2 || r.GapTime != 3*time.Second || r.Err != nil {
			t.Errorf("got %+v, %v", r, err)
		}
		if len(ends) != 3 || ends[0] != ending.GoingAway || ends[1] != ending.GoingAway || ends[2] != ending.Closed || r.Pings.Sent != 4 {
			t.Errorf("got the ends %v and %+v", ends, r.Pings)
		}
		synctest.Wait()
	})
}

// TestWatchInterrupted checks that the end of the context closes the connection properly.
func TestWatchInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, err := probe.Watch(ctx, wstest.Serve(t, wstest.Echo), probe.WatchOptions{
		Interval: 20 * time.Millisecond,
		OnEvent: func(e probe.Event) {
			if e.Type == probe.Replied {
				cancel()
			}
		},
	})
	if err != nil || r.End == nil || r.End.Kind != ending.Closed || r.End.Received != 1000 {
		t.Errorf("got %+v, %v", r.End, err)
	}
	r, err = probe.Watch(ctx, wstest.Serve(t, wstest.Echo), probe.WatchOptions{Reconnect: true})
	if err != nil || r.Err == nil || !errors.Is(r.Err, context.Canceled) || r.Failed != 1 {
		t.Errorf("before it began: got %+v, %v", r, err)
	}
}

func TestWatchOptions(t *testing.T) {
	for name, test := range map[string]struct {
		url   string
		o     probe.WatchOptions
		field string
	}{
		"interval": {"ws://a.example", probe.WatchOptions{Interval: time.Millisecond}, "Interval"},
		"count":    {"ws://a.example", probe.WatchOptions{Count: -1}, "Count"},
		"deadline": {"ws://a.example", probe.WatchOptions{Deadline: -1}, "Deadline"},
		"echo":     {"ws://a.example", probe.WatchOptions{Echo: 3}, "Echo"},
		"timeout":  {"ws://a.example", probe.WatchOptions{Connect: probe.Options{Timeout: -1}}, "Timeout"},
		"URL":      {"http://a.example", probe.WatchOptions{}, ""},
	} {
		_, err := probe.Watch(t.Context(), test.url, test.o)
		var field *handshake.FieldError
		if err == nil || errors.As(err, &field) != (test.field != "") || field != nil && field.Field != test.field {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// TestWatchPaused checks that a server which answers is not called dead while OnEvent
// blocks. Synthetic time would stand still, because other goroutines wait for a mutex.
func TestWatchPaused(t *testing.T) {
	t.Parallel()
	url := wstest.Serve(t, wstest.Echo)
	for name, mode := range map[string]probe.EchoMode{"pings": probe.NoEcho, "messages": probe.EchoOnly} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			replies := 0
			r, err := probe.Watch(t.Context(), url, probe.WatchOptions{
				Connect: probe.Options{Timeout: time.Second}, Interval: time.Second, Count: 4, Echo: mode,
				OnEvent: func(e probe.Event) {
					if e.Type == probe.Replied {
						if replies++; replies == 1 {
							time.Sleep(6 * time.Second)
						}
					}
				},
			})
			if err != nil || r.End == nil || r.End.Kind != ending.Closed {
				t.Errorf("got %+v, %+v, %v", r, r.End, err)
			}
		})
	}
}

// TestWatchFirstFails checks that the time before the first connection is no gap.
func TestWatchFirstFails(t *testing.T) {
	dials := 0
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		if dials++; dials == 1 {
			return nil, errors.New("no way")
		}
		return new(net.Dialer).DialContext(ctx, network, address)
	}
	r, err := probe.Watch(t.Context(), wstest.Serve(t, wstest.Echo), probe.WatchOptions{
		Connect: probe.Options{Timeout: waitLimit, DialContext: dial}, Count: 1, Interval: 10 * time.Millisecond, Reconnect: true,
	})
	if err != nil || r.Opened != 1 || r.Failed != 1 || r.Gaps != 0 || r.GapTime != 0 {
		t.Errorf("got %+v, %v", r, err)
	}
}
