package handshake

import (
	"bufio"
	"bytes"
	"maps"
	"net/http"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

// TestRequest checks what a server reads.
func TestRequest(t *testing.T) {
	fixed := http.Header{"Upgrade": {"websocket"}, "Connection": {"Upgrade"}, "Sec-Websocket-Version": {"13"}, "User-Agent": {"an agent"}}
	for name, test := range map[string]struct {
		url          string
		header       http.Header
		subprotocols []string
		target, host string
		want         http.Header // besides the fixed fields; without values: absent
	}{
		"plain":            {url: "ws://a.example", target: "/", host: "a.example"},
		"path and query":   {url: "wss://a.example:8443/a%2Fb?c=d%20e", target: "/a%2Fb?c=d%20e", host: "a.example:8443"},
		"an empty query":   {url: "ws://a.example/b?", target: "/b?", host: "a.example"},
		"an address":       {url: "ws://[::1]:8080/", target: "/", host: "[::1]:8080"},
		"Host":             {url: "ws://a.example/", header: http.Header{"Host": {"b.example"}}, target: "/", host: "b.example"},
		"a small host":     {url: "ws://a.example/", header: http.Header{"host": {"b.example"}}, target: "/", host: "b.example"},
		"Host of nothing":  {url: "ws://a.example/", header: http.Header{"Host": nil}, target: "/", host: "a.example"},
		"names":            {url: "ws://a.example/", header: http.Header{"x-one": {"1", "2"}, "ORIGIN": {"https://b.example"}}, target: "/", host: "a.example", want: http.Header{"X-One": {"1", "2"}, "Origin": {"https://b.example"}}},
		"a name twice":     {url: "ws://a.example/", header: http.Header{"x-one": {"1"}, "X-One": {"1"}}, target: "/", host: "a.example", want: http.Header{"X-One": {"1", "1"}}},
		"a user":           {url: "ws://me:secret@a.example/", target: "/", host: "a.example", want: http.Header{"Authorization": {"Basic bWU6c2VjcmV0"}}},
		"no password":      {url: "ws://me@a.example/", target: "/", host: "a.example", want: http.Header{"Authorization": {"Basic bWU6"}}},
		"authorization":    {url: "ws://me:secret@a.example/", header: http.Header{"authorization": {"Bearer b"}}, target: "/", host: "a.example", want: http.Header{"Authorization": {"Bearer b"}}},
		"agent":            {url: "ws://a.example/", header: http.Header{"user-agent": {"mine"}}, target: "/", host: "a.example", want: http.Header{"User-Agent": {"mine"}}},
		"no agent":         {url: "ws://a.example/", header: http.Header{"User-Agent": {""}}, target: "/", host: "a.example", want: http.Header{"User-Agent": nil}},
		"agent of nothing": {url: "ws://a.example/", header: http.Header{"User-Agent": nil}, target: "/", host: "a.example"},
		"subprotocols":     {url: "ws://a.example/", subprotocols: []string{"b", "a"}, target: "/", host: "a.example", want: http.Header{"Sec-Websocket-Protocol": {"b, a"}}},
		"not to be given": {url: "ws://a.example/", header: http.Header{
			"upgrade": {"h2c"}, "Connection": {"close"}, "Sec-WebSocket-Version": {"8"}, "Sec-WebSocket-Key": {"mine"},
			"sec-websocket-extensions": {"permessage-deflate"}, "Sec-WebSocket-Protocol": {"a"}, "Content-Length": {"5"}, "Transfer-Encoding": {"chunked"},
		}, target: "/", host: "a.example"},
	} {
		t.Run(name, func(t *testing.T) {
			u, err := ParseURL(test.url)
			if err != nil {
				t.Fatal(err)
			}
			header, text := test.header.Clone(), u.String()
			r := Offer{URL: u, Header: test.header, UserAgent: "an agent", Subprotocols: test.subprotocols}.request("a key")
			var b bytes.Buffer
			if err := r.Write(&b); err != nil {
				t.Fatal(err)
			}
			wire := b.String()
			got, err := http.ReadRequest(bufio.NewReader(&b))
			if err != nil {
				t.Fatal(err)
			}
			if got.Method != "GET" || got.RequestURI != test.target || got.Host != test.host || got.ContentLength != 0 {
				t.Errorf("got %s %s for %s, %d bytes", got.Method, got.RequestURI, got.Host, got.ContentLength)
			}
			if !strings.Contains(wire, "\r\nSec-WebSocket-Key: a key\r\n") || strings.Contains(wire, "Sec-Websocket-") {
				t.Errorf("got %s", wire)
			}
			got.Header.Del("Sec-WebSocket-Key")
			want := fixed.Clone()
			maps.Copy(want, test.want)
			maps.DeleteFunc(want, func(_ string, values []string) bool { return len(values) == 0 })
			if !reflect.DeepEqual(got.Header, want) {
				t.Errorf("got %v, want %v", got.Header, want)
			}
			// A change of the request does not change the arguments.
			for name := range r.Header {
				r.Header[name] = append(r.Header[name][:0], "changed")
			}
			if !reflect.DeepEqual(test.header, header) || u.String() != text {
				t.Errorf("the arguments have changed: %v, %v", test.header, u)
			}
		})
	}
}

// TestNewKey checks the form of a key, and that each is another one.
func TestNewKey(t *testing.T) {
	form := regexp.MustCompile(`^[A-Za-z0-9+/]{22}==$`)
	if a, b := NewKey(), NewKey(); a == b || !form.MatchString(a) || !form.MatchString(b) {
		t.Errorf("got %q and %q", a, b)
	}
}
