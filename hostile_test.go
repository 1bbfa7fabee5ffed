//go:build unix

package main

import (
	"os"
	"strings"
	"testing"

	"example.com/wsecho/wstest"
)

// TestStdoutUnread prints messages to a pipe that nobody reads. Neither the peers
// nor the end of the process wait for it.
func TestStdoutUnread(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	p, err := startWith(w, "wsecho", t.TempDir(), nil, "--log-messages")
	w.Close()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.kill)
	peer, err := wstest.Dial(p.url(), wstest.DialOptions{Timeout: patience})
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	text := strings.Repeat("x", 200)
	for range 3 * printAhead {
		if err := peer.Send(wstest.TextFrame(text)); err != nil {
			t.Fatal(err)
		}
		if _, got, err := peer.RecvMessage(); err != nil || string(got) != text {
			t.Fatalf("got %q, %v", got, err)
		}
	}
	go func() { _ = leave(peer) }()
	p.stop(t)
}
