package server

import (
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/coder/websocket"

	"example.com/wsecho/internal/deflate"
)

// accept answers the handshake (RFC 6455, section 4.2.2). It checks the host and the
// origin. coder/websocket checks the other fields over a hijack.
func (s *Server) accept(w http.ResponseWriter, r *http.Request, start time.Time) (*Conn, *refusal) {
	if f := s.checkHost(r.Host); f != nil {
		return nil, f
	}
	normal, f := s.checkOrigin(r)
	if f != nil {
		return nil, f
	}
	if !canHijack(w) { // else coder would answer 101, followed by the text of an error
		return nil, cannotHijack(w, r)
	}
	extensions, params, err := deflate.Negotiate(r.Header.Values("Sec-WebSocket-Extensions"), s.opts.Compression)
	if err != nil {
		return nil, refuse(RefusedHandshake, http.StatusBadRequest, "%w", err)
	}
	h := &hijack{
		ResponseWriter: w,
		r:              r,
		parks:          s.opts.ParkAfter > 0 && s.serves(r),
		c:              s.newConn(r),
		extensions:     extensions,
		deflate:        params,
	}
	if s.opts.HandshakeTimeout > 0 {
		h.by = start.Add(s.opts.HandshakeTimeout)
	}
	ws, err := websocket.Accept(h, normal, &websocket.AcceptOptions{
		OriginPatterns:     s.patternsFor(r.Host),
		InsecureSkipVerify: s.opts.AllowAnyOrigin || s.opts.CheckOrigin != nil,
		Subprotocols:       s.subprotocols(r),
		CompressionMode:    websocket.CompressionDisabled, // the transport compresses
	})
	if err != nil {
		return nil, h.refusal(err)
	}
	// coder has put the input that net/http read before the transport. The transport
	// has that input too.
	h.br.Reset(h.tr)
	ws.SetReadLimit(max(-1, s.opts.ReadLimit))
	c := h.c
	c.ws, c.tr = ws, h.tr
	c.canPark = h.parks && h.tr.CanPark()
	c.subprotocol = ws.Subprotocol() // a copy, made in Hijack
	if m := c.heartbeat.Load(); m != nil {
		m.Use(c.tr)
	}
	return c, nil
}

// checkOrigin refuses the origins that Options.CheckOrigin refuses, and bad ones that
// coder would accept. It returns the request for coder's check, with its Host and its
// Origin (RFC 6454, section 7) normalised.
func (s *Server) checkOrigin(r *http.Request) (*http.Request, *refusal) {
	origins := r.Header["Origin"]
	if len(origins) > 1 {
		return nil, refuse(RefusedOrigin, http.StatusForbidden, "the request has more than one Origin header")
	}
	switch {
	case s.opts.CheckOrigin != nil:
		if !s.opts.CheckOrigin(r) {
			return nil, s.refuseOrigin(r)
		}
		return r, nil
	case s.opts.AllowAnyOrigin, len(origins) == 0:
		return r, nil
	}
	u, ok := parseOrigin(origins[0])
	if !ok { // such as "null", which coder matches with patterns
		return nil, s.refuseOrigin(r)
	}
	normal := *r
	normal.Host = "/" // the host of no origin, so only a pattern can allow it
	if u.Scheme == "https" || u.Scheme == "http" && Scheme(r) == "http" {
		normal.Host = normalHost(u.Scheme, r.Host)
	}
	normal.Header = maps.Clone(r.Header)
	normal.Header["Origin"] = []string{(&url.URL{Scheme: u.Scheme, Host: normalHost(u.Scheme, u.Host)}).String()}
	return &normal, nil
}

// parseOrigin parses an origin, which is a scheme, a host and a port (RFC 6454, section
// 6.2). It has no user information, path, query or fragment. Its host is empty only if
// isHostless allows that: coder accepts an empty host that equals an empty Host.
func parseOrigin(origin string) (u *url.URL, ok bool) {
	u, err := url.Parse(origin)
	if err != nil || !strings.EqualFold(origin, u.Scheme+"://"+u.Host) {
		return u, false
	}
	return u, hasHost(u.Host) || isHostless(u.Scheme+"://"+normalHost(u.Scheme, u.Host))
}

// hasHost reports whether a host and port has a host. The dots of the root are none.
func hasHost(hostport string) bool {
	host, _ := splitPort(hostport)
	return strings.Trim(host, ".") != ""
}

// refuseOrigin returns the refusal of the request's origin.
func (s *Server) refuseOrigin(r *http.Request) *refusal {
	origin := r.Header.Get("Origin")
	who := fmt.Sprintf("origin %q", origin)
	if len(r.Header["Origin"]) == 0 {
		who = "a request without an Origin header"
	}
	u, ok := parseOrigin(origin)
	var remedy string
	switch {
	case s.opts.CheckOrigin != nil:
		remedy = "CheckOrigin refused it"
	case !ok && u != nil && hasHost(u.Host):
		remedy = "an origin has a scheme, a host and a port, and nothing else"
	case !ok:
		remedy = "only AllowAnyOrigin (--any-origin) allows an origin without a host"
	case !hasHost(u.Host):
		remedy = "OriginPatterns (" + flagFor("--origin", origin) + ") can allow it"
	default:
		remedy = "OriginPatterns (" + flagFor("--origin", u.Host) + ") can allow it"
	}
	f := refuse(RefusedOrigin, http.StatusForbidden, "%s may not connect to host %q; %s", who, r.Host, remedy)
	f.warningKind, _, _ = strings.Cut(remedy, " (") // without the origin
	return f
}

// normalHost normalises a host and port for coder's check. The result is in lower case,
// without a trailing dot and without the default port of the scheme.
func normalHost(scheme, hostport string) string {
	host, port := splitPort(strings.ToLower(hostport))
	if port == defaultPorts[strings.ToLower(scheme)] {
		port = ""
	}
	if literal, ok := ipv6(host); ok {
		host = literal
	}
	return strings.TrimSuffix(host, ".") + port
}

// splitPort splits off the port with its colon, "" if there is none.
func splitPort(hostport string) (host, port string) {
	if i := strings.LastIndexByte(hostport, ':'); i > strings.LastIndexByte(hostport, ']') {
		return hostport[:i], hostport[i:]
	}
	return hostport, ""
}

var defaultPorts = map[string]string{"http": ":80", "ws": ":80", "https": ":443", "wss": ":443"}

// ipv6 returns the shortest form of an IPv6 address in brackets.
func ipv6(host string) (string, bool) {
	inner, ok := strings.CutPrefix(host, "[")
	if !ok || !strings.HasSuffix(inner, "]") {
		return "", false
	}
	addr, err := netip.ParseAddr(strings.TrimSuffix(inner, "]"))
	return "[" + addr.String() + "]", err == nil && addr.Is6()
}

// newConn returns the connection of a request, before its handshake.
func (s *Server) newConn(r *http.Request) *Conn {
	c := &Conn{srv: s, remote: cloneLogged(r.RemoteAddr), host: cloneLogged(r.Host), uri: cloneLogged(r.RequestURI), request: s.newRequestLog(r)}
	c.msg.c, c.msg.release = c, noRelease
	m, _ := s.opts.monitor() // New has checked the options
	c.heartbeat.Store(m)
	return c
}

// admit asks Options.Admit for the value of the connection.
func (c *Conn) admit(r *http.Request) *refusal {
	if c.srv.opts.Admit == nil {
		return nil
	}
	value, err := c.srv.opts.Admit(r)
	if err != nil {
		return refuseAdmit(RefusedByAdmit, err, "Admit")
	}
	c.value = value
	return nil
}

// refuseAdmit returns the refusal for an error of a function of the Options.
func refuseAdmit(why Refusal, err error, warningKind string) *refusal {
	f := &refusal{why: why, status: http.StatusForbidden, reason: err, warningKind: warningKind}
	var known *AdmitError
	if errorAs(err, &known) && known.Status >= 200 && known.Status <= 599 {
		f.status, f.header = known.Status, known.Header
	}
	return f
}
