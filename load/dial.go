package load

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha1"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"example.com/wsecho/internal/client"
)

// An opened connection has done its handshake.
type opened struct {
	net.Conn
	early    []byte // came behind the handshake
	takeover bool   // the server's compressed messages refer to those before
}

// open connects to u, at addr, and does the opening handshake. The errors are faults.
func open(ctx context.Context, p *Plan, u *url.URL, addr string) (*opened, error) {
	ctx, cancel := context.WithTimeout(ctx, p.Timeout)
	defer cancel()
	tcp, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, late(err, p, cannotConnect)
	}
	o := &opened{Conn: tcp}
	if u.Scheme == "wss" {
		config := p.TLS.Clone()
		if config == nil {
			config = new(tls.Config)
		}
		if config.ServerName == "" {
			config.ServerName = u.Hostname()
		}
		config.NextProtos = []string{"http/1.1"}
		secure := tls.Client(tcp, config)
		if err := secure.HandshakeContext(ctx); err != nil {
			tcp.Close()
			return nil, late(err, p, badTLS)
		}
		o.Conn = secure
	}
	// The deadline covers the handshake alone, and a context that is over ends it.
	deadline, _ := ctx.Deadline()
	_ = tcp.SetDeadline(deadline)
	stop := context.AfterFunc(ctx, func() { _ = tcp.SetDeadline(time.Unix(1, 0)) })
	err = o.handshake(p, u)
	if !stop() && err == nil {
		err = faultf(noWebSocket, "no answer to the handshake in %v", p.Timeout)
	}
	if err != nil {
		tcp.Close()
		return nil, late(err, p, noWebSocket)
	}
	_ = tcp.SetDeadline(time.Time{})
	return o, nil
}

// late is the fault for err, where what would be the matter.
func late(err error, p *Plan, what string) error {
	var f fault
	var timeout net.Error
	switch {
	case errors.As(err, &f):
		return f
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded),
		errors.As(err, &timeout) && timeout.Timeout():
		return faultf(what, "no answer in %v", p.Timeout)
	case what == badTLS && !errors.Is(err, io.EOF):
		return fault{what, client.Plain(err.Error())} // the reason alone would not say what it is about
	}
	switch f = faultOf(err); f.what {
	case ended:
		return fault{what, "it ended the connection"}
	case reset:
		return fault{what, "it reset the connection"}
	}
	return fault{what, f.detail}
}

// handshake is RFC 6455, section 4.1.
func (o *opened) handshake(p *Plan, u *url.URL) error {
	r := client.Request(u, p.Header, "wsecho-bench", p.Subprotocols)
	if p.Compression {
		r.Header.Set("Sec-WebSocket-Extensions", "permessage-deflate; client_no_context_takeover; server_no_context_takeover")
	}
	if err := r.Write(o.Conn); err != nil {
		return err
	}
	head, err := o.readHead()
	if err != nil {
		return err
	}
	body := io.MultiReader(bytes.NewReader(o.early), o.Conn)
	answer, err := http.ReadResponse(bufio.NewReader(io.MultiReader(bytes.NewReader(head), body)), r)
	if err != nil {
		return faultf(noWebSocket, "the answer is not HTTP: %s", client.Quoted(head))
	}
	return o.judge(p, answer, r.Header.Get("Sec-WebSocket-Key"))
}

// readHead reads an HTTP answer up to its empty line, and leaves in early what has
// come behind that.
func (o *opened) readHead() ([]byte, error) {
	const most = 64 << 10
	var head []byte
	for {
		b := make([]byte, 4<<10)
		n, err := o.Read(b)
		from := max(len(head)-3, 0)
		head = append(head, b[:n]...)
		if i := bytes.Index(head[from:], []byte("\r\n\r\n")); i >= 0 {
			end := from + i + 4
			o.early = head[end:]
			return head[:end:end], nil
		}
		switch {
		case err != nil && len(head) > 0 && errors.Is(err, io.EOF):
			return nil, faultf(noWebSocket, "the answer is not HTTP: %s", client.Quoted(head))
		case err != nil:
			return nil, err
		case len(head) > most:
			return nil, faultf(noWebSocket, "the header of the answer is over %d bytes", most)
		}
	}
}

// judge says what is wrong with the answer to the handshake.
func (o *opened) judge(p *Plan, answer *http.Response, key string) error {
	h := answer.Header
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	chosen := h.Values("Sec-WebSocket-Protocol")
	switch {
	case answer.StatusCode != http.StatusSwitchingProtocols:
		detail := "the answer is " + client.Plain(answer.Status)
		if to := h.Get("Location"); to != "" {
			detail += ", to " + client.Quoted([]byte(to))
		}
		b := make([]byte, 200)
		_ = o.SetReadDeadline(time.Now().Add(time.Second)) // what it says is not worth more
		n, _ := io.ReadFull(answer.Body, b)
		if line, _, _ := bytes.Cut(bytes.TrimSpace(b[:n]), []byte("\n")); len(line) > 0 {
			detail += ": " + client.Quoted(line)
		}
		return fault{noWebSocket, detail}
	case !strings.EqualFold(h.Get("Upgrade"), "websocket"):
		return faultf(noWebSocket, "the answer is 101 with Upgrade %s", client.Quoted([]byte(h.Get("Upgrade"))))
	case h.Get("Sec-WebSocket-Accept") != base64.StdEncoding.EncodeToString(sum[:]):
		return fault{noWebSocket, "Sec-WebSocket-Accept does not go with the key"}
	case len(chosen) > 1, len(chosen) == 1 && !slices.Contains(p.Subprotocols, chosen[0]):
		return faultf(noWebSocket, "it chose the subprotocol %s, which was not offered", client.Quoted([]byte(strings.Join(chosen, ", "))))
	case len(chosen) == 0 && len(p.Subprotocols) > 0:
		return faultf(noWebSocket, "it chose no subprotocol of %s", strings.Join(p.Subprotocols, ", "))
	}
	var err error
	o.takeover, err = agreed(p, h.Values("Sec-WebSocket-Extensions"))
	return err
}
