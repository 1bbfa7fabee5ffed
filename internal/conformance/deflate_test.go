package conformance_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"example.com/wsecho/server"
	"example.com/wsecho/wstest"
)

// inModes runs a table against a server of each mode, with an offer.
func inModes(t *testing.T, o server.Options, offer string, rows func(takeover bool) []exchange) {
	for name, mode := range modes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := o
			o.Compression = mode
			url := serve(t, o)
			sweep(t, rows(name == "takeover"), func(e exchange) error {
				return e.with(url, wstest.DialOptions{Extensions: offer})
			})
		})
	}
}

// TestDeflateExamples sends the examples of RFC 7692, section 7.2.3, and other legal
// forms of a message. After each message it sends another, which the server must echo.
func TestDeflateExamples(t *testing.T) {
	t.Parallel()
	inModes(t, server.Options{}, pmd, func(takeover bool) (rows []exchange) {
		for _, tt := range deflated {
			m := squeezed(wstest.Binary, tt.digits)
			then := []wstest.Frame{squeezed(wstest.Text, whole), binary("plain"), squeezed(wstest.Text, whole)}
			want := []wstest.Frame{binary(tt.want), text("Hello"), binary("plain"), text("Hello")}
			var fragments []wstest.Frame
			for i := range m.Payload { // cut at every byte, with an empty fragment and a ping in between
				f := more(string(m.Payload[i : i+1]))
				fragments = append(fragments, f, ping("?"), more(""))
			}
			fragments[0].Opcode, fragments[0].Rsv = wstest.Binary, wstest.RSV1
			fragments = append(fragments, last(""))
			pongs := make([]wstest.Frame, len(m.Payload))
			for i := range pongs {
				pongs[i] = pong("?")
			}
			rows = append(rows,
				exchange{name: tt.name, steps: []step{together(append([]wstest.Frame{m}, then...)...)}, want: want},
				exchange{name: tt.name + ", byte by byte", steps: []step{chopped(1, append([]wstest.Frame{m}, then...)...)}, want: want},
				exchange{name: tt.name + ", fragments", steps: []step{together(append(fragments, then...)...)}, want: append(pongs, want...)},
			)
		}
		// Section 7.2.3.2: the second message refers to the first.
		e := exchange{
			name: "context takeover", steps: []step{together(squeezed(wstest.Text, whole), squeezed(wstest.Text, "f200110000"))},
			want: []wstest.Frame{text("Hello"), text("Hello")},
		}
		if !takeover { // the distance reaches before the message
			e.want, e.code = e.want[:1], 1007
		}
		return append(rows, e)
	})
}

// TestDeflateCorrupt sends truncated messages and messages that are not deflate. The
// server echoes no byte of them.
func TestDeflateCorrupt(t *testing.T) {
	t.Parallel()
	inModes(t, server.Options{}, pmd, func(bool) (rows []exchange) {
		add := func(name string, code uint16, frames ...wstest.Frame) {
			rows = append(rows, exchange{
				name: name, code: code, want: []wstest.Frame{text("before")},
				steps: []step{together(append([]wstest.Frame{text("before")}, append(frames, text("behind"))...)...)},
			})
		}
		long, stored := truncatable()
		for what, p := range map[string][]byte{"codes": long, "stored": stored} {
			for n := range p {
				if what == "stored" && n == 1 { // an empty message
					continue
				}
				add(fmt.Sprintf("%s, the first %d bytes of %d", what, n, len(p)), 1007,
					wstest.Frame{Fin: true, Rsv: wstest.RSV1, Opcode: wstest.Binary, Payload: p[:n]})
			}
		}
		for name, digits := range corrupt {
			add(name, 1007, squeezed(wstest.Binary, digits))
		}
		hello := squeezed(wstest.Text, whole)
		add("RSV1 on a continuation", 1002, hello.Open(), last("").WithRsv(wstest.RSV1))
		add("RSV1 on a continuation of what is plain", 1002, text("a").Open(), last("b").WithRsv(wstest.RSV1))
		add("RSV2", 1002, hello.WithRsv(wstest.RSV1|wstest.RSV2))
		add("RSV3", 1002, hello.WithRsv(wstest.RSV3))
		for _, opcode := range []byte{wstest.Close, wstest.Ping, wstest.Pong} {
			add(fmt.Sprintf("RSV1 on opcode %#x", opcode), 1002, data(opcode, "").WithRsv(wstest.RSV1))
		}
		return rows
	})
}

// TestDeflateText checks that the server validates decompressed text as UTF-8.
func TestDeflateText(t *testing.T) {
	t.Parallel()
	inModes(t, server.Options{}, pmd, func(bool) (rows []exchange) {
		pack := func(s string) wstest.Frame {
			c, err := newCodec(params{})
			if err != nil {
				panic(err)
			}
			return wstest.Frame{Fin: true, Rsv: wstest.RSV1, Opcode: wstest.Text, Payload: c.pack([]byte(s))}
		}
		for _, group := range utf8Table() {
			for _, s := range group {
				e := echoed(wstest.Text, s.text, together(pack(s.text)))
				if !s.valid {
					e = refused(1007, together(pack(s.text)))
				}
				e.name = fmt.Sprintf("%q", s.text)
				rows = append(rows, e)
			}
		}
		const letters = "aé€𤭢z"
		m := pack(letters)
		for i := range m.Payload {
			f := cut(wstest.Text, string(m.Payload), i)
			f[0].Rsv = wstest.RSV1
			rows = append(rows, exchange{name: fmt.Sprintf("cut at %d", i), steps: []step{apart(f[0], f[1])}, want: []wstest.Frame{text(letters)}})
		}
		return rows
	})
}

// TestDeflateLimit sends messages that are short on the wire and over the limit when
// decompressed.
func TestDeflateLimit(t *testing.T) {
	t.Parallel()
	const limit = 100_000
	inModes(t, server.Options{ReadLimit: limit}, pmd, func(bool) (rows []exchange) {
		for _, n := range []int{limit - 1, limit, limit + 1, 2 * limit, 16 << 20} {
			c, err := newCodec(params{})
			if err != nil {
				panic(err)
			}
			p := string(c.pack([]byte(stars(n))))
			for _, size := range []int{len(p), 10} {
				f := pieces(wstest.Text, p, size)
				f[0].Rsv = wstest.RSV1
				e := exchange{name: fmt.Sprintf("%d bytes out of %d, in pieces of %d", n, len(p), size), steps: []step{together(f...)}}
				if n > limit {
					e.code = 1009
				} else {
					e.want = []wstest.Frame{text(stars(n))}
				}
				rows = append(rows, e)
			}
		}
		return append(rows, exchange{name: "announced", steps: []step{raw(wstest.Header(0xc2, true, key, 1<<40, 0)), closing}, code: 1009})
	})
}

// TestDeflateMessages sends messages of 0 to 128 KiB, text and binary, whole and in
// fragments. They are compressed and uncompressed, after all kinds of offers.
func TestDeflateMessages(t *testing.T) {
	t.Parallel()
	sizes := []int{0, 1, 2, 3, 10, 125, 126, 127, 128, 511, 512, 513, 4095, 4096, 4097, 16 << 10, 32<<10 - 1, 32 << 10, 32<<10 + 1, 65535, 65536, 128 << 10}
	count := 3 * len(sizes)
	if sampled() {
		count = 8
	}
	for offer, want := range map[string]params{
		pmd:                 {},
		plainOffer:          {},
		pmd + noTakeover:    {serverFresh: true},
		plainOffer + bits15: {serverBits: 15},
		plainOffer + bits9:  {serverBits: 9},
		plainOffer + "; server_max_window_bits=8":                      {serverBits: 8},
		plainOffer + "; server_max_window_bits=12" + noTakeover:        {serverBits: 12, serverFresh: true},
		pmd + "; client_max_window_bits=8":                             {},
		pmd + "; client_max_window_bits=11; server_max_window_bits=11": {serverBits: 11},
	} {
		messages := func(opcode byte, fragment int) step {
			return func(t *clientConn) error {
				r := rand.New(rand.NewPCG(uint64(fragment), uint64(opcode)))
				for i := range count {
					content := materials[0]
					if opcode == wstest.Binary {
						content = materials[r.IntN(len(materials))]
					}
					m := wstest.Frame{Fin: true, Opcode: opcode, Payload: content.at(r.IntN(materialSize), sizes[5*i%len(sizes)])}
					if err := t.roundTrip(m, fragment, i%5 != 4); err != nil { // an uncompressed message does not enter the window
						return fmt.Errorf("message %d: %w", i, err)
					}
				}
				return nil
			}
		}
		t.Run(offer, func(t *testing.T) {
			t.Parallel()
			inModes(t, server.Options{}, offer, func(bool) (rows []exchange) {
				for _, opcode := range []byte{wstest.Text, wstest.Binary} {
					for _, fragment := range []int{0, 100, 5000} {
						rows = append(rows, exchange{
							name:  fmt.Sprintf("opcode %d, fragments of %d", opcode, fragment),
							steps: []step{agreed(want), messages(opcode, fragment)},
						})
					}
				}
				return rows
			})
		})
	}
}

// TestWindows sends data that repeats at distances over the negotiated window, inside
// messages and between them. It measures the distance of the server's references.
func TestWindows(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	noise := func(n int) string {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		return string(b)
	}
	for n := 8; n <= 15; n++ {
		window := 1 << n
		unit := noise(window/4) + repeat("near ", window/4)
		message := strings.Repeat(unit+noise(3*window/2), 4) + unit
		for _, more := range []string{"", noTakeover} {
			offer := fmt.Sprintf("%s; server_max_window_bits=%d%s", pmd, n, more)
			t.Run(offer, func(t *testing.T) {
				t.Parallel()
				inModes(t, server.Options{}, offer, func(bool) []exchange {
					return []exchange{{steps: []step{func(t *clientConn) error {
						if t.codec == nil {
							return errors.New("compression was not negotiated")
						}
						t.codec.exact = true
						for range 3 {
							for _, m := range []wstest.Frame{binary(message), text(repeat("a b c ", window/2)), binary(unit)} {
								if err := t.roundTrip(m, 0, true); err != nil {
									return err
								}
							}
						}
						if t.codec.reach > window {
							return fmt.Errorf("a reference of the server goes back %d bytes, want at most %d", t.codec.reach, window)
						}
						return nil
					}}}}
				})
			})
		}
	}
}
