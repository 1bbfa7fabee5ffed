package proxies

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"example.com/wsecho/internal/testfull"
)

// A kind is a kind of proxy.
type kind struct {
	name    string
	block   int    // of the page, from 0, among those of its language
	lang    string // of the block
	program string
	tls     bool // it terminates TLS
	tcp     bool // it passes on TCP, with the PROXY protocol
	// wrap returns the complete configuration that has the block, and the arguments.
	wrap func(t *testing.T, dir, block string) (config string, args []string)
}

func kinds() []kind {
	return []kind{
		{name: "nginx", lang: "nginx", program: "nginx", wrap: wrapNginx},
		{name: "haproxy", lang: "haproxy", program: "haproxy", wrap: wrapHAProxy},
		{name: "haproxy-tcp", lang: "haproxy", block: 1, program: "haproxy", wrap: wrapHAProxy, tcp: true},
		{name: "apache", lang: "apache", program: "apache2", wrap: wrapApache},
		{name: "caddy", lang: "caddyfile", program: "caddy", wrap: wrapCaddy},
	}
}

// find returns the path of a program.
func find(t *testing.T, program string) string {
	t.Helper()
	for _, name := range []string{program, "/usr/sbin/" + program} { // /usr/sbin is not in the PATH of every user
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	testfull.Missing(t, "%s is not installed", program)
	return ""
}

// page returns docs/behind-a-proxy.md.
func page(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../../docs/behind-a-proxy.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// blocks returns the blocks of the page in a language.
func blocks(t *testing.T, lang string) (all []string) {
	t.Helper()
	for _, m := range regexp.MustCompile("(?ms)^```"+lang+"\n(.*?)^```$").FindAllStringSubmatch(page(t), -1) {
		all = append(all, m[1])
	}
	return all
}

// substitute replaces each old text of a block by the next one. The block must contain it.
func substitute(t *testing.T, block string, pairs ...string) string {
	t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(block, pairs[i]) {
			t.Fatalf("the block does not contain %q:\n%s", pairs[i], block)
		}
		block = strings.ReplaceAll(block, pairs[i], pairs[i+1])
	}
	return block
}

// only removes the second server from a block.
func only(block string) string {
	block = strings.ReplaceAll(block, " 127.0.0.1:8081 {", " {") // Caddy has both in one line
	return regexp.MustCompile(`(?m)^.*127\.0\.0\.1:8081.*\n`).ReplaceAllString(block, "")
}

// A running is a proxy that a test has started.
type running struct {
	*process
	addr string
}

// serve runs the block of the page in front of one or two servers. The pairs are further
// substitutions.
func (k kind) serve(t *testing.T, servers []*wsecho, pairs ...string) *running {
	t.Helper()
	all := blocks(t, k.lang)
	if len(all) <= k.block {
		t.Fatalf("the page has %d blocks of %s", len(all), k.lang)
	}
	block := all[k.block]
	addr := freeAddr(t)
	_, port, _ := net.SplitHostPort(addr)
	if len(servers) == 1 {
		block = only(block)
	} else {
		block = substitute(t, block, "127.0.0.1:8081", servers[1].addr)
	}
	block = substitute(t, block, append([]string{"127.0.0.1:8080", servers[0].addr}, pairs...)...)
	switch k.lang {
	case "nginx":
		block = substitute(t, block, "listen 80;", "listen "+addr+" reuseport;")
	case "haproxy":
		block = substitute(t, block, "bind :80", "bind "+addr)
	case "apache":
		block = substitute(t, block, "*:80", addr)
	case "caddyfile":
		block = substitute(t, block, ":80 {", "http://:"+port+" {\n\tbind 127.0.0.1")
	}
	return k.start(t, addr, block)
}

// start runs a block that listens on addr, and waits until it accepts connections.
func (k kind) start(t *testing.T, addr, block string) *running {
	t.Helper()
	program := find(t, k.program)
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	config, args := k.wrap(t, dir, block)
	for i := range args {
		args[i] = strings.ReplaceAll(args[i], "{addr}", addr)
	}
	if err := os.WriteFile(filepath.Join(dir, "proxy.conf"), []byte(strings.ReplaceAll(config, "{addr}", addr)), 0o644); err != nil {
		t.Fatal(err)
	}
	p := &running{process: run(t, dir, program, args...), addr: addr}
	p.await(t, "it accepts connections", func() bool {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			return false
		}
		c.Close()
		return true
	})
	return p
}

func root() bool { return os.Geteuid() == 0 }

// wrapNginx is the nginx.conf of Debian around a file of conf.d, without the users and the
// paths of the system.
func wrapNginx(t *testing.T, dir, block string) (string, []string) {
	user := ""
	if root() {
		user = "user root;\n"
	}
	return user + `daemon off;
worker_processes 1;
pid nginx.pid;
error_log stderr info;
events { worker_connections 768; }
http {
access_log off;
client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
` + block + "}\n", []string{"-p", dir, "-c", filepath.Join(dir, "proxy.conf"), "-e", "stderr"}
}

// wrapHAProxy is the begin of haproxy.cfg of Debian, without the users and paths.
func wrapHAProxy(t *testing.T, dir, block string) (string, []string) {
	return `global
    maxconn 500
    log stderr format raw local0
defaults
    log global
    mode http
    option httplog
    option dontlognull
    timeout connect 5000
    timeout client 50000
    timeout server 50000
` + block, []string{"-db", "-f", filepath.Join(dir, "proxy.conf")}
}

// wrapApache loads the modules that the page names, and those that Debian loads always.
func wrapApache(t *testing.T, dir, block string) (string, []string) {
	t.Helper()
	m := regexp.MustCompile("a2enmod ([a-z_ ]+)`").FindStringSubmatch(page(t))
	if m == nil {
		t.Fatal("the page does not name Apache's modules")
	}
	var b strings.Builder
	for _, module := range append([]string{"mpm_event", "authz_core", "reqtimeout"}, strings.Fields(m[1])...) {
		b.WriteString("LoadModule " + module + "_module /usr/lib/apache2/modules/mod_" + module + ".so\n")
	}
	if root() { // the child processes drop the rights
		b.WriteString("User www-data\nGroup www-data\n")
	}
	b.WriteString("ServerName localhost\nServerRoot " + dir + "\nDefaultRuntimeDir " + dir + "\nPidFile apache.pid\nErrorLog /dev/stderr\nListen {addr}\n")
	b.WriteString("LogLevel info\n")
	return b.String() + block, []string{"-D", "FOREGROUND", "-f", filepath.Join(dir, "proxy.conf")}
}

func wrapCaddy(t *testing.T, dir, block string) (string, []string) {
	return "{\n\tadmin off\n\tauto_https off\n}\n" + block, []string{"run", "--adapter", "caddyfile", "--config", filepath.Join(dir, "proxy.conf")}
}
