package client

import (
	"crypto/rand"
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
)

// Request is the opening handshake for what ParseURL has returned (RFC 6455, section
// 4.1), with a random key and without extensions. The header's fields are in it, Host
// and User-Agent in place of the URL's and the agent, but none that belong to the
// handshake itself. An Authorization there counts more than a password in the URL.
func Request(u *url.URL, header http.Header, agent string, subprotocols []string) *http.Request {
	r := &http.Request{Method: http.MethodGet, URL: u, Host: u.Host, Header: http.Header{}}
	for name, values := range header {
		name = http.CanonicalHeaderKey(name)
		r.Header[name] = append(r.Header[name], values...)
	}
	if host := r.Header.Get("Host"); host != "" {
		r.Host = host
	}
	r.Header.Del("Host")
	if r.Header["User-Agent"] == nil {
		r.Header.Set("User-Agent", agent)
	}
	if u.User != nil && r.Header.Get("Authorization") == "" {
		password, _ := u.User.Password()
		r.SetBasicAuth(u.User.Username(), password)
	}
	nonce := make([]byte, 16)
	rand.Read(nonce)
	r.Header.Set("Upgrade", "websocket")
	r.Header.Set("Connection", "Upgrade")
	r.Header.Set("Sec-WebSocket-Version", "13")
	r.Header.Set("Sec-WebSocket-Key", base64.StdEncoding.EncodeToString(nonce))
	r.Header.Del("Sec-WebSocket-Extensions")
	r.Header.Del("Sec-WebSocket-Protocol")
	if len(subprotocols) > 0 {
		r.Header.Set("Sec-WebSocket-Protocol", strings.Join(subprotocols, ", "))
	}
	return r
}
