// Package client is what the clients of this module share: it looks at what they are
// told to do, asks for a WebSocket, and has words for what goes wrong. What they read
// of RFC 6455 in the answers is their own.
package client

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
)

// ParseURL returns what a WebSocket can be opened to (RFC 6455, section 3).
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

// Address is host and port of such a URL.
func Address(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"ws": "80", "wss": "443"}[u.Scheme]
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// CheckFields says what of these cannot be in a handshake. It calls them
// Subprotocols and Header.
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
