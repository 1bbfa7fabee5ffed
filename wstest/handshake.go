package wstest

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"example.com/wsecho/internal/handshake"
)

// SampleKey is the Sec-WebSocket-Key of the RFC's example (section 1.3).
const SampleKey = "dGhlIHNhbXBsZSBub25jZQ=="

// maxBody is the maximum number of bytes read of the body of a refused handshake.
const maxBody = 64 << 10

// NewKey returns a random Sec-WebSocket-Key.
func NewKey() string { return handshake.NewKey() }

// AcceptKey returns the Sec-WebSocket-Accept for a key (section 4.2.2).
func AcceptKey(key string) string { return handshake.AcceptKey(key) }

// Request returns the bytes of an opening handshake for a URL (section 4.1). An empty key
// means [SampleKey]. A field in header replaces the correct one of the same name, Host
// included; a field without values removes it. Request writes names and values as they
// are, line breaks included. It panics if the URL cannot be parsed.
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

// Response returns the bytes of a 101 response to a handshake with this key
// (section 4.2.2). header is as in [Request].
func Response(key string, header http.Header) []byte {
	return message("HTTP/1.1 101 Switching Protocols", header,
		"Upgrade", "websocket",
		"Connection", "Upgrade",
		"Sec-WebSocket-Accept", AcceptKey(key))
}

// message returns an HTTP message without a body. It has the correct fields, names and
// values alternating, unless header has them too. The sorted fields of header follow.
func message(first string, header http.Header, correct ...string) []byte {
	replaced := make(map[string]bool)
	for name := range header {
		replaced[strings.ToLower(name)] = true
	}
	var b bytes.Buffer
	b.WriteString(first + "\r\n")
	for i := 0; i < len(correct); i += 2 {
		if !replaced[strings.ToLower(correct[i])] {
			b.WriteString(correct[i] + ": " + correct[i+1] + "\r\n")
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

// A HandshakeError is a response to the opening handshake that does not accept it.
type HandshakeError struct {
	Reason   string         // why it does not
	Response *http.Response // its Body has been read
	Body     []byte         // at most the first 64 KiB
}

func (e *HandshakeError) Error() string {
	return fmt.Sprintf("opening handshake: %s: %s", e.Response.Status, e.Reason)
}

// checkResponse returns a HandshakeError unless r accepts key.
func checkResponse(r *http.Response, key string) error {
	bad := &HandshakeError{Response: r}
	if r.StatusCode != http.StatusSwitchingProtocols {
		bad.Reason = "want 101"
		bad.Body, _ = io.ReadAll(io.LimitReader(r.Body, maxBody)) // a part of the body may be enough
		r.Body.Close()
		return bad
	}
	if err := handshake.Check(r, key); err != nil {
		bad.Reason = err.Error()
		return bad
	}
	return nil
}
