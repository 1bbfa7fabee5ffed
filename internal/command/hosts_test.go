package command

import "testing"

func TestASCIIOrigin(t *testing.T) {
	for _, test := range []struct{ origin, want string }{ // "": refused
		{"example.com", "example.com"},
		{"https://*.Example.com:8443", "https://*.Example.com:8443"},
		{"https://bücher.example", "https://xn--bcher-kva.example"},
		{"https://BÜCHER.example:8443", "https://xn--bcher-kva.example:8443"},
		{"https://*.bücher.example:*", "https://*.xn--bcher-kva.example:*"},
		{"straße.example", "xn--strae-oqa.example"},
		{"例え。テスト", "xn--r8jz45g.xn--zckzah"},
		{"https://xn--bcher-kva.example", "https://xn--bcher-kva.example"},
		{"http://[::1]:3000", "http://[::1]:3000"},
		{"file://", "file://"},
		{"*bücher.example", ""},
		{"a\u2260b.example", ""}, // not a letter
	} {
		got, err := asciiOrigin(test.origin)
		if err != nil {
			got = ""
		}
		if got != test.want {
			t.Errorf("%s became %q (%v), want %q", test.origin, got, err, test.want)
		}
	}
}

func TestASCIIURL(t *testing.T) {
	for _, test := range []struct{ url, want string }{
		{"ws://bücher.example:9/ä?b=ü", "ws://xn--bcher-kva.example:9/%C3%A4?b=ü"},
		{"ws://example.com/ä", "ws://example.com/ä"},
		{"ws://[fe80::1%25eth0]:80/", "ws://[fe80::1%25eth0]:80/"},
		{"://", "://"},
	} {
		if got, err := asciiURL(test.url); err != nil || got != test.want {
			t.Errorf("%s became %q (%v), want %q", test.url, got, err, test.want)
		}
	}
}
