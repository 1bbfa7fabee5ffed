package server

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/coder/websocket"

	"example.com/wsecho/internal/transport"
)

// accept answers the handshake, RFC 6455, section 4.2.2.
func (s *Server) accept(w http.ResponseWriter, r *http.Request, start time.Time) (*Conn, *refusal) {
	c := &Conn{
		srv:    s,
		remote: r.RemoteAddr,
		host:   r.Host,
		uri:    r.RequestURI,
	}
	options := websocket.AcceptOptions{
		InsecureSkipVerify: true, // allowed has looked at the origin
		Subprotocols:       s.opts.Subprotocols,
		CompressionMode:    websocket.CompressionDisabled, // it is the transport's
	}
	c.msg.c = c
	c.beat, _ = s.opts.monitor() // New has tried it
	if s.opts.Keep != nil {
		c.kept = s.opts.Keep(r)
	}
	if !canHijack(w) { // or the answer would be 101, and then an error's text
		return nil, refuse(http.StatusNotImplemented, "the connection cannot be taken over for a WebSocket")
	}
	extensions, deflate, err := negotiate(r.Header.Values("Sec-WebSocket-Extensions"), s.opts.Compression)
	if err != nil {
		return nil, refuse(http.StatusBadRequest, "%w", err)
	}
	h := &hijack{ResponseWriter: w, c: c, extensions: extensions, deflate: deflate, rests: s.opts.Stateless && owned(r) == s}
	if s.opts.HandshakeTimeout > 0 {
		h.by = start.Add(s.opts.HandshakeTimeout)
	}
	ws, err := websocket.Accept(h, r, &options)
	if err != nil {
		if h.tr != nil {
			h.tr.Abort()
			h.tr.Hangup()
		}
		return nil, h.refusal(err)
	}
	// What coder put between, to give back what net/http had read, is not needed:
	// the transport has it.
	h.br.Reset(h.tr)
	limit := s.opts.ReadLimit
	if limit < 0 {
		limit = -1
	}
	ws.SetReadLimit(limit)
	c.ws, c.tr = ws, h.tr
	c.rests = h.rests && h.tr.CanRest()
	c.subprotocol = ws.Subprotocol()
	if c.beat != nil {
		c.beat.Use(c.tr)
	}
	return c, nil
}

// A hijack gives coder the transport in place of the socket, and keeps coder's
// own words for a bad handshake from the client until they are a refusal.
type hijack struct {
	http.ResponseWriter
	c          *Conn
	extensions string // the answer to those that were offered; "": none
	deflate    *transport.Deflate
	by         time.Time // when the answer must have been written; zero: any time
	tr         *transport.Conn
	br         *bufio.Reader
	status     int
	taken      bool // the connection is no longer net/http's
	rests      bool // it may rest, if it can
}

// canHijack reports whether a connection can be taken from w.
func canHijack(w http.ResponseWriter) bool {
	for {
		switch t := w.(type) {
		case http.Hijacker:
			return true
		case interface{ Unwrap() http.ResponseWriter }:
			w = t.Unwrap()
		default:
			return false
		}
	}
}

func (h *hijack) WriteHeader(status int) { h.status = status }

func (h *hijack) Write(p []byte) (int, error) { return len(p), nil }

func (h *hijack) refusal(err error) *refusal {
	status := h.status
	if h.taken {
		return refuse(0, "%w", err)
	}
	if status == 0 || status == http.StatusSwitchingProtocols {
		status = http.StatusInternalServerError
	}
	text := err.Error()
	if inner := errors.Unwrap(err); inner != nil {
		text = inner.Error()
	}
	return refuse(status, "%s", text)
}

// coder reads a frame's header through the bufio.Reader and its payload past it,
// so it needs to be no larger than a header.
const headerBuffer = 16

func (h *hijack) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	sock, rw, err := http.NewResponseController(h.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	h.taken = true
	// The answer is written here and not by net/http, which would go on reading
	// while it does, and keep to itself if the client is gone; nor would it say
	// that the answer could not be written.
	if h.extensions != "" {
		h.Header().Set("Sec-WebSocket-Extensions", h.extensions)
	}
	var answer bytes.Buffer
	answer.WriteString("HTTP/1.1 101 Switching Protocols\r\n")
	_ = h.Header().Write(&answer) // a bytes.Buffer takes all
	answer.WriteString("\r\n")
	err = sock.SetDeadline(h.by)
	if err == nil {
		_, err = sock.Write(answer.Bytes())
	}
	if err == nil {
		err = sock.SetDeadline(time.Time{})
	}
	if err != nil {
		sock.Close()
		return nil, nil, fmt.Errorf("answering the handshake: %w", err)
	}
	c := h.c
	first, _ := rw.Reader.Peek(rw.Reader.Buffered())
	s := c.srv
	var after time.Duration
	if h.rests {
		after = s.restAfter
	}
	h.tr = transport.New(sock, bytes.Clone(first), transport.Options{
		Read:           s.read,
		Write:          s.write,
		ReadLimit:      s.opts.ReadLimit,
		Deflate:        h.deflate,
		MessageTimeout: within(s.opts.MessageTimeout),
		WriteTimeout:   within(s.opts.WriteTimeout),
		Hold:           s.opts.HoldReplies,
		RestAfter:      after,
		OnPing:         c.onPing,
		OnPong:         c.onPong,
	})
	h.br = bufio.NewReaderSize(h.tr, headerBuffer)
	return h.tr, bufio.NewReadWriter(h.br, bufio.NewWriterSize(h.tr, headerBuffer)), nil
}
