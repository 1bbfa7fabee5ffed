package transport

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"

	"example.com/wsecho/ending"
	"example.com/wsecho/internal/deflate"
	"example.com/wsecho/internal/frame"
	"example.com/wsecho/wstest"
)

// falseHeader returns a client's frame header that may lie about its length.
func falseHeader(first byte, length uint64, bits int) []byte {
	return wstest.Header(first, true, key, length, bits)
}

func cat(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// source returns a Conn over a stream that contains in, at once or byte by byte, and ends.
func source(t *testing.T, in []byte, o Options, single bool) *Conn {
	server, client := over(t, "pipe")
	var first []byte
	if !single {
		in, first = nil, in
	}
	go io.Copy(io.Discard, client) // pongs
	go func() {
		for i := range in {
			if _, err := client.Write(in[i : i+1]); err != nil {
				return
			}
		}
		client.Close()
	}()
	return New(server, first, o)
}

// frames parses the bytes that coder reads. It unmasks them and joins the fragments of a
// message, because the Scanner may split frames anywhere.
func frames(t *testing.T, b []byte) string {
	t.Helper()
	var out []string
	var open string
	for len(b) > 0 {
		f, rest, err := wstest.Decode(b)
		if err != nil {
			t.Fatalf("half a frame was passed on: %x", b)
		}
		b = rest
		switch {
		case f.Opcode >= frame.Close:
			out = append(out, fmt.Sprintf("%x:%q", f.Opcode, f.Payload))
			continue
		case f.Opcode != frame.Continuation:
			open = fmt.Sprintf("%x:", f.Opcode+f.Rsv<<4)
		}
		open += string(f.Payload)
		if f.Fin {
			out, open = append(out, open), ""
		}
	}
	if open != "" {
		out = append(out, open+"…")
	}
	return strings.Join(out, " ")
}

func TestScan(t *testing.T) {
	big := strings.Repeat("x", 125)
	empty := func(n int) (b []byte) {
		b = masked(frame.Text, nil)
		for range n - 1 {
			b = append(b, masked(frame.Continuation, nil)...)
		}
		return b
	}
	compress := func(o *Options) { o.Deflate = &deflate.Params{ServerBits: 15} }
	hello := []byte{0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00} // RFC 7692, section 7.2.3.1
	limit := func(n int64) func(*Options) { return func(o *Options) { o.ReadLimit = n } }
	both := func(a, b func(*Options)) func(*Options) { return func(o *Options) { a(o); b(o) } }
	ok := ending.Abnormal // the stream only ends
	for _, test := range []struct {
		name string
		in   []byte
		set  func(*Options)
		out  string
		kind ending.Kind
	}{
		{"nothing", nil, nil, "", ok},
		{"messages", cat(text("a"), text(""), masked(frame.Fin|frame.Binary, []byte("b"))), nil, "1:a 1: 2:b", ok},
		{"fragments", cat(masked(frame.Text, []byte("a")), masked(frame.Fin|9, []byte("p")), masked(0, nil), masked(frame.Fin, []byte("b"))), nil, "ping 1:ab", ok},
		{"half", text("abc")[:7], nil, "1:a…", ok},
		{"half a header", cat(text("a"), text("abc")[:5]), nil, "1:a", ok},
		{"half a ping", cat(text("a"), masked(frame.Fin|9, []byte("pp"))[:7]), nil, "1:a", ok},

		{"RSV1", masked(frame.Fin|frame.Text|0x40, nil), nil, "", ending.Protocol},
		{"RSV2", masked(frame.Fin|frame.Text|0x20, nil), nil, "", ending.Protocol},
		{"RSV3", masked(frame.Fin|frame.Text|0x10, nil), nil, "", ending.Protocol},
		{"RSV1 deflated", masked(frame.Fin|frame.Text|0x40, hello), compress, "1:Hello", ok},
		{"RSV1 deflated, fragments", cat(masked(frame.Text|0x40, hello[:3]), masked(0, nil), masked(frame.Fin, hello[3:])), compress, "1:Hello", ok},
		{"RSV1 deflated, empty", masked(frame.Fin|frame.Text|0x40, []byte{0}), compress, "1:", ok},
		{"RSV1 deflated and not", cat(text("a"), masked(frame.Fin|frame.Binary|0x40, hello), text("b")), compress, "1:a 2:Hello 1:b", ok},
		{"RSV1 on continuation", cat(masked(frame.Text|0x40, nil), masked(frame.Fin|0x40, nil)), compress, "", ending.Protocol},
		{"RSV1 on ping", masked(frame.Fin|9|0x40, nil), compress, "", ending.Protocol},
		{"RSV2 deflated", masked(frame.Fin|frame.Text|0x60, nil), compress, "", ending.Protocol},
		{"opcode 3", masked(frame.Fin|3, nil), nil, "", ending.Protocol},
		{"opcode 7", masked(frame.Fin|7, nil), nil, "", ending.Protocol},
		{"opcode B", masked(frame.Fin|0xb, nil), nil, "", ending.Protocol},
		{"opcode F", masked(frame.Fin|0xf, nil), nil, "", ending.Protocol},
		{"opcode in one byte", cat(text("a"), []byte{frame.Fin | 3}), nil, "1:a", ending.Protocol},
		{"unmasked", cat(text("a"), []byte{frame.Fin | frame.Text, 0}), nil, "1:a", ending.Protocol},
		{"ping of 126", falseHeader(frame.Fin|9, 126, 16), nil, "", ending.Protocol},
		{"ping of 125", masked(frame.Fin|9, []byte(big)), nil, "ping", ok},
		{"pong of 125", masked(frame.Fin|0xa, []byte(big)), nil, `pong "` + big + `"`, ok},
		{"ping without FIN", masked(9, nil), nil, "", ending.Protocol},
		{"close without FIN", masked(frame.Close, nil), nil, "", ending.Protocol},
		{"continuation of nothing", cat(text("a"), masked(frame.Fin, nil)), nil, "1:a", ending.Protocol},
		{"message in a message", cat(masked(frame.Text, []byte("a")), text("b")), nil, "1:a…", ending.Protocol},
		{"top bit", falseHeader(frame.Fin|frame.Binary, 1<<63, 64), nil, "", ending.Protocol},
		{"all bits", falseHeader(frame.Fin|frame.Binary, 1<<64-1, 64), nil, "", ending.Protocol},
		{"5 in 16 bits", falseHeader(frame.Fin|frame.Text, 5, 16), nil, "", ending.Protocol},
		{"125 in 64 bits", falseHeader(frame.Fin|frame.Text, 125, 64), nil, "", ending.Protocol},
		{"65535 in 64 bits", falseHeader(frame.Fin|frame.Text, 65535, 64), nil, "", ending.Protocol},

		{"2^62 without a limit", falseHeader(frame.Fin|frame.Text, 1<<62, 64), nil, "", ok},
		{"2^63-1 over a limit", falseHeader(frame.Fin|frame.Text, 1<<63-1, 64), limit(5), "", ending.TooBig},
		{"at the limit", text("abcde"), limit(5), "1:abcde", ok},
		{"over the limit", cat(text("a"), text("abcdef")), limit(5), "1:a", ending.TooBig},
		{"announced over it", falseHeader(frame.Fin|frame.Text, 6, 0), limit(5), "", ending.TooBig},
		{"fragments at it", cat(masked(frame.Text, []byte("abc")), masked(frame.Fin, []byte("de")), text("abcde")), limit(5), "1:abcde 1:abcde", ok},
		{"fragments over it", cat(masked(frame.Text, []byte("abc")), masked(frame.Fin, []byte("def"))), limit(5), "1:abc…", ending.TooBig},
		{"2^63-1 after some", cat(masked(frame.Text, []byte("abc")), falseHeader(frame.Fin, 1<<63-1, 64)), limit(5), "1:abc…", ending.TooBig},
		{"limit 0", cat(text(""), text("a")), limit(0), "1:", ending.TooBig},
		{"deflated at the limit", masked(frame.Fin|frame.Text|0x40, hello), both(compress, limit(5)), "1:Hello", ok},
		{"deflated, announced over it", falseHeader(frame.Fin|frame.Text|0x40, 5+1024+1, 16), both(compress, limit(5)), "", ending.TooBig},
		{"deflated, limit 0", masked(frame.Fin|frame.Text|0x40, []byte{0}), both(compress, limit(0)), "1:", ok},

		{"1024 empty fragments", empty(1024), nil, "1:…", ok},
		{"1025 empty fragments", empty(1025), nil, "1:…", ending.Flood},

		{"close", closing(1000, "bye"), nil, `8:"\x03\xe8bye"`, ok},
		{"close without a code", closing(0, ""), nil, `8:""`, ok},
		{"close of one byte", masked(frame.Fin|frame.Close, []byte{3}), nil, "", ending.Protocol},
		{"close in a message", cat(masked(frame.Text, []byte("a")), closing(1001, "")), nil, `8:"\x03\xe9" 1:a…`, ok},
		{"close reason not UTF-8", closing(1000, "\xff"), nil, "", ending.InvalidUTF8},
		{"close reason cut", closing(1000, "\xc3"), nil, "", ending.InvalidUTF8},
		{"close reason not UTF-8, and more to come", closing(1000, "ok\xff"+big[:100])[:6+5], nil, "", ending.InvalidUTF8},
		{"close reason that may be UTF-8 yet", closing(1000, "ok\xe2\x82\xac")[:6+6], nil, "", ok},
		{"close code, and more to come", closing(1006, big[:100])[:6+2], nil, "", ending.Protocol},
		{"half a close code", closing(1006, big[:100])[:6+1], nil, "", ok},
		{"close reason of 123", closing(1000, big[:123]), nil, `8:"\x03\xe8` + big[:123] + `"`, ok},
		{"data after close", cat(closing(1000, ""), text("a")), nil, `8:"\x03\xe8"`, ending.Closed},
		{"garbage after close", cat(closing(1000, ""), []byte("\xff\xff")), nil, `8:"\x03\xe8"`, ending.Closed},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, single := range []bool{false, true} {
				o := options()
				if test.set != nil {
					test.set(&o)
				}
				var heard []string
				o.OnPing = func() { heard = append(heard, "ping") }
				o.OnPong = func(p []byte) { heard = append(heard, fmt.Sprintf("pong %q", p)) }
				c := source(t, test.in, o, single)
				all, err := io.ReadAll(c)
				if got := kindOf(err); got != test.kind {
					t.Errorf("byte by byte %v: got kind %v (%v), want %v", single, got, err, test.kind)
				}
				if f := frames(t, all); f != "" {
					heard = append(heard, f)
				}
				if got := strings.Join(heard, " "); got != test.out {
					t.Errorf("byte by byte %v: got %s, want %s", single, got, test.out)
				}
				_, again := c.Read(make([]byte, 1))
				if again != err {
					t.Errorf("got %v and then %v, want the same", err, again)
				}
				c.Hangup()
			}
		})
	}
}
