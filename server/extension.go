package server

import (
	"errors"
	"fmt"
	"strings"

	"github.com/coder/websocket"

	"example.com/wsecho/internal/transport"
)

// negotiate chooses among the offers of a client, which are the values of its
// Sec-WebSocket-Extensions: RFC 6455, section 9.1, and RFC 7692, sections 5.1 and
// 7.1. Of permessage-deflate it takes the first offer that is in order, whatever
// the others are. It returns the answer and what that means, or "" and nil where
// there is nothing to take.
//
// An error is for a header that breaks the grammar, which fails the handshake
// (section 9.1). Without compression the header is nobody's business and not
// looked at.
func negotiate(values []string, mode websocket.CompressionMode) (answer string, chosen *transport.Deflate, err error) {
	if mode == websocket.CompressionDisabled {
		return "", nil, nil
	}
	for _, v := range values {
		p := parser{v}
		for p.next() {
			name, ok := p.token()
			if !ok {
				return "", nil, malformed(v)
			}
			o := offer{good: name == "permessage-deflate"}
			for p.skip(';') {
				key, value, given, ok := p.param()
				if !ok {
					return "", nil, malformed(v)
				}
				o.param(key, value, given)
			}
			if !p.atEnd() {
				return "", nil, malformed(v)
			}
			if o.good && chosen == nil {
				answer, chosen = o.accept(mode)
			}
		}
	}
	return answer, chosen, nil
}

func malformed(v string) error {
	return fmt.Errorf("Sec-WebSocket-Extensions: %w: %.100q", errGrammar, v)
}

var errGrammar = errors.New("not a list of extensions")

// An offer is one of permessage-deflate, as far as it has been read.
type offer struct {
	good        bool  // so far
	seen        uint8 // a bit for each parameter
	serverAlone bool  // server_no_context_takeover
	clientAlone bool  // client_no_context_takeover
	serverBits  int   // server_max_window_bits; 0: not there
}

// param takes one parameter. What is unknown, there twice or ill-valued makes the
// offer one to decline.
func (o *offer) param(key, value string, given bool) {
	var bit uint8
	switch key {
	case "server_no_context_takeover":
		bit = 1
		o.serverAlone = true
		o.good = o.good && !given
	case "client_no_context_takeover":
		bit = 2
		o.clientAlone = true
		o.good = o.good && !given
	case "server_max_window_bits":
		bit = 4
		o.serverBits = windowBits(value)
		o.good = o.good && o.serverBits > 0
	case "client_max_window_bits":
		bit = 8
		o.good = o.good && (!given || windowBits(value) > 0)
	default:
		o.good = false
	}
	o.good = o.good && o.seen&bit == 0
	o.seen |= bit
}

// windowBits returns the value of a window's size, 0 if it is none. There are no
// leading zeros, RFC 7692, section 7.1.2.
func windowBits(value string) int {
	for n := 8; n <= 15; n++ {
		if value == fmt.Sprint(n) {
			return n
		}
	}
	return 0
}

// accept returns the answer to a good offer. client_max_window_bits is never in
// it: a window of 32 KiB, where one is kept, is a small part of what context
// takeover takes, and a smaller one would cost the client compression.
func (o *offer) accept(mode websocket.CompressionMode) (string, *transport.Deflate) {
	d := &transport.Deflate{Bits: 15}
	if o.serverBits > 0 {
		d.Bits = o.serverBits
	}
	alone := mode == websocket.CompressionNoContextTakeover
	// Within a smaller window no message refers back to earlier ones, and a client
	// that knows need not keep them.
	d.KeepOut = !alone && !o.serverAlone && d.Bits == 15
	d.KeepIn = !alone && !o.clientAlone
	var b strings.Builder
	b.WriteString("permessage-deflate")
	if !d.KeepOut {
		b.WriteString("; server_no_context_takeover")
	}
	if !d.KeepIn {
		b.WriteString("; client_no_context_takeover")
	}
	if o.serverBits > 0 {
		fmt.Fprintf(&b, "; server_max_window_bits=%d", d.Bits)
	}
	return b.String(), d
}

// A parser reads the grammar of RFC 6455, section 9.1, from the front of rest.
type parser struct{ rest string }

// next reports whether there is another extension, past empty elements of the
// list (RFC 9110, section 5.6.1.2).
func (p *parser) next() bool {
	for p.skip(',') {
	}
	return p.rest != ""
}

// atEnd reports whether an element of the list ends here.
func (p *parser) atEnd() bool {
	p.space()
	return p.rest == "" || p.rest[0] == ','
}

func (p *parser) space() { p.rest = strings.TrimLeft(p.rest, " \t") }

// skip passes over c, with space before and behind.
func (p *parser) skip(c byte) bool {
	p.space()
	if p.rest == "" || p.rest[0] != c {
		return false
	}
	p.rest = p.rest[1:]
	p.space()
	return true
}

func (p *parser) token() (string, bool) {
	n := 0
	for n < len(p.rest) && isTokenByte(p.rest[n]) {
		n++
	}
	token := p.rest[:n]
	p.rest = p.rest[n:]
	return token, n > 0
}

// param reads a parameter, which may have a value.
func (p *parser) param() (key, value string, given, ok bool) {
	if key, ok = p.token(); !ok || !p.skip('=') {
		return key, "", false, ok
	}
	if strings.HasPrefix(p.rest, `"`) {
		value, ok = p.quoted()
	} else {
		value, ok = p.token()
	}
	return key, value, true, ok
}

// quoted reads a quoted string. What it stands for must be a token.
func (p *parser) quoted() (string, bool) {
	var b strings.Builder
	for i := 1; i < len(p.rest); i++ {
		c := p.rest[i]
		if c == '"' {
			p.rest = p.rest[i+1:]
			return b.String(), b.Len() > 0
		}
		if c == '\\' {
			if i++; i == len(p.rest) {
				break
			}
			c = p.rest[i]
		}
		if !isTokenByte(c) {
			break
		}
		b.WriteByte(c)
	}
	return "", false
}
