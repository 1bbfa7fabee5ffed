package handshake

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
)

// ParseURL parses the URL of a WebSocket (RFC 6455, section 3).
func ParseURL(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	switch {
	case err != nil:
		var parse *url.Error
		if errors.As(err, &parse) {
			err = parse.Err
		}
		return nil, fmt.Errorf("%q is not a URL: %w", s, err)
	case u.Scheme != "ws" && u.Scheme != "wss":
		return nil, fmt.Errorf("%q does not begin with ws:// or wss://", s)
	case u.Hostname() == "":
		return nil, fmt.Errorf("%q names no host", s)
	case u.Fragment != "":
		return nil, fmt.Errorf("%q has a fragment, which a WebSocket's URL must not", s)
	}
	return u, nil
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

// CheckFields returns an error if a handshake cannot contain these values. The error
// calls them Subprotocols and Header.
func CheckFields(subprotocols []string, header http.Header) error {
	for _, s := range subprotocols {
		if !isToken(s) {
			return fmt.Errorf("Subprotocols: %q is not a token of HTTP", s)
		}
	}
	for name, values := range header {
		if !isToken(name) {
			return fmt.Errorf("Header: %q is not a name of HTTP", name)
		}
		for _, v := range values {
			for _, c := range []byte(v) {
				if c < ' ' && c != '\t' || c == 0x7f {
					return fmt.Errorf("Header: the value of %s has a control character", name)
				}
			}
		}
	}
	return nil
}

// isToken reports whether s is a token of HTTP (RFC 9110, section 5.6.2).
func isToken(s string) bool {
	for _, c := range []byte(s) {
		switch {
		case '0' <= c && c <= '9', 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z':
		case c == '!', '#' <= c && c <= '\'', c == '*', c == '+', c == '-', c == '.', '^' <= c && c <= '`', c == '|', c == '~':
		default:
			return false
		}
	}
	return s != ""
}
