package server

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"reflect"
	"strings"
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
	hijacked   bool     // net/http has passed on the connection
	denied     *refusal // by Options.Admit or PerConn, or because of the ResponseWriter
	parks      bool     // Options.ParkAfter applies, if the transport can
}

// canHijack reports whether w, or a writer that it wraps, has a method Hijack. That may
// still fail.
func canHijack(w http.ResponseWriter) bool { return hijackerOf(w) != nil }

// hijackerOf returns the writer whose Hijack an [http.ResponseController] calls, nil if
// there is none.
func hijackerOf(w http.ResponseWriter) http.Hijacker {
	for {
		switch t := w.(type) {
		case http.Hijacker:
			return t
		case interface{ Unwrap() http.ResponseWriter }:
			w = t.Unwrap()
		default:
			return nil
		}
	}
}

// hijackFailed returns the refusal for a ResponseWriter whose Hijack has returned err. One
// that wraps another without Hijack has nothing to hijack.
func hijackFailed(w http.ResponseWriter, r *http.Request, err error) *refusal {
	if r.ProtoMajor >= 2 {
		return cannotHijack(w, r)
	}
	return refuse(RefusedHijack, http.StatusNotImplemented, "the handler cannot hijack the connection, because the method Hijack of the ResponseWriter %T failed: %w; "+
		"it has probably wrapped one without that method, such as that of http.TimeoutHandler", hijackerOf(w), err)
}

// cannotHijack returns the refusal for a ResponseWriter without Hijack.
func cannotHijack(w http.ResponseWriter, r *http.Request) *refusal {
	if r.ProtoMajor >= 2 {
		return refuse(RefusedHTTP2, http.StatusNotImplemented, "WebSocket over HTTP/2 is not served; connect with HTTP/1.1")
	}
	return refuse(RefusedHijack, http.StatusNotImplemented, "the handler cannot hijack the connection, because the ResponseWriter %T has no method Hijack; "+
		"a middleware without the method Unwrap, or http.TimeoutHandler, has wrapped that of the HTTP server", innermost(w))
}

// innermost returns the writer that the Unwrap methods lead to.
func innermost(w http.ResponseWriter) http.ResponseWriter {
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
	if h.hijacked {
		return refuse(RefusedClientGone, 0, "%w", err)
	}
	for _, name := range []string{"Upgrade", "Connection", "Sec-WebSocket-Accept", "Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions"} {
		h.Header().Del(name) // coder and Hijack have set them
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
	f := refuse(RefusedHandshake, h.status, "%s", text)
	f.warningKind, _, _ = strings.Cut(text, `"`) // coder quotes what the client has sent
	return f
}

// withoutBody removes the fields that describe a body, which middleware may have set. A
// client would wait for that body (RFC 9112, section 6.3).
func withoutBody(h http.Header) {
	for name := range h {
		if name == "Content-Length" || name == "Transfer-Encoding" || name == "Trailer" || strings.HasPrefix(name, http.TrailerPrefix) {
			delete(h, name)
		}
	}
}

// callWriteHeader calls WriteHeader(101) of middleware. The middleware may log the status
// and set headers such as a session's cookie. Most middleware passes the call on to
// net/http, which then writes the answer in Hijack. gin does not. callWriteHeader reports
// whether net/http has the answer.
//
// Without middleware, and under another HTTP server than net/http's, callWriteHeader does
// nothing. There is no other way to find out whether net/http has the answer than its own
// field. If that is renamed, middleware does not see the 101, and TestMiddlewareSees
// fails.
func (h *hijack) callWriteHeader(rc *http.ResponseController) (answered bool) {
	if _, wrapped := h.ResponseWriter.(interface{ Unwrap() http.ResponseWriter }); !wrapped {
		return false
	}
	bottom := reflect.ValueOf(innermost(h.ResponseWriter))
	if bottom.Type().String() != "*http.response" {
		return false
	}
	wrote := bottom.Elem().FieldByName("wroteHeader")
	if !wrote.IsValid() || wrote.Kind() != reflect.Bool {
		return false
	}
	if !h.by.IsZero() {
		_ = rc.SetWriteDeadline(h.by) // Hijack removes it
	}
	h.ResponseWriter.WriteHeader(http.StatusSwitchingProtocols)
	return wrote.Bool()
}

// answer writes the answer. net/http writes it only for middleware, because it does not
// report a failed write or a disconnected client.
func (h *hijack) answer(sock net.Conn, header http.Header) error {
	var b bytes.Buffer
	b.WriteString("HTTP/1.1 101 Switching Protocols\r\n")
	_ = header.Write(&b) // a bytes.Buffer never fails
	b.WriteString("\r\n")
	if err := sock.SetDeadline(h.by); err != nil {
		return err
	}
	if _, err := sock.Write(b.Bytes()); err != nil {
		return err
	}
	return sock.SetDeadline(time.Time{})
}

// headerBuffer is the size of coder's bufio.Reader. coder reads a frame's header through
// that Reader, and the payload without it.
const headerBuffer = 16

// Hijack returns the transport. coder calls it if the handshake is right and its origin is
// allowed.
func (h *hijack) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	if h.denied = h.c.admit(h.r); h.denied != nil {
		return nil, nil, h.denied.reason
	}
	if h.denied = h.c.perConn(h.r); h.denied != nil {
		return nil, nil, h.denied.reason
	}
	connOptions := h.c.connOptions
	header := h.Header()
	if h.extensions != "" {
		header.Set("Sec-WebSocket-Extensions", h.extensions)
	}
	// A clone, so that the Conn does not keep the whole header in memory.
	protocol := strings.Clone(header.Get("Sec-WebSocket-Protocol"))
	if connOptions != nil && connOptions.Header != nil {
		connOptions.Header(header)
	}
	handshake.Spell(header)
	withoutBody(header)
	rc := http.NewResponseController(h.ResponseWriter)
	answered := h.callWriteHeader(rc)
	sock, rw, err := rc.Hijack()
	h.hijacked = err == nil || answered
	if err != nil {
		h.denied = hijackFailed(h.ResponseWriter, h.r, err)
		return nil, nil, err
	}
	sock = listener.Unwrap(sock)
	defer func(sock net.Conn) {
		if h.tr != nil {
			return
		}
		// An error, or a panic of ConnOptions.Wrap. Net/http has passed on the socket. A
		// close_notify could wait for the peer. After a lost answer it has a wrong number.
		if t, ok := sock.(*tls.Conn); ok {
			sock = t.NetConn()
		}
		_ = sock.Close()
	}(sock)
	if answered {
		if !h.by.IsZero() && !time.Now().Before(h.by) {
			err = os.ErrDeadlineExceeded // net/http does not report it
		}
	} else {
		withoutBody(header) // a middleware may have changed it
		err = h.answer(sock, header)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("answering the handshake: %w", err)
	}
	if protocol != "" {
		header.Set("Sec-WebSocket-Protocol", protocol) // for coder
	}
	c := h.c
	first, _ := rw.Reader.Peek(rw.Reader.Buffered())
	s := c.srv
	o := transport.Options{
		Read:           s.readPool,
		Write:          s.writePool,
		ReadLimit:      s.opts.ReadLimit,
		Deflate:        h.deflate,
		MessageTimeout: offAsZero(s.opts.MessageTimeout),
		WriteTimeout:   offAsZero(s.opts.WriteTimeout),
		MinWriteRate:   max(0, s.opts.MinWriteRate),
		Flusher:        &s.flusher,
		ServeReady:     h.parks,
		OnClose:        c.onPeerClose,
		OnPing:         c.onPing,
		OnPong:         c.onPong,
	}
	first = bytes.Clone(first)
	if connOptions != nil {
		h.parks = false
		sock, first = c.apply(&o, sock, first)
	}
	h.tr = transport.New(sock, first, o)
	h.br = bufio.NewReaderSize(h.tr, headerBuffer)
	return h.tr, bufio.NewReadWriter(h.br, bufio.NewWriterSize(h.tr, headerBuffer)), nil
}
