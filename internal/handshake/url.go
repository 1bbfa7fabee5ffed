package handshake

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"
)

// ParseURL parses the URL of a WebSocket (RFC 6455, section 3).
func ParseURL(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	scheme, _, _ := strings.Cut(s, "://")
	switch {
	case !strings.EqualFold(scheme, "ws") && !strings.EqualFold(scheme, "wss"):
		return nil, fmt.Errorf("%q does not begin with ws:// or wss://", s)
	case err != nil:
		var parse *url.Error
		if errors.As(err, &parse) {
			err = parse.Err
		}
		return nil, fmt.Errorf("%q is not a URL: %w", s, err)
	case u.Hostname() == "":
		return nil, fmt.Errorf("%q names no host", s)
	case u.Port() != "" && !isPort(u.Port()):
		return nil, fmt.Errorf("%q has a port that is not from 1 to 65535", s)
	case strings.ContainsFunc(u.Host, func(r rune) bool { return r >= utf8.RuneSelf }):
		return nil, fmt.Errorf("%q has a host that is not ASCII; use its xn-- form", s)
	case u.Fragment != "":
		return nil, fmt.Errorf("%q has a fragment, which the URL of a WebSocket must not have", s)
	}
	return u, nil
}

// isPort reports whether the port of a parsed URL, which has only digits, can exist.
func isPort(port string) bool {
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && n > 0
}

// Address returns the host and the port of a WebSocket's URL.
func Address(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"ws": "80", "wss": "443"}[u.Scheme]
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// TLSConfig returns a copy of config for a connection to u. An empty ServerName becomes
// the host of u. The only protocol is HTTP/1.1. A nil config trusts the system's roots.
func TLSConfig(config *tls.Config, u *url.URL) *tls.Config {
	config = config.Clone()
	if config == nil {
		config = new(tls.Config)
	}
	if config.ServerName == "" {
		config.ServerName = u.Hostname()
	}
	config.NextProtos = []string{"http/1.1"}
	return config
}

// CheckFields returns a *FieldError if a handshake cannot contain these values. Its field
// is Subprotocols or Header.
func CheckFields(subprotocols []string, header http.Header) error {
	for _, s := range subprotocols {
		if !IsToken(s) {
			return WrongField("Subprotocols", "%q is not a token of HTTP", s)
		}
	}
	for name, values := range header {
		if !IsToken(name) {
			return WrongField("Header", "%q is not a name of HTTP", name)
		}
		for _, v := range values {
			for _, c := range []byte(v) {
				if c < ' ' && c != '\t' || c == 0x7f {
					return WrongField("Header", "the value of %s has a control character", name)
				}
			}
		}
	}
	return nil
}

// IsToken reports whether s is a token of HTTP (RFC 9110, section 5.6.2).
func IsToken(s string) bool {
	for i := range len(s) {
		if !IsTokenByte(s[i]) {
			return false
		}
	}
	return s != ""
}

// IsTokenByte reports whether c may be in a token of HTTP.
func IsTokenByte(c byte) bool {
	alnum := c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
	return alnum || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
}
