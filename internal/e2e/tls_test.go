//go:build unix

package e2e

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"example.com/wsecho/internal/testcert"
	"example.com/wsecho/wstest"
)

// A tlsServer is a wsecho with TLS, and the directory of its files.
type tlsServer struct {
	*process
	dir  string
	root *testcert.Authority
}

// dialTLS opens a WebSocket and returns the certificate of the server.
func (s *tlsServer) dialTLS(t *testing.T, config *tls.Config) (*wstest.Peer, []byte, error) {
	t.Helper()
	config.RootCAs = s.root.Pool()
	p, err := wstest.Dial("wss://"+s.addr+"/", wstest.DialOptions{TLS: config, Timeout: waitLimit})
	if err != nil {
		return nil, nil, err
	}
	t.Cleanup(func() { _ = p.Close() })
	return p, p.NetConn().(*tls.Conn).ConnectionState().PeerCertificates[0].Raw, nil
}

// uses waits until new connections get the certificate.
func (s *tlsServer) uses(t *testing.T, pair testcert.Pair) {
	t.Helper()
	for start := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		p, cert, err := s.dialTLS(t, &tls.Config{})
		if err != nil {
			t.Fatal(err)
		}
		_ = p.Close()
		if bytes.Equal(cert, pair.Leaf.Raw) {
			return
		}
		if time.Since(start) > waitLimit {
			t.Fatalf("new connections do not get the certificate of %s", pair.Leaf.Subject)
		}
	}
}

// sendsBack sends a message and waits for it.
func sendsBack(t *testing.T, p *wstest.Peer, text string) {
	t.Helper()
	if err := p.Send(wstest.TextFrame(text)); err != nil {
		t.Fatal(err)
	}
	if _, b, err := p.RecvMessage(); err != nil || string(b) != text {
		t.Fatalf("got %q, %v, want %q", b, err, text)
	}
}

func write(t *testing.T, name, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// replaceLink makes link point to target, as Kubernetes does with ..data.
func replaceLink(t *testing.T, target, link string) {
	t.Helper()
	if err := os.Symlink(target, link+".tmp"); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(link+".tmp", link); err != nil {
		t.Fatal(err)
	}
}

// TestCertificateReload replaces the certificate in the ways of editors, ACME clients and
// Kubernetes. New connections get the new one. A connection from before stays.
func TestCertificateReload(t *testing.T) {
	t.Parallel()
	root := testcert.NewAuthority(t, "root")
	serial := 0
	issue := func() testcert.Pair {
		serial++
		return root.Issue(t, fmt.Sprintf("n%d.test", serial), -time.Hour, time.Hour)
	}
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")

	// As a volume of Kubernetes: tls.crt → ..data/tls.crt, ..data → ..2026_1.
	pair := issue()
	volume := func(p testcert.Pair) {
		t.Helper()
		target := fmt.Sprintf("..2026_%d", serial)
		write(t, filepath.Join(dir, target, "tls.crt"), p.Cert)
		write(t, filepath.Join(dir, target, "tls.key"), p.Key)
		replaceLink(t, target, filepath.Join(dir, "..data"))
	}
	volume(pair)
	replaceLink(t, filepath.Join("..data", "tls.crt"), cert)
	replaceLink(t, filepath.Join("..data", "tls.key"), key)

	s := &tlsServer{process: startFor(t, "wsecho", "--tls-cert="+cert, "--tls-key="+key), dir: dir, root: root}
	s.logged(t, `listening addr=127\.0\.0\.1:\d+ url=wss://127\.0\.0\.1:\d+/\n`)
	old, got, err := s.dialTLS(t, &tls.Config{})
	if err != nil || !bytes.Equal(got, pair.Leaf.Raw) {
		t.Fatalf("the first certificate: %v", err)
	}
	sendsBack(t, old, "before")

	for _, way := range []struct {
		name    string
		replace func(testcert.Pair)
	}{ // in this order: the second follows the links, and the third replaces them
		{"a swap of ..data", volume},
		{"a write", func(p testcert.Pair) {
			write(t, cert, p.Cert)
			write(t, key, p.Key)
		}},
		{"a rename", func(p testcert.Pair) {
			write(t, cert+".new", p.Cert)
			write(t, key+".new", p.Key)
			for _, f := range []string{key, cert} {
				if err := os.Rename(f+".new", f); err != nil {
					t.Fatal(err)
				}
			}
		}},
		{"a swap of links to an archive", func(p testcert.Pair) {
			write(t, filepath.Join(dir, "archive", fmt.Sprintf("cert%d", serial)), p.Cert)
			write(t, filepath.Join(dir, "archive", fmt.Sprintf("key%d", serial)), p.Key)
			replaceLink(t, filepath.Join("archive", fmt.Sprintf("cert%d", serial)), cert)
			replaceLink(t, filepath.Join("archive", fmt.Sprintf("key%d", serial)), key)
		}},
	} {
		next := issue()
		way.replace(next)
		s.uses(t, next)
		sendsBack(t, old, "after "+way.name)
	}

	// A broken file does not replace the certificate. SIGHUP answers in the log.
	good := issue()
	write(t, cert, good.Cert)
	write(t, key, good.Key)
	s.uses(t, good)
	write(t, cert, "broken")
	if _, err := waitFor(s.log, `level=WARN msg="the new files of TLS are not used.*no PEM certificate`); err != nil {
		t.Fatal(err)
	}
	s.uses(t, good)
	last := issue()
	write(t, key, last.Key)
	write(t, cert, last.Cert)
	if err := s.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	s.uses(t, last)
	if err := s.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	if _, err := waitFor(s.log, `the files of TLS have not changed`); err != nil {
		t.Fatal(err)
	}
	sendsBack(t, old, "after SIGHUP")
	s.finish(t, old)
}

// finish stops the process, whose only connection gets 1001.
func (s *tlsServer) finish(t *testing.T, p *wstest.Peer) {
	t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if e, err := p.Answer(context.Background(), wstest.AnswerOptions{}); err != nil || e.Code != 1001 {
		t.Errorf("got %v, %v, want 1001", e, err)
	}
	if code, err := s.wait(); err != nil || code != 0 {
		t.Errorf("the exit code is %d, %v", code, err)
	}
}

// TestClientCertificates: with --tls-client-ca a client needs a certificate of one of the
// authorities. This is also true if it resumes a session that is older than a change of
// the authorities.
func TestClientCertificates(t *testing.T) {
	t.Parallel()
	root, first, second := testcert.NewAuthority(t, "root"), testcert.NewAuthority(t, "first"), testcert.NewAuthority(t, "second")
	pair := root.Issue(t, "server.test", -time.Hour, time.Hour)
	dir := t.TempDir()
	write(t, filepath.Join(dir, "cert"), pair.Cert)
	write(t, filepath.Join(dir, "key"), pair.Key)
	write(t, filepath.Join(dir, "ca"), first.PEM)
	s := &tlsServer{process: startFor(t, "wsecho", "--tls-cert="+dir+"/cert", "--tls-key="+dir+"/key", "--tls-client-ca="+dir+"/ca"), dir: dir, root: root}

	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		client := func(by *testcert.Authority, from, to time.Duration) *tls.Config {
			c := &tls.Config{MaxVersion: version, ClientSessionCache: tls.NewLRUClientSessionCache(4)}
			if by != nil {
				c.Certificates = []tls.Certificate{by.Issue(t, "client.test", from, to).TLS}
			}
			return c
		}
		write(t, filepath.Join(dir, "ca"), first.PEM)
		trusted, replaced := client(first, -time.Hour, time.Hour), client(second, -time.Hour, time.Hour)
		works := func(config *tls.Config) error {
			p, _, err := s.dialTLS(t, config)
			if err != nil {
				return err
			}
			sendsBack(t, p, "hello")
			return p.Close()
		}
		eventually := func(what string, ok func() bool) {
			t.Helper()
			for start := time.Now(); !ok(); time.Sleep(20 * time.Millisecond) {
				if time.Since(start) > waitLimit {
					t.Fatalf("%s: not in time", what)
				}
			}
		}
		eventually("the first authority is trusted", func() bool { return works(trusted) == nil })
		for name, config := range map[string]*tls.Config{
			"none":      client(nil, 0, 0),
			"a foreign": client(second, -time.Hour, time.Hour),
			"expired":   client(first, -2*time.Hour, -time.Hour),
		} {
			if works(config) == nil {
				t.Errorf("TLS %x: a client with this certificate was accepted: %s", version, name)
			}
		}
		if err := works(trusted); err != nil { // resumes its session
			t.Error(err)
		}
		write(t, filepath.Join(dir, "ca"), second.PEM)
		eventually("the second authority is trusted", func() bool { return works(replaced) == nil })
		if works(trusted) == nil {
			t.Errorf("TLS %x: a session of an authority that is no longer trusted was resumed", version)
		}
	}
	if _, err := waitFor(s.log, `msg=ended .* certificate="CN=client.test"`); err != nil {
		t.Error(err)
	}
	s.stop(t)
}

// TestOldTLS: TLS before 1.2 is refused, and no other protocol than http/1.1 is agreed.
func TestOldTLS(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := startFor(t, "wsecho", "--tls-self-signed", "--tls-self-signed-out="+dir+"/cert")
	for _, test := range []struct {
		config *tls.Config
		want   string // a part of the error; "": none
	}{
		{&tls.Config{MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10}, "protocol version"},
		{&tls.Config{MaxVersion: tls.VersionTLS12}, ""},
		{&tls.Config{MinVersion: tls.VersionTLS13}, ""},
		{&tls.Config{NextProtos: []string{"h2", "http/1.1"}}, ""},
		{&tls.Config{NextProtos: []string{"h2"}}, "no application protocol"},
		{&tls.Config{NextProtos: []string{"http/1.1"}}, ""},
	} {
		test.config.InsecureSkipVerify = true
		c, err := tls.Dial("tcp", p.addr, test.config)
		switch {
		case err == nil:
			if got := c.ConnectionState().NegotiatedProtocol; test.want != "" || got != "" && got != "http/1.1" {
				t.Errorf("%+v: got the protocol %q", test.config, got)
			}
			_ = c.Close()
		case test.want == "" || !strings.Contains(err.Error(), test.want):
			t.Errorf("%v: got %v, want %q", test.config.NextProtos, err, test.want)
		}
	}
	p.stop(t)
}

// TestTLSOverProxyProtocol: the header of the PROXY protocol precedes TLS. A client that then
// sends a request without TLS is reported with its own address.
func TestTLSOverProxyProtocol(t *testing.T) {
	t.Parallel()
	p := startFor(t, "wsecho", "--tls-self-signed", "--proxy-protocol=require", "--trusted-proxy=127.0.0.1")
	connect := func(client string) net.Conn {
		c, err := net.Dial("tcp", p.addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		_ = c.SetDeadline(time.Now().Add(waitLimit))
		if _, err := fmt.Fprintf(c, "PROXY TCP4 %s 127.0.0.1 4711 443\r\n", client); err != nil {
			t.Fatal(err)
		}
		return c
	}
	peer, err := wstest.Dial("wss://localhost/", wstest.DialOptions{
		TLS:     &tls.Config{InsecureSkipVerify: true},
		Timeout: waitLimit,
		Dial:    func(string, string) (net.Conn, error) { return connect("203.0.113.7"), nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	sendsBack(t, peer, strings.Repeat("over both layers ", 10_000))
	_ = peer.Close()
	c := connect("203.0.113.8")
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if answer, _ := io.ReadAll(c); !strings.HasPrefix(string(answer), "HTTP/1.0 400 ") {
		t.Errorf("got %q", answer)
	}
	for _, line := range []string{`msg=ended .* remote=203\.0\.113\.7:4711`, `msg=refused remote=203\.0\.113\.8:4711 .*without TLS`} {
		if _, err := waitFor(p.log, line); err != nil {
			t.Error(err)
		}
	}
	p.stop(t)
}
