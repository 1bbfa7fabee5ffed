package command

import (
	"math/rand/v2"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"example.com/wsecho/internal/handshake"
)

// TestTargetPatterns checks which targets a pattern allows.
func TestTargetPatterns(t *testing.T) {
	for _, tt := range []struct{ pattern, allowed, refused string }{ // targets, separated by blanks
		{"example.com", "ws://example.com wss://EXAMPLE.com/any?q=1 ws://example.com:80/ ws://example.com./ ws://example.com:0080/",
			"ws://example.com:8080/ ws://example.com:443/ wss://example.com:80/ ws://www.example.com/ ws://example.com.evil.test/ ws://example.com@evil.test/ ws://evil.test/example.com ws://notexample.com/"},
		{"wss://*.example.com/socket", "wss://a.example.com/socket wss://a.b.example.com:443/socket wss://a.example.com/%73ocket",
			"ws://a.example.com/socket wss://example.com/socket wss://a.example.com/socket/ wss://a.example.com/ wss://a.example.com.evil.test/socket wss://evil.test/.example.com/socket"},
		{"ws://EXAMPLE.com.:8080/a/*", "ws://example.com:8080/a/ ws://example.com:8080/a/b/c", "ws://example.com:8080/a ws://example.com:8080/a/../b ws://example.com:8080/a/%2e%2E/b ws://example.com:8080/a/..%2fb ws://example.com:8080/a/..%5cb ws://example.com:8080/a/..;/b ws://example.com:8080/a/.;x=y/b ws://example.com:8080/a/%252e%252e/b ws://example.com:8080/a/%25252E.%252fb ws://example.com:8080/a/%zz%252e%252e%3b/b ws://example.com:80/a/"},
		{"bücher.example", "ws://bücher.example ws://BÜCHER。example ws://xn--bcher-kva.example", "ws://bucher.example"},
		{"*", "ws://example.com wss://192.0.2.1 ws://[2001:db8::1]/", "ws://example.com:81"},
		{"*:*", "ws://example.com:81 ws://127.1:22/ ws://2130706433/", ""},
		{"h*t.e*.com", "ws://host.example.com ws://ht.e.com ws://hot.egg.com.com", "ws://host.example.org ws://ost.e.com"},
		{"10.0.0.5:8080", "ws://10.0.0.5:8080/ ws://[::ffff:10.0.0.5]:8080/ ws://10.0.0.5.:8080/", "ws://10.0.0.5/ ws://10.0.0.50:8080/ ws://10.0.0.5.example.com:8080/ ws://10.0.0.05:8080/"},
		{"10.0.0.0/8", "ws://10.255.0.1 wss://10.1.1.1/x", "ws://11.0.0.1 ws://10.0.0.1:81 ws://10.example.com"},
		{"ws://10.0.0.0/8:*/x", "ws://10.0.0.1:1234/x", "ws://10.0.0.1:1234/y wss://10.0.0.1:1234/x"},
		{"[fd00::/8]:8080", "ws://[fd00::1]:8080", "ws://[fe80::1]:8080 ws://[fd00::1]"},
		{"fd00::/8", "ws://[FD00::1]/", "ws://[fd00::1]:8080/"},
		{"::1", "ws://[::1]/ ws://[0:0:0:0:0:0:0:1]", "ws://[::2]/"},
		{"[::1]:8080/a", "ws://[::1]:8080/a", "ws://[::1]:8080/"},
		{"fe80::/10", "ws://[fe80::1%25eth0]/", ""},
		{"localhost:8080", "ws://localhost:8080 ws://LOCALHOST.:8080 ws://127.0.0.1:8080 ws://[::1]:8080", "ws://localhost ws://127.0.0.2:8080 ws://a.localhost:8080"},
		{"a_b-c.1x", "ws://a_b-c.1x", ""},
	} {
		patterns, err := parseTargetPatterns([]string{tt.pattern})
		if err != nil {
			t.Errorf("%s: %v", tt.pattern, err)
			continue
		}
		for _, list := range []struct {
			targets string
			want    bool
		}{{tt.allowed, true}, {tt.refused, false}} {
			for _, text := range strings.Fields(list.targets) {
				_, target, err := parseTarget(text)
				if got := err == nil && patterns.allow(target); got != list.want {
					t.Errorf("%s, %s: got %v, %v", tt.pattern, text, got, err)
				}
			}
		}
	}
}

// TestWrongTargetPatterns: a pattern with a mistake is a usage error, and not one that
// allows nothing or too much.
func TestWrongTargetPatterns(t *testing.T) {
	for pattern, want := range map[string]string{
		"":                       "is not a pattern",
		"http://example.com":     "neither ws nor wss",
		"://example.com":         "neither ws nor wss",
		"*://example.com":        "neither ws nor wss",
		"example.com:0":          "has a port",
		"example.com:08":         "has a port",
		"example.com:":           "has a port",
		"example.com:80*":        "has a port",
		"user@example.com":       "is not a pattern",
		"example.com/a?b=c":      "is not a pattern",
		"example.com/#a":         "is not a pattern",
		"example.com/a/../b":     ". or ..",
		"exa mple.com":           "neither a name nor an address",
		"example..com":           "neither a name nor an address",
		"ex?mple.com":            "is not a pattern",
		"10.0.0.1/8":             "the range is 10.0.0.0/8",
		"10.0.0.0/33":            "is not a range",
		"10.0.0/8":               "is not a range",
		"127.1":                  "IPv4 address of four numbers",
		"0x7f.1":                 "IPv4 address of four numbers",
		"example.0x1":            "IPv4 address of four numbers",
		"2130706433":             "IPv4 address of four numbers",
		"[fd00::]/8":             "write [fd00::/8]",
		"[example.com]":          "not an IPv6 address",
		"[fe80::1%eth0]":         "not an IPv6 address without a zone",
		"[::ffff:10.0.0.1]":      "write it with four numbers",
		"[::ffff:10.0.0.0/104]":  "write it with four numbers",
		"example.com,example.de": "neither a name nor an address",
	} {
		_, err := parseTargetPatterns([]string{"example.com", pattern})
		if err == nil || exitCode(err) != exitUsage || !strings.HasPrefix(err.Error(), "--probe-target: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", pattern, err, want)
		}
	}
}

// TestIsPublic checks addresses of each kind.
func TestIsPublic(t *testing.T) {
	for list, want := range map[string]bool{
		`0.0.0.0 0.1.2.3 10.0.0.1 100.64.0.1 100.100.100.200 127.0.0.1 127.255.255.254 169.254.169.254 172.16.0.1 172.31.255.255
		 192.0.0.192 192.0.2.1 192.168.1.1 198.18.0.1 224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255 168.63.129.16
		 :: ::1 ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::127.0.0.1 64:ff9b::127.0.0.1 64:ff9b::10.0.0.1 64:ff9b::169.254.169.254 64:ff9b:1::1
		 100::1 2001::1 2001:db8::1 2002:7f00:1::1 3fff::1 5f00::1 fc00::1 fd00:ec2::254 fe80::1 fe80::1%eth0 fec0::1 ff02::1`: false,
		`1.1.1.1 8.8.8.8 11.0.0.1 100.63.255.255 100.128.0.1 172.15.0.1 172.32.0.1 192.169.0.1 223.255.255.255 ::ffff:8.8.8.8
		 64:ff9b::8.8.8.8 2001:4860:4860::8888 2606:4700::1111 2a00::1`: true,
	} {
		for _, text := range strings.Fields(list) {
			if got := isPublic(netip.MustParseAddr(text)); got != want {
				t.Errorf("%s: got %v", text, got)
			}
		}
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 100_000 {
		a := netip.AddrFrom4([4]byte{byte(r.Uint32()), byte(r.Uint32()), byte(r.Uint32()), byte(r.Uint32())})
		if (a.IsPrivate() || a.IsLoopback() || !a.IsGlobalUnicast()) && isPublic(a) {
			t.Errorf("%v is public", a)
		}
	}
}

// TestIsOwn checks addresses of interfaces and their neighbours.
func TestIsOwn(t *testing.T) {
	interfaces := []net.Addr{
		&net.IPNet{IP: net.ParseIP("8.8.4.4"), Mask: net.CIDRMask(24, 32)},
		&net.IPNet{IP: net.ParseIP("2a00::1"), Mask: net.CIDRMask(64, 128)},
	}
	for text, want := range map[string]bool{"8.8.4.4": true, "::ffff:8.8.4.4": true, "8.8.4.5": false, "2a00::1": true, "2a00::2": false} {
		if got := isOwn(netip.MustParseAddr(text), interfaces); got != want {
			t.Errorf("%s: got %v", text, got)
		}
	}
}

// TestAllowAddress checks that only a pattern with the address allows a private one. The
// scheme, the port and the path must match that pattern.
func TestAllowAddress(t *testing.T) {
	for _, tt := range []struct {
		patterns, target, address string
		want                      bool
	}{
		{"*:*", "ws://example.com", "93.184.215.14", true},
		{"*:*", "ws://example.com", "127.0.0.1", false},
		{"example.com", "ws://example.com", "10.0.0.1", false},
		{"*:*", "ws://10.0.0.1", "10.0.0.1", false},
		{"10.0.0.1", "ws://10.0.0.1", "10.0.0.1", true},
		{"10.0.0.1", "ws://[::ffff:10.0.0.1]", "::ffff:10.0.0.1", true},
		{"example.com 10.0.0.0/8", "ws://example.com", "10.0.0.1", true},
		{"example.com 10.0.0.0/8", "ws://example.com", "11.0.0.1", true},
		{"example.com 10.0.0.0/8", "ws://example.com", "127.0.0.1", false},
		{"*:* 127.0.0.1:8080", "ws://evil.test:22", "127.0.0.1", false},
		{"*:* wss://127.0.0.1:8080", "ws://evil.test:8080", "127.0.0.1", false},
		{"*:* ws://127.0.0.1:8080/socket", "ws://evil.test:8080/other", "127.0.0.1", false},
		{"*:* ws://127.0.0.1:8080/socket", "ws://evil.test:8080/socket", "127.0.0.1", true},
		{"localhost", "ws://localhost", "127.0.0.1", true},
		{"localhost", "ws://localhost", "::1", true},
		{"localhost", "ws://localhost", "10.0.0.1", false},
		{"fe80::/10", "ws://[fe80::1%25eth0]", "fe80::1%eth0", true},
	} {
		patterns, err := parseTargetPatterns(strings.Fields(tt.patterns))
		if err != nil {
			t.Fatal(err)
		}
		_, target, err := parseTarget(tt.target)
		if err != nil {
			t.Fatal(err)
		}
		if got := patterns.allowAddress(target, netip.MustParseAddr(tt.address)); got != tt.want {
			t.Errorf("%+v: got %v", tt, got)
		}
	}
}

// FuzzTarget: the address that a client would connect to has the host and the port of the
// pattern.
func FuzzTarget(f *testing.F) {
	for _, seed := range []string{"ws://a.example.com/", "wss://A.EXAMPLE.COM.:443/x", "ws://evil.test\\@a.example.com/", "ws://evil.test#.example.com", "ws://a。example.com", "ws://[::1%25.example.com]/"} {
		f.Add(seed)
	}
	patterns, err := parseTargetPatterns([]string{"*.example.com"})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		address, target, err := parseTarget(text)
		if err != nil || !patterns.allow(target) {
			return
		}
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		host, port, ok := strings.Cut(strings.ToLower(handshake.Address(u)), ":")
		if !ok || !strings.HasSuffix(strings.TrimSuffix(host, "."), ".example.com") || strings.TrimLeft(port, "0") != targetPorts[u.Scheme] || u.User != nil {
			t.Errorf("%q leads to %q", text, handshake.Address(u))
		}
	})
}
