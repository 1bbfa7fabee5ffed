package listener

import (
	"io"
	"net"
	"slices"
	"testing"
)

func TestMistakeIn(t *testing.T) {
	for first, want := range map[string]Mistake{
		"":                                   0,
		"G":                                  0,
		"GET / HTTP/1.1\r\n":                 0,
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n":   0,
		"PROXY":                              0, // may be a method
		"PROXY TCP4 192.0.2.1 ":              PROXY,
		"PROXY UNKNOWN\r\n":                  PROXY,
		"\r\n\r\n\x00\r\nQUIT\n\x21\x11":     PROXY,
		"\r\n\r\nGET / HTTP/1.1":             0,
		"\x16":                               0,
		"\x16\x03\x01\x02\x00\x01\x00\x01":   TLS,
		"\x16\x03\x03":                       TLS,
		"\x17\x03\x03":                       0,
		"\x16\x16":                           0,
		"\x81\x85\x00\x00\x00\x00":           0, // a WebSocket frame
		"SSH-2.0-OpenSSH_9.6\r\n":            0,
		"proxy tcp4 192.0.2.1 192.0.2.2\r\n": 0,
	} {
		if got := mistakeIn([]byte(first)); got != want {
			t.Errorf("%q: got %d, want %d", first, got, want)
		}
	}
}

// TestOnMistake checks that only the first bytes of a connection are compared, and that
// Unwrap returns the inner connection.
func TestOnMistake(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	limiter := New(nil, func() int { return 10 })
	var got []Mistake
	limiter.OnMistake = func(remote net.Addr, m Mistake) { got = append(got, m) }
	l := limiter.Wrap(inner)
	defer l.Close()
	for _, sent := range []string{"PROXY TCP4 ...", "GET / HTTP/1.1\r\n\r\n", "\x16\x03\x01"} {
		client, err := net.Dial("tcp", inner.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := Unwrap(c).(*net.TCPConn); !ok {
			t.Errorf("Unwrap returns a %T", Unwrap(c))
		}
		for _, s := range []string{sent, "PROXY TCP4 ..."} {
			if _, err := client.Write([]byte(s)); err != nil {
				t.Fatal(err)
			}
			p := make([]byte, len(s))
			if _, err := io.ReadFull(c, p); err != nil || string(p) != s {
				t.Fatalf("got %q, %v", p, err)
			}
		}
		handlers := "HTTP/1.1 431 Request Header Fields Too Large\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\n\r\n"
		for _, answer := range []string{"HTTP/1.1 101 Switching", string(tooLarge) + "431", handlers} {
			if _, err := c.Write([]byte(answer)); err != nil {
				t.Fatal(err)
			}
			p := make([]byte, len(answer))
			if _, err := io.ReadFull(client, p); err != nil || string(p) != answer {
				t.Fatalf("got %q, %v", p, err)
			}
		}
		client.Close()
		c.Close()
	}
	if want := []Mistake{PROXY, LargeHeader, LargeHeader, TLS, LargeHeader}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
