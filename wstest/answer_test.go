package wstest_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"example.com/wsecho/wstest"
)

// httpClient returns a client that trusts ServeTLS, and a function that closes it.
func httpClient() (*http.Client, func()) {
	_, config := wstest.TLS()
	transport := &http.Transport{TLSClientConfig: config}
	return &http.Client{Transport: transport}, transport.CloseIdleConnections
}

func TestAnswer(t *testing.T) {
	const silence = ""
	ping, bye := wstest.PingFrame("?"), wstest.CloseFrame(1000, "bye")
	for _, test := range []struct {
		name    string
		options wstest.AnswerOptions
		frame   wstest.Frame
		want    string
	}{
		{"ping", wstest.AnswerOptions{}, ping, `pong "?"`},
		{"close", wstest.AnswerOptions{}, bye, `close "\x03\xe8bye"`},
		{"text", wstest.AnswerOptions{}, wstest.TextFrame("x"), silence},
		{"pong", wstest.AnswerOptions{Echo: true}, wstest.PongFrame("x"), silence},
		{"Echo", wstest.AnswerOptions{Echo: true}, wstest.TextFrame("x").Open(), `text without fin "x"`},
		{"NoPong", wstest.AnswerOptions{NoPong: true}, ping, silence},
		{"NoClose", wstest.AnswerOptions{NoClose: true}, bye, silence},
		{"Code", wstest.AnswerOptions{Code: 1001}, bye, `close "\x03\xe9"`},
		{"Pong", wstest.AnswerOptions{
			Pong: func(b []byte) []byte { return append(b, '!') },
		}, ping, `pong "?!"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := dial(t, wstest.Serve(t, func(p *wstest.Peer) {
				p.Answer(context.Background(), test.options)
			}), wstest.DialOptions{Timeout: soon})
			check(t, p.Send(test.frame))
			if test.want == silence {
				p.Timeout = 20 * time.Millisecond
			}
			got := silence
			if f, err := p.Recv(); err == nil {
				got = f.String()
			}
			if got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

// TestAnswerClosing begins the closing handshake on each side.
func TestAnswerClosing(t *testing.T) {
	want := wstest.End{Code: 1000, FIN: true, Frames: 1}
	t.Run("server", func(t *testing.T) {
		ends := make(chan wstest.End, 1)
		p := dial(t, wstest.Serve(t, func(p *wstest.Peer) {
			check(t, p.Send(wstest.CloseFrame(1000, "")))
			end, err := p.Answer(context.Background(), wstest.AnswerOptions{})
			check(t, err)
			ends <- end
		}), wstest.DialOptions{})
		end, err := p.Answer(t.Context(), wstest.AnswerOptions{})
		check(t, err)
		check(t, p.Close())
		for _, got := range []wstest.End{end, <-ends} {
			got.After = 0
			if got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
		}
	})
	t.Run("client", func(t *testing.T) {
		p := dial(t, wstest.Serve(t, wstest.Echo), wstest.DialOptions{})
		check(t, p.Send(wstest.CloseFrame(1000, "")))
		got, err := p.Answer(t.Context(), wstest.AnswerOptions{})
		check(t, err)
		got.After = 0
		if got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	})
}

func TestAnswerContext(t *testing.T) {
	p := dial(t, wstest.Serve(t, wstest.Echo), wstest.DialOptions{})
	cause := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	check(t, p.Send(wstest.TextFrame("x")))
	frames := 0
	_, err := p.Answer(ctx, wstest.AnswerOptions{Each: func(wstest.Frame) {
		frames++
		time.AfterFunc(20*time.Millisecond, func() { cancel(cause) })
	}})
	if err != cause || frames != 1 {
		t.Errorf("got %v after %d frames, want %v after 1", err, frames, cause)
	}
	check(t, p.Send(wstest.TextFrame("still there")))
	if _, payload, err := p.RecvMessage(); err != nil || string(payload) != "still there" {
		t.Errorf("got %q, %v, want a peer that can be used further", payload, err)
	}
}
