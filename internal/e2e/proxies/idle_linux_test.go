package proxies

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"example.com/wsecho/wstest"
)

// idle returns the substitutions that shorten the idle timeouts of a block to 3 s.
func (k kind) idle() []string {
	switch k.name {
	case "nginx":
		return []string{"proxy_read_timeout 60s", "proxy_read_timeout 3s", "proxy_send_timeout 60s", "proxy_send_timeout 3s"}
	case "haproxy":
		return []string{"timeout tunnel 60s", "timeout tunnel 3s"}
	case "haproxy-tcp":
		return []string{"timeout client 60s", "timeout client 3s", "timeout server 60s", "timeout server 3s"}
	case "apache":
		return []string{"    Timeout 60", "    Timeout 3", "ProxyTimeout 60", "ProxyTimeout 3"}
	}
	return nil // Caddy has no idle timeout
}

// more are proxies that the page does not recommend. It describes how they cut a
// connection that is idle.
func more() []kind {
	return []kind{
		{name: "squid", program: "squid", wrap: func(t *testing.T, dir, block string) (string, []string) {
			if root() {
				give(t, dir, "proxy")
			}
			return `http_port {addr} accel defaultsite=example.com no-vhost
cache_peer 127.0.0.1 parent ` + port(block) + ` 0 no-query originserver name=wsecho
http_upgrade_request_protocols websocket allow all
http_access allow all
cache_peer_access wsecho allow all
cache deny all
read_timeout 3 seconds
pinger_enable off
shutdown_lifetime 1 second
pid_filename ` + dir + `/squid.pid
coredump_dir ` + dir + `
access_log none
cache_log /dev/stderr
`, []string{"-N", "-n", fmt.Sprint("wsecho", os.Getpid(), "n", nextPort()), // the name of its shared memory
					"-f", filepath.Join(dir, "proxy.conf")}
		}},
		{name: "varnish", program: "varnishd", wrap: func(t *testing.T, dir, block string) (string, []string) {
			return `vcl 4.1;
backend wsecho { .host = "127.0.0.1"; .port = "` + port(block) + `"; }
sub vcl_recv { if (req.http.Upgrade ~ "(?i)websocket") { return (pipe); } return (pass); }
sub vcl_pipe { set bereq.http.Upgrade = req.http.Upgrade; set bereq.http.Connection = req.http.Connection; }
`, []string{"-F", "-j", "none", "-a", "{addr}", "-f", filepath.Join(dir, "proxy.conf"), "-n", dir, "-s", "malloc,1m", "-p", "pipe_timeout=3"}
		}},
		{name: "stunnel", program: "stunnel4", tls: true, wrap: func(t *testing.T, dir, block string) (string, []string) {
			certificate(t, filepath.Join(dir, "cert.pem"))
			return `foreground = yes
pid =
syslog = no
[wsecho]
cert = cert.pem
accept = {addr}
connect = ` + block + `
TIMEOUTidle = 3
`, []string{filepath.Join(dir, "proxy.conf")}
		}},
	}
}

func port(addr string) string {
	_, port, _ := net.SplitHostPort(addr)
	return port
}

// give makes a user the owner of a directory.
func give(t *testing.T, dir, user string) {
	t.Helper()
	if out, err := exec.Command("chown", user, dir).CombinedOutput(); err != nil {
		t.Fatalf("chown: %v\n%s", err, out)
	}
	for d := filepath.Dir(dir); d != os.TempDir() && len(d) > 1; d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

// TestIdleCut checks how the cut of a connection that is idle appears, at the server and at
// the client. The table on the page has these results.
func TestIdleCut(t *testing.T) {
	t.Parallel()
	kinds := slices.DeleteFunc(append(kinds(), more()...), func(k kind) bool { return k.name == "caddy" }) // it has no idle timeout
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			var p *running
			var s *wsecho
			if k.lang != "" {
				s = start(t, k.flags("--ping-interval=off")...)
				p = k.serve(t, []*wsecho{s}, k.idle()...)
			} else {
				s = start(t, k.flags("--ping-interval=off")...)
				p = k.start(t, freeAddr(t), s.addr)
			}
			dialIdle := dial
			if k.tls {
				dialIdle = dialTLS
			}
			peer, err := dialIdle(p.addr, "/idle", "Host", "example.com")
			if err != nil {
				t.Fatal(err)
			}
			defer peer.Close()
			if err := echo(peer, "hello"); err != nil {
				t.Fatal(err)
			}
			want := "abnormal"
			if k.name == "haproxy" || k.name == "stunnel" {
				want = "reset"
			}
			if e := s.ended(t, "/idle"); e.Kind != want || e.By != "peer" {
				t.Errorf("the log has the kind %q by %s, want %q by peer", e.Kind, e.By, want)
			}
			if end, err := peer.End(waitLimit); err != nil || end.Code != 0 && end.Code != wstest.NoStatus {
				t.Errorf("the client got %v, %v, want the end of the stream without a close frame", end, err)
			}
			// The table of the page has the row.
			name := map[string]string{"haproxy": "HAProxy, `mode http`", "haproxy-tcp": "HAProxy, `mode tcp`", "apache": "Apache", "varnish": "Varnish", "squid": "Squid"}[k.name]
			if row := fmt.Sprintf("| %s | `%s` |", cmp.Or(name, k.name), want); !strings.Contains(page(t), row) {
				t.Errorf("the page has no row %s", row)
			}
		})
	}
}

// TestIdlePings checks that pings keep a connection open, longer than the idle timeout.
func TestIdlePings(t *testing.T) {
	each(t, func(t *testing.T, k kind) {
		s := start(t, k.flags("--ping-interval=300ms", "--ping-timeout=300ms", "--max-missed=100")...)
		p := k.serve(t, []*wsecho{s}, k.idle()...)
		peer := mustDial(t, p.addr, "/idle")
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if end, err := peer.Answer(ctx, wstest.AnswerOptions{}); ctx.Err() == nil {
			t.Fatalf("the connection has ended: %v, %v", end, err)
		}
		if err := echo(peer, "hello"); err != nil {
			t.Fatal(err)
		}
	})
}
