package browser

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp/kb"

	"example.com/wsecho/wstest"
)

// peer connects to a path of the server and echoes n messages.
func (s *server) peer(path string, n int) *wstest.Peer {
	s.t.Helper()
	p, err := wstest.Dial("ws://"+s.addr+path, wstest.DialOptions{})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = p.Close() })
	for range n {
		if err := p.Send(wstest.TextFrame("hello")); err != nil {
			s.t.Fatal(err)
		}
		if _, _, err := p.RecvMessage(); err != nil {
			s.t.Fatal(err)
		}
	}
	return p
}

// watched waits until the table has the connections with these ids in this order.
func (p *tab) watched(ids ...string) {
	p.t.Helper()
	wait(p.t, fmt.Sprintf("the connections %v", ids), func() error {
		text := eval[string](p, `[...document.querySelectorAll("#watch .watch-details")].map(e => e.textContent.split(" ")[0]).join(" ")`)
		if got := strings.Fields(text); !slices.Equal(got, ids) {
			return fmt.Errorf("got %v", got)
		}
		return nil
	})
}

// hostile connects with a path that is markup.
func (s *server) hostile() {
	s.t.Helper()
	c, err := net.Dial("tcp", s.addr)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = c.Close() })
	fmt.Fprintf(c, "GET /<img/src=x/onerror=alert(1)> HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", s.addr)
}

// TestWatch watches, sorts and closes connections on the page of the admin listener.
func TestWatch(t *testing.T) {
	t.Parallel()
	s := serve(t)
	first := s.peer("/", 3)
	s.peer("/", 1)
	s.peer("/", 2)
	p := newTab(t)
	light(p)
	p.size(1280, 800, false)
	p.navigate("http://" + s.admin + "/")
	p.watched("#3", "#2", "#1") // the youngest first
	p.checkAccess("watch")
	p.checkWidth()
	p.keepImage("page-watch")

	p.find("button", "Messages").click()
	p.watched("#1", "#3", "#2")
	p.find("button", "Messages").focus()
	p.keys(kb.Enter)
	p.watched("#2", "#3", "#1")
	if got := eval[string](p, `[...document.querySelectorAll("#watch th[aria-sort]")].map(e => e.ariaSort).join(" ")`); got != "none none none none ascending none none" {
		t.Errorf("aria-sort is %s", got)
	}

	// Rows appear and move, and the focus stays.
	p.find("button", "Close connection 3").focus()
	s.hostile()
	p.watched("#4", "#2", "#3", "#1")
	if got := p.focused(); got != "button Close connection 3" {
		t.Errorf("the focus is on %s", got)
	}
	if got := eval[string](p, `document.querySelector("#watch .watch-details").textContent`); got != "#4 · /<img/src=x/onerror=alert(1)>" {
		t.Errorf("got the details %q", got)
	}

	answered := make(chan wstest.End, 1)
	go func() {
		end, _ := first.Answer(t.Context(), wstest.AnswerOptions{})
		answered <- end
	}()
	p.find("button", "Close connection 1").focus()
	p.keys(kb.Enter)
	p.find("dialog", "Close connection 1")
	p.checkAccess("the dialog")
	eval[bool](p, `document.querySelector(".watch-dialog input[type=text]").focus(), true`)
	p.keys(kb.End + "!" + kb.Enter)
	p.watched("#4", "#2", "#3")
	if got := p.focused(); !strings.HasPrefix(got, "region ") { // a second press must not close another connection
		t.Errorf("the focus is on %s", got)
	}
	if end := <-answered; end.Code != 1001 || end.Reason != "closed by an operator!" {
		t.Errorf("the peer got %+v", end)
	}
	wait(t, "the ending", func() error {
		if got := eval[string](p, `document.querySelector(".watch-endings tbody").innerText`); !strings.HasPrefix(got, "closed\tlocal\t1\t") {
			return fmt.Errorf("got %q", got)
		}
		return nil
	})
	p.checkAccess("watch with an ending")

	p.find("button", "Pause the table").click()
	s.peer("/", 0)
	p.find("button", "Bytes").click() // asks once
	p.watched("#3", "#2", "#5", "#4")
}

// TestWatchTalk: the page of the admin listener may connect to the server.
func TestWatchTalk(t *testing.T) {
	t.Parallel()
	s := serve(t)
	p := newTab(t)
	phone(p)
	p.navigate("http://" + s.admin + "/")
	p.find("region", "0 connections are open. 0 have ended.") // the page is ready
	p.connect()
	p.watched("#1")
	p.checkAccess("watch on a phone")
	p.checkWidth()
}
