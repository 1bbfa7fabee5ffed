package proxies

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"example.com/wsecho/wstest"
)

func began(e entry) bool { return e.Msg == "began" }

// TestHealthChecks checks that GET /readyz takes a server out that drains, before the
// server closes its port. Until then no client is refused.
func TestHealthChecks(t *testing.T) {
	each(t, func(t *testing.T, k kind) {
		var pairs []string
		switch k.lang {
		case "nginx":
			return // it has no health checks; see TestPassiveChecks
		case "haproxy":
			pairs = []string{"inter 2s", "inter 200ms"}
		case "apache":
			pairs = []string{"hcinterval=2", "hcinterval=200ms"}
		case "caddyfile":
			pairs = []string{"health_interval 2s", "health_interval 200ms"}
		}
		a, b := start(t, k.flags("--drain-delay=10m")...), start(t, k.flags("--drain-delay=10m")...)
		p := k.serve(t, []*wsecho{a, b}, pairs...)
		peers := map[string]*wstest.Peer{}
		for i := 0; a.count(began) == 0 || b.count(began) == 0; i++ {
			if i == 50 {
				t.Fatalf("the servers have %d and %d of %d connections", a.count(began), b.count(began), i)
			}
			path := fmt.Sprint("/before/", i)
			peers[path] = mustDial(t, p.addr, path)
			a.await(t, "the log has the connection", func() bool { return a.count(began)+b.count(began) == len(peers) })
		}
		before := a.entry(t, "a has a connection", began)
		a.signal(t, syscall.SIGTERM)
		for i, row := 0, 0; row < 30; i++ { // until 30 in a row are on b, which is no chance
			n := a.count(began)
			total := n + b.count(began)
			peer, err := dial(p.addr, fmt.Sprint("/while/", i))
			if err != nil {
				t.Fatalf("handshake %d while a drains: %v", i, err)
			}
			a.await(t, "the log has the connection", func() bool { return a.count(began)+b.count(began) > total })
			if row++; a.count(began) > n {
				row = 0
			}
			_ = peer.Close()
			if i == 600 {
				t.Fatal("a still gets connections")
			}
			time.Sleep(20 * time.Millisecond) // so that 30 take longer than a check
		}
		if err := echo(peers[before.URI], "hello"); err != nil {
			t.Errorf("a connection of the server that drains: %v", err)
		}
	})
}

// TestNextServer kills a server. No later handshake may fail.
func TestNextServer(t *testing.T) {
	each(t, func(t *testing.T, k kind) {
		a, b := start(t, k.flags()...), start(t, k.flags()...)
		p := k.serve(t, []*wsecho{a, b})
		mustDial(t, p.addr, "/before")
		a.signal(t, syscall.SIGKILL)
		<-a.done
		for i := range 6 {
			if got, err := status(p.addr, fmt.Sprint("/after/", i)); err != nil || got != 101 {
				t.Errorf("handshake %d after the crash of a server: got %d, %v, want 101", i, got, err)
			}
		}
	})
}

// TestPassiveChecks checks the block of nginx, which counts each 503 as a failure unless
// max_fails is 0. After one, nginx passes one request per fail_timeout to that server,
// until one of them has ended. A WebSocket does not end.
func TestPassiveChecks(t *testing.T) {
	t.Parallel()
	const failTimeout = 2 * time.Second
	k := kinds()[0]
	for name, pairs := range map[string][]string{
		"max_fails=0": nil,
		"default":     {" max_fails=0", " fail_timeout=2s"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const room = 20
			a, b := start(t, k.flags(fmt.Sprint("--max-conns=", room))...), start(t, k.flags()...)
			p := k.serve(t, []*wsecho{a, b}, pairs...)
			var direct []*wstest.Peer
			for range room {
				direct = append(direct, mustDial(t, a.addr, "/direct"))
			}
			open := func(path string) {
				mustDial(t, p.addr, path)
			}
			for i := range 6 {
				open(fmt.Sprint("/full/", i)) // nginx tries b after the 503 of a
			}
			full := func(e entry) bool { return e.Msg == "refused" && e.Status == 503 }
			a.entry(t, "a has refused a handshake", full)
			for _, peer := range direct {
				_ = peer.Close()
			}
			a.await(t, "a has room", func() bool {
				return a.count(func(e entry) bool { return e.Msg == "ended" }) == room
			})
			through := func() int {
				return a.count(func(e entry) bool { return began(e) && strings.HasPrefix(e.URI, "/room/") })
			}
			first := time.Now()
			for i := 0; through() == 0; i++ {
				if time.Since(first) > waitLimit {
					t.Fatal("a gets no connection")
				}
				open(fmt.Sprint("/room/first/", i))
				time.Sleep(100 * time.Millisecond)
			}
			first = time.Now()
			for i := range 12 {
				open(fmt.Sprint("/room/more/", i))
			}
			periods := int(time.Since(first)/failTimeout) + 1
			b.await(t, "the log has all connections", func() bool {
				return a.count(func(e entry) bool { return began(e) && strings.HasPrefix(e.URI, "/room/more/") })+
					b.count(func(e entry) bool { return began(e) && strings.HasPrefix(e.URI, "/room/more/") }) == 12
			})
			switch got := through(); {
			case pairs == nil && got < 6:
				t.Errorf("a has %d connections, and b has more; want at least 6", got)
			case pairs != nil && got > 1+periods:
				t.Errorf("a has %d connections after %d periods of fail_timeout, so the page is wrong", got, periods)
			}
		})
	}
}

// children returns the processes whose parent is pid.
func children(t *testing.T, pid int) (all []int) {
	t.Helper()
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range dirs {
		stat, err := os.ReadFile(dir + "/stat")
		if err != nil {
			continue // it has ended
		}
		_, rest, _ := strings.Cut(string(stat), ") ")
		if f := strings.Fields(rest); len(f) > 1 && f[1] == strconv.Itoa(pid) && f[0] != "Z" {
			child, _ := strconv.Atoi(filepath.Base(dir))
			all = append(all, child)
		}
	}
	return all
}

// TestReload checks that an old worker of nginx waits for its WebSockets after a reload.
// --max-age ends the wait.
func TestReload(t *testing.T) {
	t.Parallel()
	k := kinds()[0]
	for _, age := range []string{"off", "3s"} {
		t.Run(age, func(t *testing.T) {
			t.Parallel()
			s := start(t, k.flags("--max-age="+age)...)
			p := k.serve(t, []*wsecho{s})
			peer := mustDial(t, p.addr, "/old")
			old := children(t, p.cmd.Process.Pid)
			if len(old) != 1 {
				t.Fatalf("nginx has the workers %v, want one", old)
			}
			p.signal(t, syscall.SIGHUP)
			p.await(t, "there is a new worker", func() bool {
				return slices.ContainsFunc(children(t, p.cmd.Process.Pid), func(pid int) bool { return pid != old[0] })
			})
			hasOld := func() bool { return slices.Contains(children(t, p.cmd.Process.Pid), old[0]) }
			if age == "off" {
				// The old worker stops to listen when it has the signal.
				p.await(t, "the new worker serves", func() bool {
					got, err := status(p.addr, "/new")
					return err == nil && got == 101
				})
				if err := echo(peer, "hello"); err != nil || !hasOld() {
					t.Errorf("after a reload: %v, and the old worker is there: %v", err, hasOld())
				}
				return
			}
			if end, err := peer.End(waitLimit); err != nil || end.Code != 1001 {
				t.Errorf("the client got %v, %v, want code 1001 at its maximum age", end, err)
			}
			_ = peer.Close()
			p.await(t, "the old worker has ended", func() bool { return !hasOld() })
		})
	}
}

// TestCaddyStops checks the close frame that Caddy 2.6 sends to the server when it stops
// or reloads. It has no mask, so the server ends the connection with 1002.
func TestCaddyStops(t *testing.T) {
	t.Parallel()
	k := kinds()[len(kinds())-1]
	s := start(t, k.flags()...)
	p := k.serve(t, []*wsecho{s})
	peer := mustDial(t, p.addr, "/caddy")
	if err := echo(peer, "hello"); err != nil {
		t.Fatal(err)
	}
	p.signal(t, syscall.SIGTERM)
	end, err := peer.End(waitLimit)
	if err != nil || end.Code != 1001 {
		t.Errorf("the client got %v, %v, want code 1001", end, err)
	}
	if e := s.ended(t, "/caddy"); e.Kind != "protocol" || e.Reason != "unmasked frame" || e.Sent != 1002 {
		t.Errorf("the log has %+v, want the kind protocol for an unmasked frame, and 1002", e)
	}
}

// TestUnixSocket runs the block of nginx with a unix socket, and checks the client's address.
func TestUnixSocket(t *testing.T) {
	t.Parallel()
	k := kinds()[0]
	socket := filepath.Join(t.TempDir(), "s")
	s := start(t, "--addr=unix:"+socket, "--trusted-proxy=unix")
	p := k.serve(t, []*wsecho{s}, "server "+s.addr, "server unix:"+socket)
	peer := mustDial(t, p.addr, "/unix")
	if err := echo(peer, "hello"); err != nil {
		t.Fatal(err)
	}
	_ = peer.Close()
	if e := s.ended(t, "/unix"); !strings.HasPrefix(e.Remote, clientAddr+":") {
		t.Errorf("the log has the client %s, want %s", e.Remote, clientAddr)
	}
}

// TestDrainDelay checks that the drain delay of the page is longer than the checks of each
// block need.
func TestDrainDelay(t *testing.T) {
	seconds := func(text, pattern string) time.Duration {
		m := regexp.MustCompile(pattern).FindStringSubmatch(text)
		if m == nil {
			t.Fatalf("nothing matches %s in\n%s", pattern, text)
		}
		n, _ := strconv.Atoi(m[1])
		return time.Duration(n) * time.Second
	}
	delay := seconds(page(t), `--drain-delay=(\d+)s`)
	haproxy, apache, caddy := blocks(t, "haproxy"), blocks(t, "apache")[0], blocks(t, "caddyfile")[0]
	for _, tt := range []struct {
		name string
		need time.Duration
	}{
		{"haproxy", 2*seconds(haproxy[0], `inter (\d+)s fall 2`) + seconds(haproxy[0], `timeout check (\d+)s`)},
		{"haproxy-tcp", 2*seconds(haproxy[1], `inter (\d+)s fall 2`) + seconds(haproxy[1], `timeout check (\d+)s`)},
		{"apache", 2*seconds(apache, `hcinterval=(\d+) hcfails=2`) + time.Second},
		{"caddy", seconds(caddy, `health_interval (\d+)s`) + seconds(caddy, `health_timeout (\d+)s`)},
	} {
		if tt.need >= delay {
			t.Errorf("%s: a server that drains is out after up to %v, and --drain-delay is %v", tt.name, tt.need, delay)
		}
	}
}

// TestPassthrough lets HAProxy pass on TLS to the server, behind the header of the PROXY
// protocol.
func TestPassthrough(t *testing.T) {
	t.Parallel()
	k := kinds()[2]
	file := filepath.Join(t.TempDir(), "cert.pem")
	certificate(t, file)
	s := start(t, k.flags("--tls-cert="+file, "--tls-key="+file)...)
	p := k.serve(t, []*wsecho{s}, "send-proxy-v2", "send-proxy-v2 check-ssl verify none", "inter 2s", "inter 200ms")
	peer, err := dialTLS(p.addr, "/tls")
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	if err := echo(peer, "hello"); err != nil {
		t.Fatal(err)
	}
	_ = peer.Close()
	if e := s.ended(t, "/tls"); !strings.HasPrefix(e.Remote, clientAddr+":") || !strings.HasPrefix(e.Proxy, "127.0.0.1:") {
		t.Errorf("the log has %+v, want the client %s behind 127.0.0.1", e, clientAddr)
	}
	// The health checks work: HAProxy takes the server out when it is not ready.
	s.signal(t, syscall.SIGTERM)
	p.await(t, "HAProxy reports the server as down", func() bool { return strings.Contains(p.text(), "Server wsecho/a is DOWN") })
}
