package command

import (
	"context"
	"encoding/pem"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"example.com/wsecho/probe"
	"example.com/wsecho/wstest"
)

// checkOptions returns the options for the flags of wsecho check.
func checkOptions(t *testing.T, args ...string) probe.Options {
	t.Helper()
	o, err := parse(t, append(append([]string{"check"}, args...), "ws://127.0.0.1/")...).Check.probeOptions("ws://127.0.0.1/")
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// TestCheckOptions checks that each flag sets one option, and each option has a flag. The
// help must show the default.
func TestCheckOptions(t *testing.T) {
	set := map[string]string{
		"Timeout": "--timeout=7s", "Ping": "--pong", "Header": "--header=A: b, c", "Subprotocols": "--subprotocol=chat", "TLS": "--insecure", "DialContext": "--resolve=localhost:80:127.0.0.1",
	}
	without := checkOptions(t)
	if without.Timeout != probe.DefaultTimeout || len(without.Header) > 0 || without.TLS.InsecureSkipVerify || without.TLS.RootCAs != nil {
		t.Errorf("%+v", without)
	}
	defaults := reflect.ValueOf(without)
	for i := range defaults.NumField() {
		option := defaults.Type().Field(i).Name
		got := reflect.ValueOf(checkOptions(t, set[option]))
		for j := range got.NumField() {
			changed := !reflect.DeepEqual(got.Field(j).Interface(), defaults.Field(j).Interface())
			if changed != (j == i) {
				t.Errorf("%s: %s changed: %v", set[option], got.Type().Field(j).Name, changed)
			}
		}
	}
	header := checkOptions(t, "--header=A: b, c", "--origin=https://example.com").Header
	if want := (http.Header{"A": {"b, c"}, "Origin": {"https://example.com"}}); !reflect.DeepEqual(header, want) {
		t.Errorf("the header is %v, want %v", header, want)
	}
}

// TestCheckCodes checks that the exit code names the step that failed or stalled.
func TestCheckCodes(t *testing.T) {
	t.Parallel()
	const short, long = "--timeout=4s", "--timeout=30s" // a busy machine reaches each step within the short one
	closes := func(code uint16) func(*wstest.Peer) {
		return func(p *wstest.Peer) {
			_, _ = p.Answer(context.Background(), wstest.AnswerOptions{Echo: true, Code: code})
		}
	}
	mute := func(p *wstest.Peer) {
		_, _ = p.Answer(context.Background(), wstest.AnswerOptions{Echo: true, NoClose: true})
	}
	unserved, err := net.Listen("tcp", "127.0.0.1:0") // the kernel accepts connections, and no server reads from them
	if err != nil {
		t.Fatal(err)
	}
	defer unserved.Close()
	silent := "://" + unserved.Addr().String() + "/"
	secure := wstest.ServeTLS(t, wstest.Echo)
	config, _ := wstest.TLS()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: config.Certificates[0].Certificate[0]})
	if err := os.WriteFile(ca, block, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Run("all", func(t *testing.T) {
		for name, test := range map[string]struct {
			args           []string
			code           int
			stdout, stderr string
		}{
			"TLS stalls":       {[]string{short, "wss" + silent}, 4, `^connect .*\n$`, `: TLS failed: no whole answer within the 4s of the timeout\n$`},
			"handshake stalls": {[]string{short, "ws" + silent}, 5, `^connect .*\n$`, `: did not open a WebSocket: no whole answer`},
			"echo stalls":      {[]string{short, wstest.Serve(t, wstest.Silent)}, 6, `\nhandshake .*\n$`, `: did not send the message back: no whole answer`},
			"pong stalls":      {[]string{short, "--pong", wstest.Serve(t, wstest.Silent)}, 6, `\nhandshake .*\n$`, `: did not answer the ping: no whole answer`},
			"close stalls":     {[]string{short, wstest.Serve(t, mute)}, 7, `\necho .*\n$`, `: did not close as it should: no whole answer`},
			"1011":             {[]string{long, wstest.Serve(t, closes(1011))}, 7, `\necho .*\n$`, `: it closed the connection with 1011\n$`},
			"no trust":         {[]string{long, secure}, 4, `^connect .*\n$`, `: TLS failed: .*certificate`},
			"insecure":         {[]string{long, "--insecure", secure}, 0, `\nTLS .* ms  TLS 1\.3, the certificate was NOT verified\n`, `^$`},
			"ca":               {[]string{long, "--ca=" + ca, secure}, 0, `\nTLS .* ms  TLS 1\.3, certificate valid until 2999-01-01\n`, `^$`},
			"greetings": {[]string{long, wstest.Serve(t, func(p *wstest.Peer) {
				_ = p.Send(wstest.TextFrame("hello"), wstest.TextFrame("there"))
				wstest.Echo(p)
			})}, 0, `\necho .* ms  after 2 other messages\n`, `^$`},
			"a secret": {[]string{long, strings.Replace(wstest.Serve(t, closes(1011)), "://", "://me:secret@", 1)}, 7, `^[^@]*$`, `me:xxxxx@`},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				var stdout, stderr strings.Builder
				code := Run(t.Context(), "", append([]string{"check"}, test.args...), &stdout, &stderr)
				if code != test.code || !regexp.MustCompile(test.stdout).MatchString(stdout.String()) || !regexp.MustCompile(test.stderr).MatchString(stderr.String()) {
					t.Errorf("exit code %d, want %d\n%s%s", code, test.code, &stdout, &stderr)
				}
			})
		}
	})
	t.Run("interrupted", func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		url := wstest.Serve(t, func(p *wstest.Peer) {
			_, _ = p.Recv()
			cancel(errors.New("signal: interrupt"))
			wstest.Silent(p)
		})
		var stdout, stderr strings.Builder
		began := time.Now()
		code := Run(ctx, "", []string{"check", "--timeout=10m", url}, &stdout, &stderr)
		if want := ": interrupted (at the step echo): signal: interrupt\n"; code != 1 || !strings.HasSuffix(stderr.String(), want) || time.Since(began) > waitLimit {
			t.Errorf("exit code %d after %v: %s", code, time.Since(began), &stderr)
		}
	})
}
