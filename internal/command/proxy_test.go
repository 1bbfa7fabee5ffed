package command

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pires/go-proxyproto"

	"example.com/wsecho/internal/listener"
	"example.com/wsecho/wstest"
)

func TestParseTrusted(t *testing.T) {
	for _, tt := range []struct{ value, want, wrong string }{
		{"10.0.0.7", "10.0.0.7/32", ""},
		{"10.0.0.0/8", "10.0.0.0/8", ""},
		{"::1", "::1/128", ""},
		{"[fd00::1]", "fd00::1/128", ""},
		{"fd00::/8", "fd00::/8", ""},
		{"::ffff:10.0.0.7", "10.0.0.7/32", ""},
		{"::ffff:10.0.0.0/104", "10.0.0.0/8", ""},
		{"::ffff:0:0/96", "0.0.0.0/0", ""},
		{"0.0.0.0/0", "0.0.0.0/0", ""},
		{"::/0", "::/0", ""},
		{"10.0.0.7/8", "", `--trusted-proxy: "10.0.0.7/8" has bits behind the prefix; did you mean 10.0.0.0/8 or 10.0.0.7?`},
		{"10.0.0.0/33", "", `--trusted-proxy: "10.0.0.0/33" is not an address or a range of addresses, such as 10.0.0.7, 10.0.0.0/8 or fd00::/8, and not unix`},
		{"proxy.example", "", `--trusted-proxy: "proxy.example" is not an address or a range of addresses, such as 10.0.0.7, 10.0.0.0/8 or fd00::/8, and not unix`},
		{"10.0.0.7:80", "", `--trusted-proxy: "10.0.0.7:80" is not an address or a range of addresses, such as 10.0.0.7, 10.0.0.0/8 or fd00::/8, and not unix`},
		{"fe80::1%eth0", "", `--trusted-proxy: "fe80::1%eth0" is not an address or a range of addresses, such as 10.0.0.7, 10.0.0.0/8 or fd00::/8, and not unix`},
	} {
		got, unix, err := parseTrusted([]string{tt.value})
		if tt.wrong != "" {
			if err == nil || err.Error() != tt.wrong || exitCode(err) != exitUsage {
				t.Errorf("%s: got %v, want the usage error %s", tt.value, err, tt.wrong)
			}
			continue
		}
		if err != nil || unix || !slices.Equal(got, []netip.Prefix{netip.MustParsePrefix(tt.want)}) {
			t.Errorf("%s: got %v, %v, %v, want %s", tt.value, got, unix, err, tt.want)
		}
	}
	o := parsed(t, "--trusted-proxy=unix,10.0.0.0/8", "--trusted-proxy=::1").serverOptions()
	if !o.TrustUnixSockets || len(o.TrustedProxies) != 2 {
		t.Errorf("a list sets %v and unix: %v, want two ranges and unix", o.TrustedProxies, o.TrustUnixSockets)
	}
	err := parsed(t, "--proxy-protocol=accept").checkProxy()
	if err == nil || exitCode(err) != exitUsage || !strings.Contains(err.Error(), "--trusted-proxy") {
		t.Errorf("--proxy-protocol without --trusted-proxy: got %v, want a usage error", err)
	}
}

// headerV2 returns a header of version 2 with length bytes behind the addresses.
func headerV2(t *testing.T, command proxyproto.ProtocolVersionAndCommand, source string, extra int) string {
	t.Helper()
	h := proxyproto.HeaderProxyFromAddrs(2, net.TCPAddrFromAddrPort(netip.MustParseAddrPort(source)), &net.TCPAddr{IP: net.ParseIP("192.0.2.99"), Port: 80})
	h.Command = command
	if extra > 0 {
		if err := h.SetTLVs([]proxyproto.TLV{{Type: proxyproto.PP2_TYPE_MIN_CUSTOM, Value: make([]byte, extra-3)}}); err != nil {
			t.Fatal(err)
		}
	}
	b, err := h.Format()
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestProxyConn sends each input in one piece and byte by byte. The connection must return
// exactly the bytes behind the header, and leave none behind.
func TestProxyConn(t *testing.T) {
	const request = "GET / HTTP/1.1\r\n\r\n"
	v1 := "PROXY TCP4 203.0.113.7 192.0.2.1 4711 80\r\n"
	for _, tt := range []struct {
		name, sent     string
		require        bool
		client, data   string
		wrong, remains string
	}{
		{name: "version 1", sent: v1, client: "203.0.113.7:4711", data: request},
		{name: "version 1 with IPv6", sent: "PROXY TCP6 2001:db8::7 2001:db8::1 4711 80\r\n", client: "[2001:db8::7]:4711", data: request},
		{name: "version 1 of an unknown client", sent: "PROXY UNKNOWN\r\n", data: request},
		{name: "version 2", sent: headerV2(t, proxyproto.PROXY, "203.0.113.7:4711", 0), client: "203.0.113.7:4711", data: request},
		{name: "version 2 with IPv6", sent: headerV2(t, proxyproto.PROXY, "[2001:db8::7]:4711", 0), client: "[2001:db8::7]:4711", data: request},
		{name: "version 2 with 3 KiB more", sent: headerV2(t, proxyproto.PROXY, "203.0.113.7:4711", 3<<10), client: "203.0.113.7:4711", data: request},
		{name: "a health check", sent: headerV2(t, proxyproto.LOCAL, "203.0.113.7:4711", 0), data: request},
		{name: "no header", data: request},
		{name: "the begin of a header", data: "PROXIES / HTTP/1.1\r\n"},
		{name: "the begin of version 2", data: "\r\n\r\nGET / HTTP/1.1\r\n\r\n"},
		{name: "required", sent: v1, require: true, client: "203.0.113.7:4711", data: request},
		{name: "required and missing", data: request, require: true, wrong: "without the header of the PROXY protocol"},
		{name: "version 1 without an address", sent: "PROXY TCP4\r\n", wrong: "header of the PROXY protocol is wrong"},
		{name: "version 1 without an end", sent: "PROXY TCP4 " + strings.Repeat("1", 200), wrong: "header of the PROXY protocol is wrong"},
		{name: "version 3", sent: strings.Replace(headerV2(t, proxyproto.PROXY, "203.0.113.7:4711", 0), "\n\x21", "\n\x31", 1), wrong: "header of the PROXY protocol is wrong"},
		{name: "version 2 with 64 KiB", sent: prefixV2 + "\x21\x11\xff\xff" + strings.Repeat("x", 100), wrong: "has 65551 bytes, more than 4112"},
	} {
		for _, pieces := range []bool{false, true} {
			inner, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			l := &proxyListener{Listener: inner, trusted: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, require: tt.require}
			client, err := net.Dial("tcp", inner.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			c, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
				t.Fatal(err)
			}
			var refused error
			c.(listener.HeaderConn).OnBadHeader(func(err error) { refused = err })
			sent := make(chan error, 1)
			go func() {
				input := []byte(tt.sent + tt.data)
				for size := len(input); len(input) > 0; input = input[min(size, len(input)):] {
					if pieces {
						size = 1
					}
					if _, err := client.Write(input[:size]); err != nil {
						sent <- err
						return
					}
				}
				sent <- nil
			}()
			var got []byte
			p := make([]byte, 4096)
			for len(got) < len(tt.data) || tt.wrong != "" {
				n, err := c.Read(p)
				got = append(got, p[:n]...)
				if err != nil {
					if tt.wrong == "" || !strings.Contains(err.Error(), tt.wrong) || refused != err {
						t.Errorf("%s: Read returned %v, and %v was reported, want %q", tt.name, err, refused, tt.wrong)
					}
					break
				}
			}
			if tt.wrong == "" {
				want := tt.client
				if want == "" {
					want = client.LocalAddr().String()
				}
				if a := c.RemoteAddr().String(); a != want || string(got) != tt.data || refused != nil {
					t.Errorf("%s: got the client %s and %q, refused: %v, want %s and %q", tt.name, a, got, refused, want, tt.data)
				}
				// The connection below has the rest.
				if err := <-sent; err != nil {
					t.Fatal(err)
				}
				if _, err := client.Write([]byte("below")); err != nil {
					t.Fatal(err)
				}
				if _, err := io.ReadFull(listener.Unwrap(c), p[:5]); err != nil || string(p[:5]) != "below" {
					t.Errorf("%s: the connection below has %q, %v, want the bytes after the first ones", tt.name, p[:5], err)
				}
				if _, ok := listener.Unwrap(c).(*net.TCPConn); !ok {
					t.Errorf("%s: Unwrap returned a %T", tt.name, listener.Unwrap(c))
				}
			}
			client.Close()
			c.Close()
			inner.Close()
		}
	}
}

// TestProxyConnSmallRead reads an input without a header, three bytes at a time.
func TestProxyConnSmallRead(t *testing.T) {
	a, b := net.Pipe()
	defer a.Close()
	go func() { _, _ = b.Write([]byte("PROX")); _, _ = b.Write([]byte("IMITY")); b.Close() }()
	var got bytes.Buffer
	p := make([]byte, 3)
	for c := (&proxyConn{Conn: a}); ; {
		n, err := c.Read(p)
		got.Write(p[:n])
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if got.String() != "PROXIMITY" {
		t.Errorf("got %q", got.String())
	}
}

// requireHeader returns both ends of a connection to a listener that requires a header from
// the trusted range.
func requireHeader(t *testing.T, trusted string) (client, accepted net.Conn) {
	t.Helper()
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer inner.Close()
	l := &proxyListener{Listener: inner, trusted: []netip.Prefix{netip.MustParsePrefix(trusted)}, require: true}
	client, err = net.Dial("tcp", inner.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	accepted, err = l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { accepted.Close() })
	return client, accepted
}

// TestProxyConnDeadline checks that the deadline of the reader bounds the wait for the
// header. No other goroutine waits for it.
func TestProxyConnDeadline(t *testing.T) {
	client, c := requireHeader(t, "127.0.0.0/8")
	if c.RemoteAddr().String() != client.LocalAddr().String() {
		t.Errorf("RemoteAddr before the header is %v, want that of the socket", c.RemoteAddr())
	}
	if _, err := client.Write([]byte("PROXY TCP4 203.0.113.7")); err != nil {
		t.Fatal(err)
	}
	if err := c.SetReadDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(make([]byte, 10)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("Read returned %v, want the deadline", err)
	}
}

// TestProxyTrust checks that the connection of another address is passed on as it is.
func TestProxyTrust(t *testing.T) {
	_, c := requireHeader(t, "192.0.2.0/24")
	if _, ok := c.(*net.TCPConn); !ok {
		t.Errorf("got a %T, want the TCP connection", c)
	}
}

// TestProxyTLS checks the order: first the header, then TLS. Base is the TCP connection.
func TestProxyTLS(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	serverConfig, clientConfig := wstest.TLS()
	clientConfig = clientConfig.Clone()
	clientConfig.ServerName = "127.0.0.1"
	l := tls.NewListener(&proxyListener{Listener: inner, trusted: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, require: true}, serverConfig)
	defer l.Close()
	client, err := net.Dial("tcp", inner.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	sent := make(chan error, 1)
	go func() {
		_, err := io.WriteString(client, "PROXY TCP4 203.0.113.7 192.0.2.1 4711 80\r\n")
		if err == nil {
			_, err = io.WriteString(tls.Client(client, clientConfig), "hello")
		}
		sent <- err
	}()
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	p := make([]byte, 5)
	if _, err := io.ReadFull(c, p); err != nil || string(p) != "hello" || c.RemoteAddr().String() != "203.0.113.7:4711" {
		t.Errorf("got %q from %v, %v, want hello from 203.0.113.7:4711", p, c.RemoteAddr(), err)
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
	if _, ok := listener.Base(c).(*net.TCPConn); !ok {
		t.Errorf("Base returned a %T", listener.Base(c))
	}
}

// TestProxyUnix checks that the peers of a unix socket are trusted only with unix.
func TestProxyUnix(t *testing.T) {
	for _, trusted := range []bool{false, true} {
		inner, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
		if err != nil {
			t.Skip("this system has no unix sockets: ", err)
		}
		l := &proxyListener{Listener: inner, trusted: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}, unix: trusted}
		client, err := net.Dial("unix", inner.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(client, "PROXY TCP4 203.0.113.7 192.0.2.1 4711 80\r\nhello"); err != nil {
			t.Fatal(err)
		}
		p := make([]byte, 100)
		n, err := c.Read(p)
		if got := string(p[:n]) == "hello" && c.RemoteAddr().String() == "203.0.113.7:4711"; err != nil || got != trusted {
			t.Errorf("trusted: %v: got %q from %v, %v", trusted, p[:n], c.RemoteAddr(), err)
		}
		client.Close()
		c.Close()
		inner.Close()
	}
}
