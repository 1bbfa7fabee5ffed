package command

import (
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"example.com/wsecho/wstest"
)

// TestConnectWaits checks how long each wait is, in synthetic time. The server is at the
// other end of an in-memory pipe.
func TestConnectWaits(t *testing.T) {
	answers := func(o wstest.AnswerOptions) func(*wstest.Peer) {
		return func(p *wstest.Peer) { _, _ = p.Answer(context.Background(), o) }
	}
	slow := func(p *wstest.Peer) { // answers each message after 3 s, and pings at once
		_, _ = p.Answer(context.Background(), wstest.AnswerOptions{Each: func(f wstest.Frame) {
			if f.Opcode == wstest.Text {
				go func() {
					time.Sleep(3 * time.Second)
					_ = p.Send(wstest.TextFrame("late"))
				}()
			}
		}})
	}
	onlyFirst := func(p *wstest.Peer) {
		texts := 0
		_, _ = p.Answer(context.Background(), wstest.AnswerOptions{Each: func(f wstest.Frame) {
			if f.Opcode == wstest.Text {
				if texts++; texts == 1 {
					_ = p.Send(wstest.TextFrame("first"))
				}
			}
		}})
	}
	for name, test := range map[string]struct {
		server func(*wstest.Peer)
		args   string
		stdin  string
		took   time.Duration
		code   int
		stdout string
		stderr string // a part
	}{
		"echo":         {answers(wstest.AnswerOptions{Echo: true}), "", "a\n", 0, 0, "a\n", "closed by this side, code 1000"},
		"late":         {slow, "", "a\n", 3 * time.Second, 0, "late\n", "closed by this side, code 1000"},
		"too late":     {slow, "--wait=2s", "a\nb\n", 2 * time.Second, 6, "", "no answer to 2 of 2 messages within 2s; --wait changes that"},
		"close waits":  {slow, "", "a\n/close 4000\n", 3 * time.Second, 0, "late\n", "closed by this side, code 4000"},
		"no wait":      {slow, "--wait=0s", "a\n", 0, 0, "", "closed by this side, code 1000"},
		"no answer":    {answers(wstest.AnswerOptions{}), "", "a\n", 5 * time.Second, 6, "", "no answer to 1 of 1 messages within 5s"},
		"one answer":   {onlyFirst, "--wait=2s", "a\nb\n", 2 * time.Second, 0, "first\n", "no answer to 1 of 2 messages within 2s"},
		"no pong":      {answers(wstest.AnswerOptions{Echo: true, NoPong: true}), "", "a\n", 5 * time.Second, 0, "a\n", "closed by this side, code 1000"},
		"/ping":        {answers(wstest.AnswerOptions{NoPong: true}), "--timeout=2s", "/ping\n", 2 * time.Second, 6, "", "no pong within 2s"},
		"close":        {answers(wstest.AnswerOptions{NoClose: true}), "--timeout=4s", "/close 4001\n", 4 * time.Second, 7, "", "code 4001, not answered"},
		"stuck write":  {func(*wstest.Peer) { time.Sleep(30 * time.Second) }, "--timeout=7s", "a\n", 7 * time.Second, 9, "", "write stalled by this side"},
		"no handshake": {nil, "--timeout=6s", "a\n", 6 * time.Second, 5, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var args []string
				if test.args != "" {
					args = []string{test.args}
				}
				talk, out, errs := overPipe(t, test.server, strings.NewReader(test.stdin), args...)
				began := time.Now()
				err := talk.runBounded(t.Context())
				code := 0
				if err != nil {
					code = exitCode(err)
				}
				if took := time.Since(began); took != test.took || code != test.code || out.String() != test.stdout || !strings.Contains(errs.String(), test.stderr) {
					t.Errorf("took %v, want %v; exit code %d, want %d: %v\n%q\n%s", took, test.took, code, test.code, err, out, errs)
				}
				time.Sleep(time.Minute) // the server ends
			})
		})
	}
}

// overPipe returns a talk with a server over an in-memory pipe. A nil server does not
// answer the handshake.
func overPipe(t *testing.T, server func(*wstest.Peer), stdin io.Reader, args ...string) (talk *talk, out, errs *strings.Builder) {
	f := parse(t, append(append([]string{"connect"}, args...), "ws://a.example/")...).Connect
	f.stdin, f.Proxy = stdin, noProxy
	out, errs = &strings.Builder{}, &strings.Builder{}
	talk, err := f.talk(streams{out, errs})
	if err != nil {
		t.Fatal(err)
	}
	talk.options.Connect.DialContext = func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		go func() {
			p := wstest.Server(theirs)
			p.Timeout = -1
			defer p.Close()
			if server == nil {
				_, _ = p.End(time.Hour)
			} else if p.Accept(nil) == nil {
				server(p)
			}
		}()
		return ours, nil
	}
	return talk, out, errs
}

// TestConnectStuckOutput checks that a signal ends the command although stdout takes no
// bytes.
func TestConnectStuckOutput(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		read, write := io.Pipe() // nothing reads
		talk, _, _ := overPipe(t, wstest.Echo, strings.NewReader("a\n"))
		talk.view.out = write
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Minute, cancel)
		talk.f.Wait = off
		began := time.Now()
		err := talk.runBounded(ctx)
		if took := time.Since(began); err == nil || !strings.Contains(err.Error(), "stdout or stderr accepts no more bytes") || took != time.Minute+stopLimit {
			t.Errorf("got %v after %v", err, took)
		}
		read.Close() // so that the goroutines end
	})
}

// TestConnectPausedOutput checks that a server which answers is not called dead while
// stdout takes no bytes. No pong may count as lost.
func TestConnectPausedOutput(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stdin, typing := io.Pipe()
		talk, _, errs := overPipe(t, nil, stdin, "--wait=off", "--ping-interval=200ms", "--timeout=500ms")
		talk.options.Connect.DialContext = dialBuffered(func(p *wstest.Peer) {
			_ = p.Send(wstest.TextFrame("one"))
			pings := 0
			_, _ = p.Answer(context.Background(), wstest.AnswerOptions{Each: func(f wstest.Frame) {
				if f.Opcode == wstest.Ping {
					if pings++; pings == 20 {
						_ = p.Send(wstest.CloseFrame(1000, ""))
					}
				}
			}})
		})
		read, write := io.Pipe()
		talk.view.out = write
		go func() { _, _ = io.WriteString(typing, "/ping\n") }()
		go func() {
			time.Sleep(2 * time.Second)
			_, _ = io.Copy(io.Discard, read)
		}()
		err := talk.runBounded(t.Context())
		if err != nil || !strings.Contains(errs.String(), "normal by the server") || !strings.Contains(errs.String(), "pong after") {
			t.Errorf("got %v\n%s", err, errs)
		}
		write.Close()
		typing.Close()
	})
}

// dialBuffered is a DialContext to a server over a pipe with buffers, as those of TCP.
func dialBuffered(server func(*wstest.Peer)) func(context.Context, string, string) (net.Conn, error) {
	return func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := wstest.Pipe()
		go func() {
			p := wstest.Server(theirs)
			p.Timeout = -1
			defer p.Close()
			if p.Accept(nil) == nil {
				server(p)
			}
		}()
		return ours, nil
	}
}
