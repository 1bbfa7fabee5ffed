package server

import (
	"context"
	"log/slog"
	"net/http"
	"strings"

	"example.com/wsecho/internal/handshake"
)

// maxLoggedHeader is the maximum size of a request header's value in the log, in bytes.
const maxLoggedHeader = 64

// maxLoggedSubject is the maximum size of a certificate's subject in the log, in bytes.
const maxLoggedSubject = 128

// A requestLog has the optional fields of a request. They are logged if the client or a
// trusted proxy sent them. Its strings are escaped and truncated.
type requestLog struct {
	subprotocols  string // that the client requested
	id            string // value of the header that Options.LogHeader names
	certificate   string // subject of the client's certificate, if TLS has verified it
	forwardedInfo        // strings of this process
}

// newRequestLog returns nil if the request has none of these fields.
func (s *Server) newRequestLog(r *http.Request) *requestLog {
	l := requestLog{
		subprotocols:  strings.Clone(truncate(strings.Join(requestedSubprotocols(r), ", "), maxLoggedHeader)),
		id:            strings.Clone(truncate(strings.Join(r.Header[s.opts.LogHeader], ", "), maxLoggedHeader)),
		certificate:   strings.Clone(truncate(certificateSubject(r), maxLoggedSubject)),
		forwardedInfo: forwardedOf(r),
	}
	if l == (requestLog{}) {
		return nil
	}
	return &l
}

// certificateSubject returns the subject of the client's certificate, or its first URI, as
// SPIFFE has, if the subject is empty. It returns "" for a certificate that TLS has not
// verified.
func certificateSubject(r *http.Request) string {
	if r.TLS == nil || len(r.TLS.VerifiedChains) == 0 {
		return ""
	}
	leaf := r.TLS.VerifiedChains[0][0]
	if subject := leaf.Subject.String(); subject != "" {
		return subject
	}
	if len(leaf.URIs) > 0 {
		return leaf.URIs[0].String()
	}
	return "(without a subject)"
}

// attrs appends the fields to attrs, beside the subprotocol that was chosen.
func (l *requestLog) attrs(attrs []slog.Attr, subprotocol string) []slog.Attr {
	if l == nil {
		return attrs
	}
	if l.subprotocols != "" {
		attrs = append(attrs, slog.String("subprotocol", logged(subprotocol)), slog.String("requested_subprotocols", l.subprotocols))
	}
	if l.id != "" {
		attrs = append(attrs, slog.String("request_id", l.id))
	}
	if l.certificate != "" {
		attrs = append(attrs, slog.String("certificate", l.certificate))
	}
	if l.proxy != "" {
		attrs = append(attrs, slog.String("proxy", l.proxy))
	}
	if l.scheme != "" {
		attrs = append(attrs, slog.String("scheme", l.scheme))
	}
	return attrs
}

// loggedURI returns Info.URI for a line of the log. Its query and user information may
// contain a secret.
func (s *Server) loggedURI(uri string) string {
	if !s.opts.LogQuery {
		path, _, query := strings.Cut(uri, "?")
		uri = path
		if scheme, rest, absolute := strings.Cut(path, "://"); absolute && !strings.HasPrefix(path, "/") {
			authority, _, whole := strings.Cut(rest, "/")
			if i := strings.LastIndexByte(authority, '@'); i >= 0 {
				uri = scheme + "://…" + rest[i:]
			} else if !whole && len(uri) > maxLogged { // the cut may have removed the @
				uri = scheme + "://…"
			}
		}
		if query {
			uri += "?…"
		}
	}
	return uri
}

// logBegin logs the line of a connection that has begun.
func (c *Conn) logBegin() {
	ctx := context.Background()
	if !c.srv.log.Enabled(ctx, slog.LevelDebug) {
		return
	}
	attrs := []slog.Attr{
		slog.Uint64("id", c.id),
		slog.String("remote", c.remote),
		slog.String("host", c.host),
		slog.String("uri", c.srv.loggedURI(c.uri)),
	}
	c.srv.log.LogAttrs(ctx, slog.LevelDebug, "began", c.request.attrs(attrs, c.subprotocol)...)
}

// anySubprotocol in Options.Subprotocols means all that the client requests.
const anySubprotocol = "*"

// subprotocols returns the subprotocols that can be chosen for r, in order of preference.
func (s *Server) subprotocols(r *http.Request) []string {
	var all []string
	for i, name := range s.opts.Subprotocols {
		if name == anySubprotocol {
			all = append(append(all, s.opts.Subprotocols[:i]...), requestedSubprotocols(r)...)
			return append(all, s.opts.Subprotocols[i+1:]...)
		}
	}
	return s.opts.Subprotocols
}

// requestedSubprotocols returns the subprotocols that the client requests, in its order
// of preference (RFC 6455, section 11.3.4). It omits a value that is not a token.
func requestedSubprotocols(r *http.Request) (names []string) {
	for _, v := range r.Header["Sec-Websocket-Protocol"] {
		for name := range strings.SplitSeq(v, ",") {
			if name = strings.TrimSpace(name); handshake.IsToken(name) {
				names = append(names, name)
			}
		}
	}
	return names
}

// warnSubprotocol warns of a client whose requested subprotocols are all unknown. The
// server may accept the handshake (RFC 6455), but browsers then close the connection.
func (c *Conn) warnSubprotocol() {
	if c.request == nil || c.request.subprotocols == "" || c.subprotocol != "" {
		return
	}
	first, _, _ := strings.Cut(c.request.subprotocols, ", ")
	reason := "the client requested subprotocols and gets none, so it may close the connection; Subprotocols (" +
		flagFor("--subprotocol", first) + ") can select one"
	attrs := c.request.attrs([]slog.Attr{slog.String("remote", logged(c.remote)), slog.String("reason", reason)}, "")
	c.srv.warnings.warn("subprotocol", "no subprotocol selected", attrs...)
}
