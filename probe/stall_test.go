package probe_test

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"example.com/wsecho/probe"
	"example.com/wsecho/wstest"
)

const (
	waitLimit = 20 * time.Second        // bounds each wait of a test that passes
	short     = 1500 * time.Millisecond // in synthetic time
	every     = 20 * time.Millisecond   // between two bytes of a slow server
)

// stalls are servers that never complete a step, with and without TLS.
var stalls = map[string]struct {
	step   probe.Step
	handle func(*wstest.Peer) // nil: it does not read
	raw    bool               // handle answers the handshake too
	o      probe.Options
	what   string // a pattern for the error
}{
	"no answer": {step: probe.Handshake, raw: true, what: "did not open a WebSocket: "},
	"half an answer": {step: probe.Handshake, raw: true, handle: func(p *wstest.Peer) {
		if _, err := p.ReadRequest(); err == nil {
			_ = p.SendRaw([]byte("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"))
			quiet(p)
		}
	}},
	"an answer that drips": {step: probe.Handshake, raw: true, handle: func(p *wstest.Peer) {
		if _, err := p.ReadRequest(); err == nil {
			_ = p.Drip([]byte("HTTP/1.1 101 Switching Protocols\r\nA: "+strings.Repeat("a", 60_000)), every)
		}
	}},
	"answers to come, without end": {step: probe.Handshake, raw: true, handle: func(p *wstest.Peer) {
		if _, err := p.ReadRequest(); err == nil {
			for p.SendRaw([]byte("HTTP/1.1 102 Processing\r\n\r\n")) == nil {
				time.Sleep(every)
			}
		}
	}},
	"101, and nothing": {step: probe.Echo, what: `did not send the message back: no whole answer within the 1\.5s of the timeout$`},
	"half an echo": {step: probe.Echo, handle: func(p *wstest.Peer) {
		if f, err := p.Recv(); err == nil {
			b := wstest.TextFrame(string(f.Payload)).Append(nil)
			_ = p.SendRaw(b[:len(b)/2])
			quiet(p)
		}
	}},
	"an echo that drips": {step: probe.Echo, handle: func(p *wstest.Peer) {
		if f, err := p.Recv(); err == nil {
			_ = p.Drip(wstest.TextFrame(string(f.Payload)).Append(nil), time.Second)
			quiet(p)
		}
	}},
	"a long message that drips": {step: probe.Echo, handle: func(p *wstest.Peer) {
		_ = p.SendRaw(wstest.Header(0x81, false, [4]byte{}, 100_000, 64))
		_ = p.Drip(make([]byte, 100_000), every)
	}},
	"pings without end": {step: probe.Echo, handle: func(p *wstest.Peer) {
		for p.Send(wstest.PingFrame("?")) == nil {
			time.Sleep(every)
		}
	}},
	"another message": {step: probe.Echo, what: `; of the other messages \(1\) the last was "hello"$`, handle: func(p *wstest.Peer) {
		_ = p.Send(wstest.TextFrame("hello"))
		quiet(p)
	}},
	"no pong": {step: probe.Echo, o: probe.Options{Ping: true}, what: "did not answer the ping: ", handle: func(p *wstest.Peer) {
		_, _ = p.Answer(context.Background(), wstest.AnswerOptions{Echo: true, NoPong: true})
	}},
	"another's pong": {step: probe.Echo, o: probe.Options{Ping: true}, what: `a pong came with another payload, "1"$`, handle: func(p *wstest.Peer) {
		_, _ = p.Answer(context.Background(), wstest.AnswerOptions{Pong: func([]byte) []byte { return []byte("1") }})
	}},
	"no close frame": {step: probe.Close, what: "did not close as it should: no whole answer", handle: func(p *wstest.Peer) {
		_, _ = p.Answer(context.Background(), wstest.AnswerOptions{Echo: true, NoClose: true})
	}},
	"a close frame that drips": {step: probe.Close, handle: echoed(func(p *wstest.Peer) {
		_ = p.Drip(wstest.CloseFrame(1000, strings.Repeat("a", 100)).Append(nil), time.Second)
	})},
	"an endless frame in place of the close frame": {step: probe.Close, handle: echoed(func(p *wstest.Peer) {
		_ = p.SendRaw(wstest.Header(0x82, false, [4]byte{}, 1<<40, 64))
		_ = p.Drip(make([]byte, 100_000), every)
	})},
	"messages in place of the close frame": {step: probe.Close, handle: echoed(func(p *wstest.Peer) {
		for p.Send(wstest.TextFrame("and another thing")) == nil {
			time.Sleep(every)
		}
	})},
}

// echoed is a server that echoes one message and then calls then.
func echoed(then func(*wstest.Peer)) func(*wstest.Peer) {
	return func(p *wstest.Peer) {
		if f, err := p.Recv(); err == nil && p.Send(wstest.TextFrame(string(f.Payload))) == nil {
			then(p)
		}
	}
}

// quiet reads and writes nothing, in synthetic time.
func quiet(*wstest.Peer) { time.Sleep(waitLimit) }

// buffered is a DialContext to a server over a pipe with buffers, as those of TCP, and over
// TLS if there is a configuration.
func buffered(config *tls.Config, handle func(*wstest.Peer)) func(context.Context, string, string) (net.Conn, error) {
	return func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := wstest.Pipe()
		go func() {
			defer theirs.Close()
			if config != nil {
				secure := tls.Server(theirs, config)
				if secure.Handshake() != nil {
					return
				}
				theirs = secure
			}
			p := wstest.Server(theirs)
			p.Timeout = waitLimit
			handle(p)
		}()
		return ours, nil
	}
}

// accepted answers the handshake and then calls handle.
func accepted(handle func(*wstest.Peer)) func(*wstest.Peer) {
	return func(p *wstest.Peer) {
		if p.Accept(nil) == nil {
			handle(p)
		}
	}
}

// TestStalls checks that the probe of a stalled server ends at its deadline and names the
// step, in synthetic time.
func TestStalls(t *testing.T) {
	t.Parallel()
	server, client := wstest.TLS()
	run := func(name, scheme string, config *tls.Config, step probe.Step, what string, o probe.Options, handle func(*wstest.Peer)) {
		t.Run(scheme+"/"+name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o.TLS, o.DialContext = client, buffered(config, handle)
				began := time.Now()
				stalled(t, scheme+"://127.0.0.1/", step, what, o)
				if took := time.Since(began); took != short {
					t.Errorf("took %v, want %v", took, short)
				}
				time.Sleep(2 * waitLimit) // the server ends
			})
		})
	}
	for name, test := range stalls {
		handle := test.handle
		if handle == nil {
			handle = quiet
		}
		if !test.raw {
			handle = accepted(handle)
		}
		run(name, "ws", nil, test.step, test.what, test.o, handle)
		run(name, "wss", server, test.step, test.what, test.o, handle)
	}
	run("TLS", "wss", nil, probe.TLS, "^TLS failed: no whole answer within ", probe.Options{}, quiet)
	run("TLS that drips", "wss", nil, probe.TLS, "", probe.Options{}, func(p *wstest.Peer) {
		_ = p.Drip(append([]byte{22, 3, 3, 60, 0, 2, 0, 0x3a, 0}, make([]byte, 10_000)...), every)
	})
	t.Run("an answer that is no 101, and its body", func(t *testing.T) { // the status fails the step before the body does
		t.Parallel()
		url := wstest.ServeRaw(t, nil, func(p *wstest.Peer) {
			if _, err := p.ReadRequest(); err == nil {
				_ = p.SendRaw([]byte("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 100\r\n\r\n"))
				_ = p.Drip([]byte(strings.Repeat("a", 100)), 300*time.Millisecond)
			}
		})
		began := time.Now()
		_, err := probe.Run(t.Context(), url, probe.Options{Timeout: waitLimit})
		is(t, err, probe.Handshake, `: the answer is 503 Service Unavailable: "a+"$`)
		if took := time.Since(began); took > waitLimit/2 {
			t.Errorf("took %v", took)
		}
	})
}

// stalled probes a server that stalls at the step. The timeout is short unless o has one.
func stalled(t *testing.T, url string, step probe.Step, what string, o probe.Options) {
	t.Helper()
	o.Timeout = cmp.Or(o.Timeout, short)
	began := time.Now()
	r, err := probe.Run(t.Context(), url, o)
	took := time.Since(began)
	if took < o.Timeout-100*time.Millisecond || took > o.Timeout+5*time.Second {
		t.Errorf("took %v, want %v", took, o.Timeout)
	}
	is(t, err, step, what)
	var e *probe.Error
	if !errors.As(err, &e) || !e.Timeout() || !errors.Is(err, os.ErrDeadlineExceeded) || !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the error of a deadline", err)
	}
	if n := len(r.Steps); n > 0 && r.Steps[n-1].Step >= step {
		t.Errorf("the report says that the step %v succeeded", r.Steps[n-1].Step)
	}
}

// is fails the test unless err is an Error of this step that matches the pattern.
func is(t *testing.T, err error, step probe.Step, pattern string) {
	t.Helper()
	t.Log(err)
	var e *probe.Error
	if !errors.As(err, &e) {
		t.Errorf("%v is not an Error", err)
	} else if e.Step != step {
		t.Errorf("got the step %v, want %v: %v", e.Step, step, err)
	}
	if err != nil && !regexp.MustCompile(pattern).MatchString(err.Error()) {
		t.Errorf("%q does not match %s", err, pattern)
	}
}

// TestResolverStalls checks that the name is looked up within the same deadline. It is
// not parallel, because it replaces net.DefaultResolver.
func TestResolverStalls(t *testing.T) {
	silent, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	former := net.DefaultResolver
	defer func() { net.DefaultResolver = former }()
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", silent.LocalAddr().String())
	}}
	stalled(t, "ws://somewhere.example/", probe.Connect, "^cannot connect: no whole answer within ", probe.Options{Timeout: 300 * time.Millisecond})
}

// TestCancelled checks that a probe ends at once when its context does, at every step. The
// error names that cause.
func TestCancelled(t *testing.T) {
	t.Parallel()
	server, client := wstest.TLS()
	why := errors.New("the caller's reason")
	for name, test := range map[string]struct {
		step   probe.Step
		config *tls.Config
		handle func(*wstest.Peer, func())
	}{
		"TLS": {probe.TLS, nil, func(p *wstest.Peer, cancel func()) {
			_, _ = p.NetConn().Read(make([]byte, 1))
			cancel()
		}},
		"handshake": {probe.Handshake, server, func(p *wstest.Peer, cancel func()) {
			if _, err := p.ReadRequest(); err == nil {
				cancel()
			}
		}},
		"echo": {probe.Echo, server, func(p *wstest.Peer, cancel func()) {
			if p.Accept(nil) == nil {
				_, _ = p.Recv()
				cancel()
			}
		}},
		"close": {probe.Close, server, func(p *wstest.Peer, cancel func()) {
			if p.Accept(nil) == nil {
				echoed(func(p *wstest.Peer) {
					_, _ = p.Recv()
					cancel()
				})(p)
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancelCause(t.Context())
			url := wstest.ServeRaw(t, test.config, func(p *wstest.Peer) {
				test.handle(p, func() { cancel(why) })
				wstest.Silent(p)
			})
			began := time.Now()
			_, err := probe.Run(ctx, strings.Replace(url, "ws:", "wss:", 1), probe.Options{Timeout: 2 * waitLimit, TLS: client})
			is(t, err, test.step, `^interrupted \(at the step `+name+`\): the caller's reason$`)
			if !errors.Is(err, context.Canceled) || !errors.Is(err, why) || errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("got %v, want context.Canceled and the cause", err)
			}
			if took := time.Since(began); took > waitLimit {
				t.Errorf("took %v", took)
			}
		})
	}
	t.Run("before", func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(why)
		_, err := probe.Run(ctx, "ws://127.0.0.1:1/", probe.Options{})
		is(t, err, probe.Connect, "^interrupted")
	})
	t.Run("deadline", func(t *testing.T) { // of the context
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), short)
			defer cancel()
			began := time.Now()
			_, err := probe.Run(ctx, "ws://a.example/", probe.Options{Timeout: waitLimit, DialContext: buffered(nil, accepted(quiet))})
			is(t, err, probe.Echo, `no whole answer within the 1\.5s of the timeout$`)
			if took := time.Since(began); took != short {
				t.Errorf("took %v", took)
			}
			time.Sleep(waitLimit) // the server ends
		})
	})
}
