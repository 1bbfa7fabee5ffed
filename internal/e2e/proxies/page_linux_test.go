package proxies

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"

	"example.com/wsecho/wstest"
)

// flags are those of the server on the page that each block needs.
func (k kind) flags(more ...string) []string {
	all := append([]string{"--trusted-proxy=127.0.0.1"}, more...)
	if k.tcp {
		all = append(all, "--proxy-protocol=require")
	}
	return all
}

// each runs a test for each kind of proxy on the page.
func each(t *testing.T, test func(t *testing.T, k kind)) {
	t.Parallel()
	for _, k := range kinds() {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			test(t, k)
		})
	}
}

// TestBlocks opens WebSockets through each block. It checks echoes, the client's address
// and Host and Origin.
func TestBlocks(t *testing.T) {
	each(t, func(t *testing.T, k kind) {
		s := start(t, k.flags()...)
		p := k.serve(t, []*wsecho{s})
		peer := mustDial(t, p.addr, "/echo", "Host", "example.com", "Origin", "http://example.com")
		for _, text := range []string{"hello", strings.Repeat("long ", 20_000)} {
			if err := echo(peer, text); err != nil {
				t.Fatal(err)
			}
		}
		if err := peer.Send(wstest.CloseFrame(1000, "")); err != nil {
			t.Fatal(err)
		}
		if end, err := peer.End(waitLimit); err != nil || end.Code != 1000 {
			t.Errorf("the client got %v, %v, want code 1000", end, err)
		}
		e := s.ended(t, "/echo")
		if !strings.HasPrefix(e.Remote, clientAddr+":") || !strings.HasPrefix(e.Proxy, "127.0.0.1:") || e.Kind != "normal" {
			t.Errorf("the log has %+v, want the client %s behind 127.0.0.1, and the kind normal", e, clientAddr)
		}
		if want := "http"; e.Scheme != want && !k.tcp {
			t.Errorf("the log has the scheme %q, want %q", e.Scheme, want)
		}
		// A client sends the fields of a proxy.
		for i, spoofed := range [][]string{
			{"X-Forwarded-For", "198.51.100.1"},
			{"X-Forwarded-For", "198.51.100.1, 127.0.0.1"},
			{"X-Forwarded-For", "127.0.0.1"},
			{"Forwarded", "for=198.51.100.1;proto=https"},
			{"Forwarded", `for="198.51.100.1`},
			{"X-Forwarded-For", "198.51.100.1", "Forwarded", "for=198.51.100.1", "X-Forwarded-Proto", "https"},
			{"X-Real-Ip", "198.51.100.1"},
		} {
			path := fmt.Sprint("/spoofed/", i)
			peer := mustDial(t, p.addr, path, spoofed...)
			if err := echo(peer, "hello"); err != nil {
				t.Fatal(err)
			}
			_ = peer.Close()
			if e := s.ended(t, path); !strings.HasPrefix(e.Remote, clientAddr+":") || e.Scheme == "https" {
				t.Errorf("%q changed the log: the client is %s with %s", spoofed, e.Remote, e.Scheme)
			}
		}
		// The page of another host, and one that names the proxy's address.
		for origin, want := range map[string]int{"http://evil.example": 403, "http://example.com:81": 403, "https://example.com": 101} {
			if got, err := status(p.addr, "/origin", "Host", "example.com", "Origin", origin); err != nil || got != want {
				t.Errorf("origin %s: got %d, %v, want %d", origin, got, err, want)
			}
		}
		refused := s.entry(t, "a handshake is refused", func(e entry) bool { return e.Msg == "refused" && e.Status == 403 })
		if !strings.HasPrefix(refused.Remote, clientAddr+":") || !strings.Contains(refused.Reason, `host "example.com"`) {
			t.Errorf("the log has %+v, want the client and the host example.com", refused)
		}
		// Plain requests work too.
		resp, err := http.Get("http://" + p.addr + "/healthz")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Errorf("/healthz is %s", resp.Status)
		}
		// The close frame of a drain passes the proxy.
		left := mustDial(t, p.addr, "/left")
		if err := echo(left, "hello"); err != nil {
			t.Fatal(err)
		}
		s.signal(t, syscall.SIGTERM)
		if end, err := left.End(waitLimit); err != nil || end.Code != 1001 {
			t.Errorf("the client of a server that drains got %v, %v, want code 1001", end, err)
		}
	})
}

// TestPageIsComplete checks that each block of the page is one of the tests.
func TestPageIsComplete(t *testing.T) {
	var want []string
	for _, k := range kinds() {
		if len(want) == 0 || want[len(want)-1] != k.lang {
			want = append(want, k.lang)
		}
	}
	for _, lang := range []string{"nginx", "haproxy", "apache", "caddyfile"} {
		n := 0
		for _, k := range kinds() {
			if k.lang == lang {
				n++
			}
		}
		if got := len(blocks(t, lang)); got != n || !slices.Contains(want, lang) {
			t.Errorf("the page has %d blocks of %s, and %d are tested", got, lang, n)
		}
	}
}
