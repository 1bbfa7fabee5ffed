package command

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"testing"
	"time"

	"example.com/wsecho/server"
	"example.com/wsecho/wstest"
)

// A listing is an answer to GET /connections.
type listing struct {
	Open        int
	Endings     map[string]int64
	Connections []connection
}

// list returns the answer to GET /connections with a query.
func list(t *testing.T, addr, query string) (l listing) {
	t.Helper()
	r, err := http.Get("http://" + addr + "/connections" + query)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if err := json.NewDecoder(r.Body).Decode(&l); err != nil || r.StatusCode != http.StatusOK {
		t.Fatalf("%s: got %d, %v", query, r.StatusCode, err)
	}
	return l
}

// listUntil waits until the answer to GET /connections satisfies ok.
func listUntil(t *testing.T, addr, what string, ok func(listing) bool) listing {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		l := list(t, addr, "")
		if ok(l) {
			return l
		}
		if time.Now().After(end) {
			t.Fatalf("not in time: %s: %+v", what, l)
		}
	}
}

// dialPeer returns a peer that is closed at the end of the test.
func dialPeer(t *testing.T, url string) *wstest.Peer {
	t.Helper()
	p, err := wstest.Dial(url, wstest.DialOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

// echoed sends a text and receives it n times.
func echoed(t *testing.T, p *wstest.Peer, n int) {
	t.Helper()
	for range n {
		if err := p.Send(wstest.TextFrame("hello")); err != nil {
			t.Fatal(err)
		}
		if _, _, err := p.RecvMessage(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestConnectionsSelected: the connections with 1 to 6 messages, in several orders.
func TestConnectionsSelected(t *testing.T) {
	t.Parallel()
	_, url, addr := startAdmin(t, server.Options{PingInterval: -1})
	const n = 6
	for i := range n {
		echoed(t, dialPeer(t, url+"path?token=secret"), i+1)
		listUntil(t, addr, "the server has counted the messages", func(l listing) bool {
			sum := 0
			for _, c := range l.Connections {
				sum += int(c.MessagesIn + c.MessagesOut)
			}
			return sum == (i+1)*(i+2)
		})
	}
	for _, tt := range []struct{ query, want string }{
		{"?limit=2", "[1 2]"},
		{"?sort=-id&limit=2", "[6 5]"},
		{"?sort=messages", "[1 2 3 4 5 6]"},
		{"?sort=-messages&limit=3", "[6 5 4]"},
		{"?sort=bytes&limit=1", "[1]"},
		{"?sort=-bytes&limit=1", "[6]"},
		{"?sort=since&limit=4", "[1 2 3 4]"},
		{"?sort=-last_received&limit=2", "[6 5]"},
		{"?sort=state&limit=2", "[1 2]"},
		{"?sort=rtt_seconds&limit=1000000", "[1 2 3 4 5 6]"},
		{"?sort=-rtt_seconds", "[6 5 4 3 2 1]"},
	} {
		l := list(t, addr, tt.query)
		var got []uint64
		for _, c := range l.Connections {
			got = append(got, c.ID)
			if c.URI != "/path?…" {
				t.Errorf("got the URI %q", c.URI)
			}
		}
		if fmt.Sprint(got) != tt.want || l.Open != n {
			t.Errorf("%s: got %v of %d, want %s of %d", tt.query, got, l.Open, tt.want, n)
		}
	}
	for _, tt := range []struct{ query, want string }{
		{"?sort=name", "sort: \"name\" is no order; use one of bytes, id, last_received, messages, remote, rtt_seconds, since, state, or one of them after a minus sign\n"},
		{"?limit=0", "limit: \"0\" is no number of connections; use one such as 500\n"},
		{"?limit=-1", "limit: \"-1\" is no number of connections; use one such as 500\n"},
		{"?limit=2000000000", "limit: \"2000000000\" is no number of connections; use one such as 500\n"},
	} {
		r, err := http.Get("http://" + addr + "/connections" + tt.query)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(r.Body)
		r.Body.Close()
		if err != nil || r.StatusCode != http.StatusBadRequest || string(body) != tt.want {
			t.Errorf("%s: got %d, %v, %q, want %q", tt.query, r.StatusCode, err, body, tt.want)
		}
	}
}

// TestConnectionsState: a connection is open, and parked without messages. The endings of
// the connections that are over are counted.
func TestConnectionsState(t *testing.T) {
	t.Parallel()
	_, url, addr := startAdmin(t, server.Options{PingInterval: -1, ParkAfter: 5 * time.Millisecond})
	p := dialPeer(t, url)
	state := "parked"
	if runtime.GOOS != "linux" {
		state = "open"
	}
	listUntil(t, addr, "one connection is "+state, func(l listing) bool {
		return len(l.Connections) == 1 && l.Connections[0].State == state && len(l.Endings) == 0
	})
	echoed(t, p, 1)
	if err := p.Send(wstest.CloseFrame(1000, "")); err != nil {
		t.Fatal(err)
	}
	_ = dialPeer(t, url).Close()
	listUntil(t, addr, "both have ended", func(l listing) bool {
		return l.Open == 0 && l.Endings["normal"] == 1 && l.Endings["abnormal"] == 1 && len(l.Endings) == 2
	})
}

// TestWithoutQuery: no query and no password reaches /connections.
func TestWithoutQuery(t *testing.T) {
	for _, tt := range [][2]string{
		{"/", "/"}, {"/a/b", "/a/b"}, {"/a?token=x", "/a?…"}, {"/?", "/?…"}, {"ws://user:password@host/a", "…"}, {"", "…"},
	} {
		if got := withoutQuery(tt[0]); got != tt[1] {
			t.Errorf("%q: got %q, want %q", tt[0], got, tt[1])
		}
	}
}
