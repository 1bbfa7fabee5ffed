package handshake

import (
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
)

// An Offer is what a client sends with its opening handshake.
type Offer struct {
	URL *url.URL // from ParseURL

	// Header is sent with the request. It may replace Host and User-Agent, and its
	// Authorization replaces a password in the URL. Open ignores the fields that
	// belong to the handshake itself.
	Header    http.Header
	UserAgent string

	// Subprotocols are offered in this order. If there are any, the server must
	// choose one of them.
	Subprotocols []string

	// Extensions is offered if it is not empty. Then the caller checks which ones the
	// server has chosen.
	Extensions string
}

// request returns the request for o, with a random key.
func (o Offer) request() *http.Request {
	r := &http.Request{Method: http.MethodGet, URL: o.URL, Host: o.URL.Host, Header: http.Header{}}
	for name, values := range o.Header {
		name = http.CanonicalHeaderKey(name)
		r.Header[name] = append(r.Header[name], values...)
	}
	if host := r.Header.Get("Host"); host != "" {
		r.Host = host
	}
	r.Header.Del("Host")
	if r.Header["User-Agent"] == nil {
		r.Header.Set("User-Agent", o.UserAgent)
	}
	if user := o.URL.User; user != nil && r.Header.Get("Authorization") == "" {
		password, _ := user.Password()
		r.SetBasicAuth(user.Username(), password)
	}
	r.Header.Set("Upgrade", "websocket")
	r.Header.Set("Connection", "Upgrade")
	r.Header.Set("Sec-WebSocket-Version", "13")
	r.Header.Set("Sec-WebSocket-Key", NewKey())
	for name, value := range map[string]string{
		"Sec-WebSocket-Extensions": o.Extensions,
		"Sec-WebSocket-Protocol":   strings.Join(o.Subprotocols, ", "),
	} {
		r.Header.Del(name)
		if value != "" {
			r.Header.Set(name, value)
		}
	}
	return r
}

// NewKey returns a random Sec-WebSocket-Key.
func NewKey() string {
	var nonce [16]byte
	rand.Read(nonce[:])
	return base64.StdEncoding.EncodeToString(nonce[:])
}

// AcceptKey returns the Sec-WebSocket-Accept for a key (RFC 6455, section 4.2.2).
func AcceptKey(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// HasToken reports whether a field that is a list has a token, in any case.
func HasToken(values []string, token string) bool {
	for _, v := range values {
		for t := range strings.SplitSeq(v, ",") {
			if strings.EqualFold(strings.TrimSpace(t), token) {
				return true
			}
		}
	}
	return false
}
