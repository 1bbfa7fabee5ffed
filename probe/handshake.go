package probe

import (
	"bytes"
	"context"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"example.com/wsecho/internal/client"
)

const (
	maxHeader = 64 << 10 // of the answer, with those that come before it
	unlimited = math.MaxInt64
)

// handshake opens the WebSocket (RFC 6455, section 4.1).
func (p *probing) handshake(context.Context) error {
	r := client.Request(p.url, p.o.Header, "wsecho-probe", p.o.Subprotocols)
	if err := r.Write(p.conn); err != nil {
		return err
	}
	p.conn.in.N = maxHeader
	answer, err := p.conn.answer(r)
	if err != nil {
		return err
	}
	p.conn.in.N = unlimited
	p.report.Status = answer.StatusCode
	if answer.StatusCode != http.StatusSwitchingProtocols {
		return p.refused(answer)
	}
	if err := p.judge(answer, r.Header.Get("Sec-WebSocket-Key")); err != nil {
		return err
	}
	p.conn.open = true
	return nil
}

// answer reads the answer to r, and passes over those that announce it (RFC 9110,
// section 15.2).
func (c *conn) answer(r *http.Request) (*http.Response, error) {
	first, err := c.br.Peek(1) // whoever sends nothing at all does not send bad HTTP
	if err != nil {
		return nil, err
	}
	if first[0] != 'H' {
		first, _ = c.br.Peek(c.br.Buffered())
		return nil, faultf("the answer is not HTTP: %s", client.Quoted(first))
	}
	for {
		answer, err := http.ReadResponse(c.br, r)
		switch {
		case err != nil && c.in.N == 0:
			return nil, faultf("the header of the answer is over %d bytes", maxHeader)
		case errors.Is(err, io.ErrUnexpectedEOF):
			return nil, fault{"it ended the connection inside its answer", err}
		case errors.As(err, new(net.Error)): // of reading, and not of what was read
			return nil, err
		case err != nil:
			return nil, fault{"the answer is not HTTP: " + client.Quoted([]byte(err.Error())), err}
		case answer.StatusCode/100 != 1 || answer.StatusCode == http.StatusSwitchingProtocols:
			return answer, nil
		}
	}
}

// refused says what the answer is when it is not 101, with the first line of its
// body.
func (p *probing) refused(answer *http.Response) error {
	// In our words, for the server's may be meant for the terminal.
	detail := strings.TrimSpace(fmt.Sprintf("the answer is %d %s", answer.StatusCode, http.StatusText(answer.StatusCode)))
	if to := answer.Header.Get("Location"); to != "" {
		detail += ", to " + client.Quoted([]byte(to))
	}
	// What it says is not worth waiting for long. The verdict stands, so nothing
	// else needs the deadline.
	if until := time.Now().Add(time.Second); until.Before(p.deadline) {
		_ = p.conn.tcp.SetDeadline(until)
	}
	b := make([]byte, 200)
	n, _ := io.ReadFull(answer.Body, b)
	if line, _, _ := bytes.Cut(bytes.TrimSpace(b[:n]), []byte("\n")); len(line) > 0 {
		detail += ": " + client.Quoted(line)
	}
	return fault{detail, nil}
}

// judge says what is wrong with an answer that is 101.
func (p *probing) judge(answer *http.Response, key string) error {
	h := answer.Header
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	accept := h.Values("Sec-WebSocket-Accept")
	chosen := h.Values("Sec-WebSocket-Protocol")
	switch {
	case !answer.ProtoAtLeast(1, 1):
		return faultf("the answer is 101 in HTTP/%d.%d", answer.ProtoMajor, answer.ProtoMinor)
	case !strings.EqualFold(h.Get("Upgrade"), "websocket"):
		return faultf("the answer is 101 with Upgrade %s", client.Quoted([]byte(h.Get("Upgrade"))))
	case !hasToken(h.Values("Connection"), "upgrade"):
		return faultf("the answer is 101 without Connection: Upgrade")
	case len(accept) != 1 || accept[0] != base64.StdEncoding.EncodeToString(sum[:]):
		return faultf("Sec-WebSocket-Accept does not go with the key")
	case len(h.Values("Sec-WebSocket-Extensions")) > 0:
		return faultf("it chose the extension %s, which was not offered", client.Quoted([]byte(h.Get("Sec-WebSocket-Extensions"))))
	case len(chosen) > 1, len(chosen) == 1 && !slices.Contains(p.o.Subprotocols, chosen[0]):
		return faultf("it chose the subprotocol %s, which was not offered", client.Quoted([]byte(strings.Join(chosen, ", "))))
	case len(chosen) == 0 && len(p.o.Subprotocols) > 0:
		return faultf("it chose no subprotocol of %s", strings.Join(p.o.Subprotocols, ", "))
	case len(chosen) == 1:
		p.report.Subprotocol = chosen[0]
	}
	return nil
}

// hasToken reports whether a header of lists has the token.
func hasToken(values []string, token string) bool {
	for _, v := range values {
		for one := range strings.SplitSeq(v, ",") {
			if strings.EqualFold(strings.TrimSpace(one), token) {
				return true
			}
		}
	}
	return false
}
