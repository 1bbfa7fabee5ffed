package server

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"example.com/wsecho/internal/deflate"
	"example.com/wsecho/internal/handshake"
	"example.com/wsecho/internal/listener"
	"example.com/wsecho/internal/transport"
)

// A hijack is the ResponseWriter for coder. It gives coder the transport instead of the
// socket. It keeps coder's answer to a bad handshake for the refusal.
type hijack struct {
	http.ResponseWriter
	r          *http.Request
	c          *Conn
	extensions string // of the answer; "": none
	deflate    *deflate.Params
	by         time.Time // the deadline of the answer; zero: none
	tr         *transport.Conn
	br         *bufio.Reader
	status     int
	taken      bool     // net/http has handed over the connection
	denied     *refusal // by Options.Admit
	parks      bool     // Options.ParkAfter applies, if the transport can
}

// canHijack reports whether w lets a handler take over the connection.
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

// cannotHijack returns the refusal for a ResponseWriter without Hijack.
func cannotHijack(w http.ResponseWriter, r *http.Request) *refusal {
	if r.ProtoMajor >= 2 {
		return refuse(http.StatusNotImplemented, "WebSocket over HTTP/2 is not served; connect with HTTP/1.1")
	}
	return refuse(http.StatusNotImplemented, "the handler cannot take over the connection, because the ResponseWriter %T has no method Hijack; "+
		"a middleware without the method Unwrap, or http.TimeoutHandler, has wrapped that of the HTTP server", lowest(w))
}

// lowest returns the writer that the Unwrap methods lead to.
func lowest(w http.ResponseWriter) http.ResponseWriter {
	for {
		u, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return w
		}
		w = u.Unwrap()
	}
}

func (h *hijack) WriteHeader(status int) { h.status = status }

func (h *hijack) Write(p []byte) (int, error) { return len(p), nil }

// refusal returns the refusal for an error of coder's Accept.
func (h *hijack) refusal(err error) *refusal {
	if h.tr != nil {
		h.tr.Abort()
		h.tr.Hangup()
	}
	if h.taken {
		return refuse(0, "%w", err)
	}
	for _, name := range []string{"Upgrade", "Connection", "Sec-WebSocket-Accept", "Sec-WebSocket-Protocol"} {
		h.Header().Del(name) // coder has set them
	}
	switch h.status {
	case http.StatusForbidden:
		return h.c.srv.refuseOrigin(h.r)
	case 0, http.StatusSwitchingProtocols:
		h.status = http.StatusInternalServerError
	}
	if h.denied != nil {
		return h.denied
	}
	text := err.Error()
	if inner := errors.Unwrap(err); inner != nil {
		text = inner.Error()
	}
	return refuse(h.status, "%s", text)
}

// headerBuffer is the size of coder's bufio.Reader. coder reads the header of a frame
// through it and the payload past it.
const headerBuffer = 16

// Hijack is called by coder when the handshake is right and its origin allowed.
func (h *hijack) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	if h.denied = h.c.admit(h.r); h.denied != nil {
		return nil, nil, h.denied.reason
	}
	sock, rw, err := http.NewResponseController(h.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	sock = listener.Unwrap(sock)
	h.taken = true
	// net/http must not write the answer. It would continue to read, and it would not
	// report a failed write or a disconnected client.
	if h.extensions != "" {
		h.Header().Set("Sec-WebSocket-Extensions", h.extensions)
	}
	header := h.Header().Clone() // coder reads the original
	handshake.Spell(header)
	var answer bytes.Buffer
	answer.WriteString("HTTP/1.1 101 Switching Protocols\r\n")
	_ = header.Write(&answer) // a bytes.Buffer never fails
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
	h.tr = transport.New(sock, bytes.Clone(first), transport.Options{
		Read:           s.read,
		Write:          s.write,
		ReadLimit:      s.opts.ReadLimit,
		Deflate:        h.deflate,
		MessageTimeout: within(s.opts.MessageTimeout),
		WriteTimeout:   within(s.opts.WriteTimeout),
		MinWriteRate:   max(0, s.opts.MinWriteRate),
		Flusher:        &s.flusher,
		ServeReady:     h.parks,
		OnClose:        c.onPeerClose,
		OnPing:         c.onPing,
		OnPong:         c.onPong,
	})
	h.br = bufio.NewReaderSize(h.tr, headerBuffer)
	return h.tr, bufio.NewReadWriter(h.br, bufio.NewWriterSize(h.tr, headerBuffer)), nil
}
