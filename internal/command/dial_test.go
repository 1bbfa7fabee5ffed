package command

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"example.com/wsecho/wstest"
)

// A testProxy is an HTTP or SOCKS5 proxy. It takes any host for the loopback address.
type testProxy struct {
	addr string

	mu    sync.Mutex
	asked []string // the addresses that clients asked for, behind the user and password
}

// newTestProxy starts a proxy that calls open for each connection. open returns the
// address that the client asks for.
func newTestProxy(t *testing.T, open func(in *bufio.Reader, out io.Writer) (user, address string, err error)) *testProxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &testProxy{addr: l.Addr().String()}
	var wg sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(func() { cancel(); l.Close(); wg.Wait() })
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				defer context.AfterFunc(ctx, func() { c.Close() })()
				in := bufio.NewReader(c)
				user, address, err := open(in, c)
				if err != nil {
					return
				}
				p.mu.Lock()
				p.asked = append(p.asked, user+address)
				p.mu.Unlock()
				_, port, _ := net.SplitHostPort(address)
				server, err := net.Dial("tcp", "127.0.0.1:"+port)
				if err != nil {
					return
				}
				defer server.Close()
				wg.Go(func() { _, _ = io.Copy(server, in); server.(*net.TCPConn).CloseWrite() })
				_, _ = io.Copy(c, server)
			})
		}
	})
	return p
}

func (p *testProxy) addresses() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.asked, " ")
}

// httpProxy answers CONNECT.
func httpProxy(in *bufio.Reader, out io.Writer) (user, address string, err error) {
	r, err := http.ReadRequest(in)
	if err != nil || r.Method != http.MethodConnect {
		fmt.Fprint(out, "HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n")
		return "", "", fmt.Errorf("no CONNECT: %v", err)
	}
	if basic, ok := strings.CutPrefix(r.Header.Get("Proxy-Authorization"), "Basic "); ok {
		b, _ := base64.StdEncoding.DecodeString(basic)
		user = string(b) + "@"
	}
	_, err = io.WriteString(out, "HTTP/1.1 200 OK\r\n\r\n")
	return user, r.Host, err
}

// socksProxy is the server's side of RFC 1928, without a login.
func socksProxy(in *bufio.Reader, out io.Writer) (user, address string, err error) {
	head := make([]byte, 2)
	if _, err = io.ReadFull(in, head); err != nil {
		return
	}
	if _, err = in.Discard(int(head[1])); err != nil {
		return
	}
	_, _ = out.Write([]byte{5, 0})
	request := make([]byte, 4)
	if _, err = io.ReadFull(in, request); err != nil {
		return
	}
	length := byte(net.IPv4len)
	if request[3] == 3 {
		if length, err = in.ReadByte(); err != nil {
			return
		}
	}
	target := make([]byte, int(length)+2)
	if _, err = io.ReadFull(in, target); err != nil {
		return
	}
	host, port := string(target[:length]), int(target[length])<<8|int(target[length+1])
	if request[3] == 1 {
		host = net.IP(target[:length]).String()
	}
	_, err = out.Write([]byte{5, 0, 0, 1, 0, 0, 0, 0, 0, 0})
	return "", net.JoinHostPort(host, fmt.Sprint(port)), err
}

// withHost returns a URL of a server with another host, and its port.
func withHost(t *testing.T, address, host string) (changed, port string) {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	port = u.Port()
	u.Host = net.JoinHostPort(host, port)
	return u.String(), port
}

// writePEM writes a PEM file and returns its name.
func writePEM(t *testing.T, blocks ...*pem.Block) string {
	t.Helper()
	var b []byte
	for _, block := range blocks {
		b = append(b, pem.EncodeToMemory(block)...)
	}
	name := filepath.Join(t.TempDir(), "file.pem")
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// withoutProxies clears the variables about proxies.
func withoutProxies(t *testing.T) {
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy"} {
		t.Setenv(name, "")
	}
}

// TestWays checks each way to a server, with wsecho check.
func TestWays(t *testing.T) {
	withoutProxies(t)
	echo, secure := wstest.Serve(t, wstest.Echo), wstest.ServeTLS(t, wstest.Echo)
	named, port := withHost(t, echo, "echo.example")
	securely, securePort := withHost(t, secure, "localhost")
	web, socks := newTestProxy(t, httpProxy), newTestProxy(t, socksProxy)
	config, _ := wstest.TLS()
	ca := writePEM(t, &pem.Block{Type: "CERTIFICATE", Bytes: config.Certificates[0].Certificate[0]})
	refusing := newTestProxy(t, func(in *bufio.Reader, out io.Writer) (string, string, error) {
		_, _ = http.ReadRequest(in)
		_, err := io.WriteString(out, "HTTP/1.1 407 \x1b[31m\r\nContent-Length: 0\r\n\r\n")
		return "", "", errors.Join(err, errors.New("refused"))
	})

	for _, test := range []struct {
		name, env string
		args      []string
		code      int
		stderr    string
		web       string // the address that the HTTP proxy was asked for
		socks     string
	}{
		{name: "resolve", args: []string{"--resolve=ECHO.example:" + port + ":127.0.0.1", named}},
		{name: "another port", args: []string{"--timeout=2s", "--resolve=echo.invalid:1:127.0.0.1", strings.Replace(named, "echo.example", "echo.invalid", 1)}, code: 3, stderr: "cannot connect"},
		{name: "CONNECT", args: []string{"--proxy=http://" + web.addr, named}, web: "echo.example:" + port},
		{name: "a login", args: []string{"--proxy=http://me:secret@" + web.addr, named}, web: "me:secret@echo.example:" + port},
		{name: "CONNECT and resolve", args: []string{"--proxy=http://" + web.addr, "--resolve=echo.example:" + port + ":127.0.0.1", named}, web: "127.0.0.1:" + port},
		{name: "CONNECT and TLS", args: []string{"--ca=" + ca, "--proxy=http://" + web.addr, securely}, web: "localhost:" + securePort},
		{name: "SOCKS", args: []string{"--proxy=socks5://" + socks.addr, named}, socks: "echo.example:" + port},
		{name: "SOCKS and TLS", args: []string{"--ca=" + ca, "--proxy=socks5h://" + socks.addr, securely}, socks: "localhost:" + securePort},
		{name: "HTTP_PROXY", env: "HTTP_PROXY=http://" + web.addr, args: []string{"--proxy=environment", named}, web: "echo.example:" + port},
		{name: "ALL_PROXY", env: "ALL_PROXY=socks5://" + socks.addr, args: []string{"--proxy=environment", named}, socks: "echo.example:" + port},
		{name: "the environment, unless asked", env: "HTTP_PROXY=http://" + web.addr, args: []string{"--resolve=echo.example:" + port + ":127.0.0.1", named}},
		{name: "loopback", env: "HTTP_PROXY=http://" + web.addr, args: []string{"--proxy=environment", echo}},
		{name: "a proxy that refuses", args: []string{"--proxy=http://" + refusing.addr, named}, code: 3, stderr: "cannot connect: the proxy " + refusing.addr + " answered 407 Proxy Authentication Required"},
		{name: "no URL", args: []string{"--proxy=somewhere", named}, code: 2, stderr: `--proxy: "somewhere" is not a URL such as http://127.0.0.1:3128, environment or none`},
		{name: "another scheme", args: []string{"--proxy=ftp://me:secret@a.example", named}, code: 2, stderr: `--proxy: ftp://me:xxxxx@a.example has another scheme than http, https and socks5`},
		{name: "no address", args: []string{"--resolve=a.example:80", named}, code: 2, stderr: `--resolve: "a.example:80" is not HOST:PORT:ADDRESS`},
		{name: "two ways", args: []string{"--unix-socket=/a", "--proxy=http://a.example", named}, code: 2, stderr: `--unix-socket: it excludes --proxy`},
		{name: "a key alone", args: []string{"--key=/a", named}, code: 2, stderr: `--key: it needs --cert`},
		{name: "no certificate", args: []string{"--cert=" + ca, named}, code: 2, stderr: `--cert: `},
	} {
		t.Run(test.name, func(t *testing.T) {
			if name, value, ok := strings.Cut(test.env, "="); ok {
				t.Setenv(name, value)
			}
			web.mu.Lock()
			web.asked = nil
			web.mu.Unlock()
			socks.mu.Lock()
			socks.asked = nil
			socks.mu.Unlock()
			args := append([]string{"check", "--timeout=30s"}, test.args...)
			code, stdout, stderr := ran(t, args...)
			if code != test.code || !strings.Contains(stderr, test.stderr) {
				t.Errorf("exit code %d, want %d and %q\n%s%s", code, test.code, test.stderr, stdout, stderr)
			}
			if got := web.addresses(); got != test.web {
				t.Errorf("the HTTP proxy was asked for %q, want %q", got, test.web)
			}
			if got := socks.addresses(); got != test.socks {
				t.Errorf("the SOCKS proxy was asked for %q, want %q", got, test.socks)
			}
		})
	}
}

// TestProxyStalls checks that the timeout includes the proxy.
func TestProxyStalls(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { silent.Close() }) // after the parallel tests
	for _, scheme := range []string{"http", "socks5"} {
		t.Run(scheme, func(t *testing.T) {
			t.Parallel()
			code, stdout, stderr := ran(t, "check", "--timeout=1s", "--proxy="+scheme+"://"+silent.Addr().String(), "ws://echo.example/")
			if code != 3 || !strings.Contains(stderr, "cannot connect: no whole answer within the 1s") {
				t.Errorf("exit code %d, want 3\n%s%s", code, stdout, stderr)
			}
		})
	}
}

// TestClientCertificate checks --cert against a server that requires a certificate.
func TestClientCertificate(t *testing.T) {
	server, _ := wstest.TLS()
	server.ClientAuth = tls.RequireAnyClientCert
	url := wstest.ServeRaw(t, server, func(p *wstest.Peer) {
		if p.Accept(nil) == nil {
			wstest.Echo(p)
		}
	})
	pair := server.Certificates[0]
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	cert := &pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[0]}
	ca, both := writePEM(t, cert), writePEM(t, cert, &pem.Block{Type: "PRIVATE KEY", Bytes: key})
	if code, stdout, stderr := ran(t, "check", "--timeout=30s", "--ca="+ca, "--cert="+both, url); code != 0 {
		t.Errorf("with a certificate: exit code %d\n%s%s", code, stdout, stderr)
	}
	if code, stdout, stderr := ran(t, "check", "--timeout=30s", "--ca="+ca, url); code != 4 {
		t.Errorf("without a certificate: exit code %d, want 4\n%s%s", code, stdout, stderr)
	}
}

// TestUnixSocket checks --unix-socket.
func TestUnixSocket(t *testing.T) {
	dir, err := os.MkdirTemp("", "ws") // the path of a socket must be short
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Skipf("unix sockets do not work here: %v", err)
	}
	defer l.Close()
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		p := wstest.Server(c)
		defer p.Close()
		if p.Accept(nil) == nil && p.Request.Host == "a.example" {
			wstest.Echo(p)
		}
	})
	if code, stdout, stderr := ran(t, "check", "--timeout=30s", "--unix-socket="+path, "ws://a.example/"); code != 0 {
		t.Errorf("exit code %d\n%s%s", code, stdout, stderr)
	}
	l.Close()
	if code, stdout, stderr := ran(t, "check", "--timeout=30s", "--unix-socket="+path, "ws://a.example/"); code != 3 || !strings.Contains(stderr, path) {
		t.Errorf("without a server: exit code %d, want 3\n%s%s", code, stdout, stderr)
	}
}

// TestProxyDefault checks that probe and connect use the proxies of the environment unless a
// flag or NO_PROXY prevents that.
func TestProxyDefault(t *testing.T) {
	withoutProxies(t)
	named, port := withHost(t, wstest.Serve(t, wstest.Echo), "echo.example")
	securely, securePort := withHost(t, wstest.ServeTLS(t, wstest.Echo), "localhost")
	securely = strings.Replace(securely, "localhost", "secure.example", 1)
	web := newTestProxy(t, httpProxy)
	direct := []string{"--resolve=echo.example:" + port + ":127.0.0.1"}
	for _, test := range []struct {
		name, env string
		url       string
		args      []string
		asked     string
	}{
		{"HTTP_PROXY", "HTTP_PROXY", named, nil, "echo.example:" + port},
		{"HTTPS_PROXY", "HTTPS_PROXY", securely, []string{"--insecure"}, "secure.example:" + securePort},
		{"HTTPS_PROXY is for wss", "HTTPS_PROXY", named, direct, ""},
		{"NO_PROXY", "HTTP_PROXY NO_PROXY", named, direct, ""},
		{"a flag", "HTTP_PROXY", named, append([]string{"--proxy=none"}, direct...), ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, name := range strings.Fields(test.env) {
				t.Setenv(name, map[bool]string{true: "localhost,.example", false: "http://" + web.addr}[name == "NO_PROXY"])
			}
			for _, command := range []string{"probe", "connect"} {
				web.mu.Lock()
				web.asked = nil
				web.mu.Unlock()
				args := append([]string{"--timeout=30s"}, test.args...)
				var code int
				var stdout, stderr string
				if command == "probe" {
					code, stdout, stderr = ran(t, append(append([]string{"probe", "--count=1"}, args...), test.url)...)
				} else {
					code, stdout, stderr = talked(t, strings.NewReader(""), append(args, test.url)...)
				}
				if got := web.addresses(); code != 0 || got != test.asked {
					t.Errorf("%s: exit code %d, the proxy was asked for %q, want %q\n%s%s", command, code, got, test.asked, stdout, stderr)
				}
			}
		})
	}
}
