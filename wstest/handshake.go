package wstest

import (
	"bytes"
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// SampleKey is the Sec-WebSocket-Key of the RFC's example (section 1.3).
const SampleKey = "dGhlIHNhbXBsZSBub25jZQ=="

// maxBody is how much of the body of a refused handshake is read.
const maxBody = 64 << 10

// NewKey returns a random Sec-WebSocket-Key.
func NewKey() string {
	var nonce [16]byte
	rand.Read(nonce[:])
	return base64.StdEncoding.EncodeToString(nonce[:])
}

// AcceptKey returns the Sec-WebSocket-Accept that answers a key (section 4.2.2).
func AcceptKey(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// Request returns the bytes of an opening handshake for a URL (section 4.1). An
// empty key stands for [SampleKey]. A field in header takes the place of the
// honest one of the same name, Host included; one without values removes it.
// Names and values are written as they are, line breaks and all. Request panics
// if the URL cannot be parsed.
func Request(url, key string, header http.Header) []byte {
	u := mustParse(url)
	if key == "" {
		key = SampleKey
	}
	return message("GET "+u.RequestURI()+" HTTP/1.1", header,
		"Host", u.Host,
		"Upgrade", "websocket",
		"Connection", "Upgrade",
		"Sec-WebSocket-Key", key,
		"Sec-WebSocket-Version", "13")
}

// Response returns the bytes of a 101 answer to a handshake with this key
// (section 4.2.2). header is as in [Request].
func Response(key string, header http.Header) []byte {
	return message("HTTP/1.1 101 Switching Protocols", header,
		"Upgrade", "websocket",
		"Connection", "Upgrade",
		"Sec-WebSocket-Accept", AcceptKey(key))
}

// message returns an HTTP message without a body: the honest fields, names and
// values in turn, unless header has them too, and then header, sorted.
func message(first string, header http.Header, honest ...string) []byte {
	replaced := make(map[string]bool)
	for name := range header {
		replaced[strings.ToLower(name)] = true
	}
	var b bytes.Buffer
	b.WriteString(first + "\r\n")
	for i := 0; i < len(honest); i += 2 {
		if !replaced[strings.ToLower(honest[i])] {
			b.WriteString(honest[i] + ": " + honest[i+1] + "\r\n")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(header)) {
		for _, value := range header[name] {
			b.WriteString(name + ": " + value + "\r\n")
		}
	}
	b.WriteString("\r\n")
	return b.Bytes()
}

func mustParse(s string) *url.URL {
	u, err := url.Parse(s)
	if err != nil {
		panic("wstest: " + err.Error())
	}
	return u
}

// A HandshakeError is an answer to the opening handshake that is no good.
type HandshakeError struct {
	Reason   string         // what is wrong with it
	Response *http.Response // its Body is used up
	Body     []byte         // at most the first 64 KiB
}

func (e *HandshakeError) Error() string {
	return fmt.Sprintf("opening handshake: %s: %s", e.Response.Status, e.Reason)
}

// checkResponse returns a HandshakeError unless r accepts key.
func checkResponse(r *http.Response, key string) error {
	bad := &HandshakeError{Response: r}
	switch {
	case r.StatusCode != http.StatusSwitchingProtocols:
		bad.Reason = "want 101"
		// A body that is cut short is still the best explanation there is.
		bad.Body, _ = io.ReadAll(io.LimitReader(r.Body, maxBody))
		r.Body.Close()
	case !strings.EqualFold(r.Header.Get("Upgrade"), "websocket"):
		bad.Reason = fmt.Sprintf("Upgrade is %q", r.Header.Get("Upgrade"))
	case !hasToken(r.Header, "Connection", "upgrade"):
		bad.Reason = fmt.Sprintf("Connection is %q", r.Header.Get("Connection"))
	case r.Header.Get("Sec-WebSocket-Accept") != AcceptKey(key):
		bad.Reason = fmt.Sprintf("Sec-WebSocket-Accept is %q", r.Header.Get("Sec-WebSocket-Accept"))
	default:
		return nil
	}
	return bad
}

// hasToken reports whether a field that is a list of tokens has this one.
func hasToken(h http.Header, name, token string) bool {
	for _, value := range h.Values(name) {
		for part := range strings.SplitSeq(value, ",") {
			if strings.EqualFold(strings.TrimSpace(part), token) {
				return true
			}
		}
	}
	return false
}
