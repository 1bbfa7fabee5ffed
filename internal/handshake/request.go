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

	// Key is the Sec-WebSocket-Key. Empty: a random one.
	Key string

	// Extensions is offered if it is not empty. Then the caller checks which ones the
	// server has chosen.
	Extensions string
}

// request returns the request for o, with this key.
func (o Offer) request(key string) *http.Request {
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
	r.Header.Set("Sec-WebSocket-Key", key)
	for name, value := range map[string]string{
		"Sec-WebSocket-Extensions": o.Extensions,
		"Sec-WebSocket-Protocol":   strings.Join(o.Subprotocols, ", "),
	} {
		r.Header.Del(name)
		if value != "" {
			r.Header.Set(name, value)
		}
	}
	Spell(r.Header)
	return r
}

// fields are the names of the handshake's fields that net/http spells otherwise.
var fields = []string{"Sec-WebSocket-Accept", "Sec-WebSocket-Extensions", "Sec-WebSocket-Key", "Sec-WebSocket-Protocol", "Sec-WebSocket-Version"}

// Spell renames the fields of the handshake in h to the spelling of RFC 6455, such as
// Sec-WebSocket-Key. net/http writes Sec-Websocket-Key. Names have no case, but some
// programs compare it. Get and Set do not find a renamed field.
func Spell(h http.Header) {
	for _, name := range fields {
		canonical := http.CanonicalHeaderKey(name)
		if values, ok := h[canonical]; ok {
			delete(h, canonical)
			h[name] = values
		}
	}
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
