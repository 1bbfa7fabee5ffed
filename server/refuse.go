package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"strconv"
	"strings"

	"example.com/wsecho/internal/handshake"
	"example.com/wsecho/internal/listener"
)

// A refusal is the answer to a request that does not become a connection.
type refusal struct {
	status      int // 0: no answer can be written
	reason      error
	retry       bool        // the client may try again soon
	header      http.Header // of the answer; nil: none of its own
	warningKind string      // limits the warnings; the format of the reason, without the text of the client
	why         Refusal
}

func refuse(why Refusal, status int, format string, args ...any) *refusal {
	return &refusal{why: why, status: status, reason: fmt.Errorf(format, args...), warningKind: format}
}

// busy is a refusal for lack of a free slot.
func busy(why Refusal, reason string) *refusal {
	return &refusal{why: why, status: http.StatusServiceUnavailable, reason: errors.New(reason), retry: true, warningKind: reason}
}

// An AdmitError is an error of Options.Admit or PerConn that chooses the answer.
type AdmitError struct {
	Status int         // from 200 to 599; any other is 403
	Header http.Header // fields of the answer, such as WWW-Authenticate for 401; may be nil
	Err    error       // the reason; its text is the body of the answer. Nil: that of Status
}

// Error returns the text of Err.
func (e *AdmitError) Error() string {
	if e.Err == nil {
		return http.StatusText(e.Status)
	}
	return e.Err.Error()
}

// Unwrap returns Err.
func (e *AdmitError) Unwrap() error { return e.Err }

// refuse reports the refusal and writes it as the response. Every refusal of this package
// passes through it.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, f *refusal) {
	yield()
	s.reportRefusal(r, f)
	h := w.Header()
	switch f.status {
	case 0:
		return
	case http.StatusUpgradeRequired: // RFC 9110, section 15.5.22
		if r.ProtoMajor < 2 { // else Upgrade is a protocol error (RFC 9113, section 8.2.2)
			h.Set("Upgrade", "websocket")
			h.Set("Connection", "Upgrade")
		}
		h.Set("Sec-WebSocket-Version", "13")
	case http.StatusMethodNotAllowed:
		h.Set("Allow", "GET, HEAD")
		if isUpgrade(r) {
			h.Set("Allow", http.MethodGet)
		}
	}
	maps.Copy(h, f.header)
	// Some proxies tunnel after a request with Upgrade, whatever the status is. They would
	// send the next client's request as data of this one.
	if r.Header["Upgrade"] != nil || hasBody(r) {
		closeAfter(w, r)
	}
	if f.retry {
		h.Set("Retry-After", "1")
	}
	handshake.Spell(h)
	s.opts.Error(w, r, f.status, f.reason)
}

// reportRefusal logs a refusal and passes it to the Observer and to Options.OnRefuse. The
// line is at level warn if the request was meant as a handshake and is answered.
func (s *Server) reportRefusal(r *http.Request, f *refusal) {
	attrs := []slog.Attr{slog.String("remote", logged(r.RemoteAddr)), slog.Int("status", f.status), slog.String("reason", logged(errorText(f.reason)))}
	attrs = s.newRequestLog(r).attrs(attrs, "")
	if f.status != 0 && isHandshake(r) {
		kind := f.warningKind
		if f.why != RefusedPerConn { // whose status a client may choose
			kind = strconv.Itoa(f.status) + " " + kind
		}
		s.warnings.warn(kind, "refused", attrs...)
	} else {
		s.log.LogAttrs(context.Background(), slog.LevelDebug, "refused", attrs...)
	}
	s.observeRefused(r, f.why)
	if s.opts.OnRefuse != nil {
		s.opts.OnRefuse(r, f.status, f.reason)
	}
}

// isHandshake reports whether r was meant as a handshake, though a proxy may have removed
// a part of it.
func isHandshake(r *http.Request) bool {
	return isUpgrade(r) || r.Header["Sec-Websocket-Key"] != nil || r.Header["Sec-Websocket-Version"] != nil
}

// flagFor returns the flag that would allow a host, or an origin such as file://, that a
// client has sent. It omits a value that a shell or the flag could read differently.
func flagFor(flag, host string) string {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-:[]/_+"
	if host == "" || strings.Trim(host, letters) != "" {
		return flag
	}
	return flag + "=" + host
}

// reportMistake logs a request that net/http answers.
func (s *Server) reportMistake(remote net.Addr, m listener.Mistake) {
	s.observeRefused(nil, refusalOf(m))
	status, reason := http.StatusBadRequest, ""
	switch m {
	case listener.TLS:
		reason = "the client began a TLS handshake, and this port has no TLS; the client may need ws:// in place of wss://"
	case listener.PROXY:
		reason = "a proxy sent the header of the PROXY protocol, which is not accepted from this address; switch it off at the proxy, " +
			"or accept it with --proxy-protocol and --trusted-proxy"
	case listener.Plain:
		reason = "the client sent a request without TLS, and this port has TLS; the client may need wss:// in place of ws://"
	case listener.LargeHeader:
		status = http.StatusRequestHeaderFieldsTooLarge
		reason = fmt.Sprintf("the request has more than %d KiB of headers; does the client have many cookies for this host?", (maxHeaderBytes+4<<10)>>10)
	}
	s.warnings.warn(reason, "refused", slog.String("remote", remote.String()), slog.Int("status", status), slog.String("reason", reason))
}

// reportBadHeader logs a connection that net/http refuses with 400, or TLS without an answer.
func (s *Server) reportBadHeader(remote net.Addr, reason error) {
	s.observeRefused(nil, RefusedProxyHeader)
	s.warnings.warn("header", "refused", slog.String("remote", remote.String()), slog.Int("status", http.StatusBadRequest), slog.String("reason", logged(reason.Error())))
}
