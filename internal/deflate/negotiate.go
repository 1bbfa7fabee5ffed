package deflate

import (
	"errors"
	"fmt"
	"strings"

	"github.com/coder/websocket"

	"example.com/wsecho/internal/handshake"
)

// Params are the parameters of permessage-deflate that were negotiated.
type Params struct {
	ClientTakeover bool // the client's messages may refer back to earlier ones
	ServerTakeover bool // the server's may; only if ServerBits is 15
	ServerBits     int  // the server's messages refer back at most 2^ServerBits bytes; 8 to 15
}

// Negotiate accepts the first valid offer of permessage-deflate: RFC 6455, section 9.1,
// and RFC 7692, sections 5.1 and 7.1. The values are those of the client's header
// Sec-WebSocket-Extensions. It returns the server's header value and its meaning, or ""
// and nil if there is no valid offer.
//
// It returns an error if the header breaks the grammar, which fails the handshake
// (section 9.1). With websocket.CompressionDisabled it ignores the header.
func Negotiate(values []string, mode websocket.CompressionMode) (answer string, chosen *Params, err error) {
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
			o := offer{valid: name == "permessage-deflate"}
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
			if o.valid && chosen == nil {
				answer, chosen = o.accept(mode)
			}
		}
	}
	return answer, chosen, nil
}

// Agreed reads a server's answer to a client that offered permessage-deflate without
// client_max_window_bits (RFC 7692, section 7.1). The values are those of the server's
// header Sec-WebSocket-Extensions. takeover reports whether the server's messages may
// refer back to earlier ones. A server may choose that even against the client's request.
// The error is a sentence about the server, without its subject.
func Agreed(values []string) (takeover bool, err error) {
	answer := strings.Join(values, ", ")
	name, params, _ := strings.Cut(answer, ";")
	switch {
	case answer == "":
		return false, errors.New("it does not agree to permessage-deflate")
	case strings.TrimSpace(name) != "permessage-deflate" || strings.Contains(answer, ","):
		return false, fmt.Errorf("it chose the extensions %s, which were not offered", handshake.Quoted([]byte(answer)))
	}
	takeover = true
	for param := range strings.SplitSeq(params, ";") {
		switch name, _, _ := strings.Cut(strings.TrimSpace(param), "="); strings.TrimSpace(name) {
		case "server_no_context_takeover":
			takeover = false
		case "client_no_context_takeover", "server_max_window_bits", "":
		default:
			return false, fmt.Errorf("it answers permessage-deflate with %s, which was not offered", handshake.Quoted([]byte(name)))
		}
	}
	return takeover, nil
}

func malformed(v string) error {
	return fmt.Errorf("Sec-WebSocket-Extensions: %w: %.100q", errGrammar, v)
}

var errGrammar = errors.New("not a list of extensions")

// An offer is an offer of permessage-deflate while it is parsed.
type offer struct {
	valid            bool  // so far
	seen             uint8 // a bit for each parameter
	noServerTakeover bool  // server_no_context_takeover
	noClientTakeover bool  // client_no_context_takeover
	serverBits       int   // server_max_window_bits; 0: absent
}

// param adds one parameter. An unknown or repeated parameter, or one with a wrong value,
// makes the offer invalid.
func (o *offer) param(key, value string, given bool) {
	var bit uint8
	switch key {
	case "server_no_context_takeover":
		bit = 1
		o.noServerTakeover = true
		o.valid = o.valid && !given
	case "client_no_context_takeover":
		bit = 2
		o.noClientTakeover = true
		o.valid = o.valid && !given
	case "server_max_window_bits":
		bit = 4
		o.serverBits = windowBits(value)
		o.valid = o.valid && o.serverBits > 0
	case "client_max_window_bits":
		bit = 8
		o.valid = o.valid && (!given || windowBits(value) > 0)
	default:
		o.valid = false
	}
	o.valid = o.valid && o.seen&bit == 0
	o.seen |= bit
}

// windowBits returns the number of a window's bits, 0 if value is not one. RFC 7692,
// section 7.1.2, forbids leading zeros.
func windowBits(value string) int {
	for n := 8; n <= 15; n++ {
		if value == fmt.Sprint(n) {
			return n
		}
	}
	return 0
}

// accept returns the answer to a valid offer. It never limits the client's window. 32 KiB
// are a small part of the memory for context takeover. A smaller window would compress
// worse.
func (o *offer) accept(mode websocket.CompressionMode) (string, *Params) {
	d := &Params{ServerBits: 15}
	if o.serverBits > 0 {
		d.ServerBits = o.serverBits
	}
	noTakeover := mode == websocket.CompressionNoContextTakeover
	// With a smaller window Compressor uses no context, so the client need not keep one.
	d.ServerTakeover = !noTakeover && !o.noServerTakeover && d.ServerBits == 15
	d.ClientTakeover = !noTakeover && !o.noClientTakeover
	var b strings.Builder
	b.WriteString("permessage-deflate")
	if !d.ServerTakeover {
		b.WriteString("; server_no_context_takeover")
	}
	if !d.ClientTakeover {
		b.WriteString("; client_no_context_takeover")
	}
	if o.serverBits > 0 {
		fmt.Fprintf(&b, "; server_max_window_bits=%d", d.ServerBits)
	}
	return b.String(), d
}

// A parser parses the grammar of RFC 6455, section 9.1.
type parser struct{ remaining string }

// next skips empty elements of the list (RFC 9110, section 5.6.1.2) and reports whether
// there is another extension.
func (p *parser) next() bool {
	for p.skip(',') {
	}
	return p.remaining != ""
}

// atEnd reports whether an element of the list ends here.
func (p *parser) atEnd() bool {
	p.space()
	return p.remaining == "" || p.remaining[0] == ','
}

func (p *parser) space() { p.remaining = strings.TrimLeft(p.remaining, " \t") }

// skip consumes c and the space around it, if c is next.
func (p *parser) skip(c byte) bool {
	p.space()
	if p.remaining == "" || p.remaining[0] != c {
		return false
	}
	p.remaining = p.remaining[1:]
	p.space()
	return true
}

func (p *parser) token() (string, bool) {
	n := 0
	for n < len(p.remaining) && handshake.IsTokenByte(p.remaining[n]) {
		n++
	}
	token := p.remaining[:n]
	p.remaining = p.remaining[n:]
	return token, n > 0
}

// param parses a parameter, which may have a value.
func (p *parser) param() (key, value string, given, ok bool) {
	if key, ok = p.token(); !ok || !p.skip('=') {
		return key, "", false, ok
	}
	if strings.HasPrefix(p.remaining, `"`) {
		value, ok = p.quoted()
	} else {
		value, ok = p.token()
	}
	return key, value, true, ok
}

// quoted parses a quoted string. Its content must be a token.
func (p *parser) quoted() (string, bool) {
	var b strings.Builder
	for i := 1; i < len(p.remaining); i++ {
		c := p.remaining[i]
		if c == '"' {
			p.remaining = p.remaining[i+1:]
			return b.String(), b.Len() > 0
		}
		if c == '\\' {
			if i++; i == len(p.remaining) {
				break
			}
			c = p.remaining[i]
		}
		if !handshake.IsTokenByte(c) {
			break
		}
		b.WriteByte(c)
	}
	return "", false
}
