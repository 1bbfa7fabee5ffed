package server_test

import (
	"context"
	"errors"
	"math"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"example.com/wsecho/server"
	"example.com/wsecho/wstest"
)

func origins(pattern string) server.Options {
	return server.Options{OriginPatterns: []string{pattern}}
}

func TestNewRefuses(t *testing.T) {
	for _, tt := range []struct {
		names string
		o     server.Options
	}{
		{"OriginPatterns", server.Options{OriginPatterns: []string{"example.com", "*"}}},
		{"OriginPatterns", server.Options{OriginPatterns: []string{"https://*"}}},
		{"OriginPatterns", server.Options{OriginPatterns: []string{"**"}}},
		{"OriginPatterns", server.Options{OriginPatterns: []string{"?*"}}},
		{"OriginPatterns", server.Options{OriginPatterns: []string{"*:*"}}},
		{"OriginPatterns", origins("*:443")}, // the same as https://*
		{"OriginPatterns", origins("http://*:80")},
		{"OriginPatterns", origins(".")},
		{"OriginPatterns", origins("..")},
		{"OriginPatterns", origins("http://.")},
		{"OriginPatterns", origins("http://.:80")},
		{"OriginPatterns", origins("app://..")},
		{"OriginPatterns", origins("app://:80")},
		{"OriginPatterns", origins("")},
		{"OriginPatterns", server.Options{OriginPatterns: []string{"a[b"}}},
		{"OriginPatterns", origins("https://example.com/")},
		{"OriginPatterns", origins("wss://example.com")},
		{"OriginPatterns", origins("ws://example.com")},
		{"OriginPatterns", origins("https://user@example.com")},
		{"OriginPatterns", origins("user@example.com")},
		{"OriginPatterns", origins("null")},
		{"OriginPatterns", origins("NULL")},
		{"OriginPatterns", origins("://x")},
		{"OriginPatterns", origins("https://")},
		{"OriginPatterns", origins("https://:8080")},
		{"OriginPatterns", origins("*://")},
		{"OriginPatterns", origins("//example.com")},
		{"OriginPatterns", origins("file:///")},
		{"OriginPatterns", origins("file://*")},
		{"OriginPatterns", origins("https:example.com")},
		{"OriginPatterns", origins("ht tp://example.com")},
		{"OriginPatterns", origins("https://bücher.example")},
		{"OriginPatterns", origins(" example.com")},
		{"OriginPatterns", origins("example.com\r")},
		{"OriginPatterns", origins(`"https://example.com"`)},
		{"OriginPatterns", origins("a.example,b.example")},
		{"OriginPatterns", origins("https://example.com#x")},
		{"OriginPatterns", origins("https://example.com:99999")},
		{"OriginPatterns", origins("https://example.com:0443")},
		{"OriginPatterns", origins("https://example.com:")},
		{"OriginPatterns", origins("https://example.com:http")},
		{"OriginPatterns", origins("::1")},
		{"OriginPatterns", origins("https://::1")},
		{"OriginPatterns", origins("https://[::1x]")},
		{"OriginPatterns", origins("https://[fe80::1%25eth0]")},
		{"OriginPatterns", origins("https://[fe80::1%eth0]:80")},
		{"OriginPatterns", origins("https://127.1")},
		{"OriginPatterns", origins("https://127.0.0.256")},
		{"LocalOriginPatterns", server.Options{LocalOriginPatterns: []string{"*"}}},
		{"AllowAnyOrigin", server.Options{AllowAnyOrigin: true, LocalOriginPatterns: []string{"localhost:1"}}},
		{"CheckOrigin", server.Options{LocalOriginPatterns: []string{"localhost:1"}, CheckOrigin: func(*http.Request) bool { return true }}},
		{"AllowAnyOrigin", server.Options{AllowAnyOrigin: true, OriginPatterns: []string{"example.com"}}},
		{"CheckOrigin", server.Options{OriginPatterns: []string{"a.com"}, CheckOrigin: func(*http.Request) bool { return true }}},
		{"AllowAnyOrigin", server.Options{AllowAnyOrigin: true, CheckOrigin: func(*http.Request) bool { return true }}},
		{"Hosts", server.Options{Hosts: []string{""}}},
		{"Hosts", server.Options{Hosts: []string{"http://example.com"}}},
		{"Hosts", server.Options{Hosts: []string{"*.example.com"}}},
		{"Hosts", server.Options{Hosts: []string{"bücher.example"}}},
		{"Hosts", server.Options{Hosts: []string{"user@example.com"}}},
		{"Hosts", server.Options{Hosts: []string{"example.com:99999"}}},
		{"Hosts", server.Options{Hosts: []string{"example.com:"}}},
		{"Hosts", server.Options{Hosts: []string{":8080"}}},
		{"Hosts", server.Options{Hosts: []string{"."}}},
		{"Hosts", server.Options{Hosts: []string{".."}}},
		{"Hosts", server.Options{Hosts: []string{".:80"}}},
		{"Hosts", server.Options{Hosts: []string{"[::1]x"}}},
		{"Hosts", server.Options{Hosts: []string{"[fe80::1%eth0]"}}},
		{"Hosts", server.Options{Hosts: []string{"fe80::1%eth0"}}},
		{"Hosts", server.Options{Hosts: []string{"example.com "}}},
		{"Hosts", server.Options{Hosts: []string{"example.com\r"}}},
		{"Subprotocols", server.Options{Subprotocols: []string{"a,b"}}},
		{"Subprotocols", server.Options{Subprotocols: []string{""}}},
		{"Subprotocols", server.Options{Subprotocols: []string{"caf\u00e9"}}},
		{"IPv6Prefix", server.Options{IPv6Prefix: -1}},
		{"IPv6Prefix", server.Options{IPv6Prefix: 129}},
		{"HTTPIdleTimeout", server.Options{HTTPIdleTimeout: 1}},
		{"Compression", server.Options{Compression: 7}},
		{"Compression", server.Options{Compression: -1}},
		{"ReadBufferSize", server.Options{ReadBufferSize: -1}},
		{"WriteBufferSize", server.Options{WriteBufferSize: -1}},
		{"ReadBufferSize", server.Options{ReadBufferSize: 1}},
		{"WriteBufferSize", server.Options{WriteBufferSize: 1}},
		{"ReadBufferSize", server.Options{ReadBufferSize: server.MinBufferSize - 1}},
		{"WriteBufferSize", server.Options{WriteBufferSize: server.MaxBufferSize + 1}},
		{"ReadBufferSize", server.Options{ReadBufferSize: math.MaxInt}},
		{"MinWriteRate", server.Options{MinWriteRate: math.MaxInt64}}, // times 10 s it would be negative
		{"HandshakeTimeout", server.Options{HandshakeTimeout: 1}},
		{"MessageTimeout", server.Options{MessageTimeout: 1}},
		{"WriteTimeout", server.Options{WriteTimeout: 1}},
		{"IdleTimeout", server.Options{IdleTimeout: 1}},
		{"MaxAge", server.Options{MaxAge: 1}},
		{"MaxAge", server.Options{MaxAge: math.MaxInt64}}, // 110 % of it would be negative
		{"CloseTimeout", server.Options{CloseTimeout: 1}},
		{"PingInterval", server.Options{PingInterval: 1}},
		{"PingTimeout", server.Options{PingTimeout: 1}},
		{"ParkAfter", server.Options{ParkAfter: 1}},
		{"DrainDelay", server.Options{DrainDelay: 1}},
		{"DrainNotice", server.Options{DrainNotice: 1}},
		{"DrainTimeout", server.Options{DrainTimeout: 1}},
		{"DrainNotice", server.Options{DrainNotice: server.DefaultDrainTimeout + 1}},
		{"DrainNotice", server.Options{DrainNotice: 2 * time.Second, DrainTimeout: time.Second}},
		{"DrainNotice", server.Options{DrainNotice: time.Second, ParkAfter: time.Second}},
		{"DrainSpread", server.Options{DrainSpread: -1}},
		{"DrainSpread", server.Options{DrainSpread: 1}},
		{"DrainSpread", server.Options{DrainSpread: server.DefaultDrainTimeout - server.DefaultCloseTimeout + 1}},
		{"DrainSpread", server.Options{DrainSpread: 7 * time.Second, DrainNotice: 4 * time.Second, DrainTimeout: 10 * time.Second, CloseTimeout: time.Second}},
		{"DrainSpread", server.Options{DrainSpread: time.Second, DrainTimeout: time.Second}},
		{"CloseTimeout", server.Options{CloseTimeout: -1}},
		{"CloseTimeout", server.Options{CloseTimeout: server.MaxCloseTimeout + 1}},
		{"PingTimeout", server.Options{PingTimeout: -1}},
		{"PingTimeout", server.Options{PingTimeout: server.DefaultPingInterval + 1}},
		{"PingTimeout", server.Options{PingInterval: time.Second, PingTimeout: 2 * time.Second}},
		{"DrainDelay", server.Options{DrainDelay: -1}},
		{"DrainNotice", server.Options{DrainNotice: -1}},
		{"DrainTimeout", server.Options{DrainTimeout: -1}},
	} {
		s, err := server.New(echoes, tt.o)
		if s != nil || err == nil || !strings.HasPrefix(err.Error(), "server: "+tt.names) {
			t.Errorf("%+v: got %v, want a refusal that names %s", tt.o, err, tt.names)
		}
		if wrong := (*server.OptionError)(nil); !errors.As(err, &wrong) || wrong.Field != tt.names {
			t.Errorf("%+v: got %#v, want an OptionError of %s", tt.o, err, tt.names)
		}
	}
	if _, err := server.New(nil, server.Options{}); err == nil || !strings.Contains(err.Error(), "Handler") {
		t.Errorf("no handler: got %v", err)
	}
}

func TestNewAccepts(t *testing.T) {
	for _, o := range []server.Options{
		{},
		{ReadLimit: -1, HandshakeTimeout: -1, MessageTimeout: -1, WriteTimeout: -1, IdleTimeout: -1, MaxAge: -1, PingInterval: -1, MaxMissed: -1, MaxConns: -1, MaxConnsPerIP: -1},
		{PingInterval: -1, PingTimeout: time.Hour},
		{PingInterval: time.Second, PingTimeout: time.Second},
		{OriginPatterns: []string{"example.com", "*.example.com:*", "https://*.example.com", "[ab].example.com"}},
		{OriginPatterns: []string{"file://", "chrome-extension://abcdefgh", "capacitor://localhost", "*://example.com", "https://xn--bcher-kva.example", "127.0.0.1:8080", "https://[::1]:*", "my_host:80?0", "EXAMPLE.com."}},
		{Hosts: []string{"server.1", "127.1"}}, // for clients that are no browsers
		{Hosts: []string{"xn--bcher-kva.example.", "127.0.0.1", "my_host", "EXAMPLE.com:443"}},
		{ReadBufferSize: server.MinBufferSize, WriteBufferSize: server.MaxBufferSize, DrainNotice: server.DefaultDrainTimeout, MaxAge: server.MaxTimeout, IdleTimeout: server.MinTimeout},
		{Hosts: []string{"example.com", "example.com:8080", "[::1]:80", "::1"}},
		{Compression: websocket.CompressionContextTakeover},
		{DrainSpread: server.DefaultDrainTimeout - server.DefaultCloseTimeout},
		{DrainTimeout: time.Second},
	} {
		if _, err := server.New(echoes, o); err != nil {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

// TestBufferSizes echoes with small and large buffers.
func TestBufferSizes(t *testing.T) {
	t.Parallel()
	for _, size := range []int{server.MinBufferSize, 513, 4096, 1 << 20} {
		s := serve(t, echoes, server.Options{ReadBufferSize: size, WriteBufferSize: size})
		p := s.dial(t, wstest.DialOptions{})
		for _, n := range []int{0, 1, 125, 126, 65535, 65536, 300_000} {
			text := strings.Repeat("abc", n/3+1)[:n]
			go func() { _ = p.Send(wstest.TextFrame(text)) }()
			receive(t, p, wstest.Text, text)
		}
		go func() { _ = p.Send(wstest.Fragments(wstest.Binary, "a", "", strings.Repeat("b", 200), "c")...) }()
		receive(t, p, wstest.Binary, "a"+strings.Repeat("b", 200)+"c")
	}
}

// TestCompression negotiates with coder's client, in all combinations.
func TestCompression(t *testing.T) {
	t.Parallel()
	modes := []websocket.CompressionMode{websocket.CompressionDisabled, websocket.CompressionNoContextTakeover, websocket.CompressionContextTakeover}
	text := strings.Repeat("to be or not to be ", 5000)
	for _, ours := range modes {
		s := serve(t, echoes, server.Options{Compression: ours})
		for _, theirs := range modes {
			ctx, cancel := context.WithTimeout(context.Background(), soon)
			defer cancel()
			c, resp, err := websocket.Dial(ctx, s.url, &websocket.DialOptions{CompressionMode: theirs})
			if err != nil {
				t.Fatal(err)
			}
			c.SetReadLimit(-1)
			ext := resp.Header.Get("Sec-WebSocket-Extensions")
			both := ours != websocket.CompressionDisabled && theirs != websocket.CompressionDisabled
			if both != strings.HasPrefix(ext, "permessage-deflate") {
				t.Errorf("ours %d, theirs %d: got extensions %q", ours, theirs, ext)
			}
			for range 3 { // the second message shows whether the windows match
				if err := c.Write(ctx, websocket.MessageText, []byte(text)); err != nil {
					t.Fatal(err)
				}
				if _, p, err := c.Read(ctx); err != nil || string(p) != text {
					t.Fatalf("ours %d, theirs %d: got %d bytes, %v", ours, theirs, len(p), err)
				}
			}
			if err := c.Close(1000, ""); err != nil {
				t.Error(err)
			}
			o := s.end(t)
			if both != (o.BytesIn < int64(len(text))) {
				t.Errorf("ours %d, theirs %d: %d bytes on the wire", ours, theirs, o.BytesIn)
			}
		}
	}
}

// TestDurations checks that a duration of any option is refused if it is too short or too
// long.
func TestDurations(t *testing.T) {
	for _, f := range reflect.VisibleFields(reflect.TypeFor[server.Options]()) {
		if f.Type != reflect.TypeFor[time.Duration]() {
			continue
		}
		for _, d := range []time.Duration{server.MinTimeout - 1, server.MaxTimeout + 1} {
			var o server.Options
			reflect.ValueOf(&o).Elem().FieldByIndex(f.Index).SetInt(int64(d))
			_, err := server.New(echoes, o)
			if wrong := (*server.OptionError)(nil); !errors.As(err, &wrong) || wrong.Field != f.Name {
				t.Errorf("%s %v: got %v, want an OptionError of %s", f.Name, d, err, f.Name)
			}
		}
	}
}
