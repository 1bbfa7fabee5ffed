package server

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"example.com/wsecho/internal/listener"
)

// forwardedKey is the key of a request's *forwardedInfo.
type forwardedKey struct{}

// forwardedInfo is the part of a request that a trusted proxy has described.
type forwardedInfo struct {
	proxy  string // address of the proxy; "": the client has connected itself
	scheme string // that the client has used: http, https or "" for unknown
}

// forwardedOf returns the forwardedInfo of r. It is zero if no trusted proxy has sent r.
func forwardedOf(r *http.Request) forwardedInfo {
	if p, _ := r.Context().Value(forwardedKey{}).(*forwardedInfo); p != nil {
		return *p
	}
	return forwardedInfo{}
}

// Scheme returns "https" if the client of r has connected with TLS, and "http" otherwise.
// It uses the description of a trusted proxy if there is one. See Options.TrustedProxies.
// The functions of the Options, such as Admit and CheckOrigin, can call it for their
// request.
func Scheme(r *http.Request) string {
	if p := forwardedOf(r); p.scheme != "" {
		return p.scheme
	}
	if r.TLS != nil {
		return "https"
	}
	return "http"
}

// fromClient returns r as its client has sent it. If a trusted proxy has sent r, the
// RemoteAddr of the result is the client's.
func (s *Server) fromClient(r *http.Request) (*http.Request, *refusal) {
	var p forwardedInfo
	remote := r.RemoteAddr
	if a, ok := r.Context().Value(acceptedKey{}).(*accepted); ok {
		// The header of the PROXY protocol is read after net/http has set RemoteAddr.
		remote = a.conn.RemoteAddr().String()
		if socket := listener.Base(a.conn).RemoteAddr().String(); socket != remote {
			p.proxy = socket
		}
	}
	peer, _ := netip.ParseAddrPort(remote)
	// With a header of the PROXY protocol, its client has sent the fields, not the peer of the
	// unix socket.
	if s.isTrusted(peer.Addr()) || s.opts.TrustUnixSockets && isUnix(r) && p.proxy == "" {
		client, scheme, f := s.forwarded(r.Header, peer)
		if f != nil {
			return r, f
		}
		p.scheme = scheme
		if client != peer {
			if p.proxy == "" {
				p.proxy = remote
			}
			remote = client.String()
		}
	} else if (r.Header["X-Forwarded-For"] != nil || r.Header["Forwarded"] != nil) && isUpgrade(r) {
		s.untrustedOnce.Do(func() { s.logUntrusted(remote, peer.Addr()) })
	}
	if remote == r.RemoteAddr && p == (forwardedInfo{}) {
		return r, nil
	}
	r = r.WithContext(context.WithValue(r.Context(), forwardedKey{}, &p))
	r.RemoteAddr = remote
	return r, nil
}

// logUntrusted logs how to trust a proxy. It is called once, as any client can send the
// fields of a proxy.
func (s *Server) logUntrusted(remote string, addr netip.Addr) {
	flag := "--trusted-proxy=unix"
	if addr.IsValid() {
		flag = "--trusted-proxy=" + addr.Unmap().WithZone("").String()
	}
	s.log.Info("a proxy is not trusted", "remote", logged(remote),
		"reason", "the request names the client of a proxy; if it comes from your proxy, TrustedProxies ("+flag+") makes the server believe it")
}

// isUnix reports whether r has arrived through a unix socket.
func isUnix(r *http.Request) bool {
	local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	return ok && local.Network() == "unix"
}

// isTrusted reports whether addr is in Options.TrustedProxies.
func (s *Server) isTrusted(addr netip.Addr) bool {
	addr = addr.Unmap().WithZone("") // no Prefix contains an address with a zone
	for _, p := range s.trusted {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

// checkPrefixes returns an error for a prefix that contains no address. Its result
// contains IPv4 addresses instead of IPv6 addresses that stand for them.
func checkPrefixes(prefixes []netip.Prefix) (normal []netip.Prefix, err error) {
	for _, p := range prefixes {
		if !p.IsValid() {
			return nil, optionError("TrustedProxies", "%v is not a prefix; use netip.ParsePrefix", p)
		}
		if a := p.Addr(); a.Is4In6() && p.Bits() >= 96 {
			p = netip.PrefixFrom(a.Unmap(), p.Bits()-96)
		}
		normal = append(normal, p)
	}
	return normal, nil
}

// forwarded returns the client that the trusted peer names, and the scheme that this
// client has used. An unknown scheme is "". The client is the peer if it names none.
//
// A client can send each of these fields itself. A proxy passes on the ones that it does
// not set. So fields that disagree are refused. If one of them won, a client could choose
// its address or hide it.
func (s *Server) forwarded(h http.Header, peer netip.AddrPort) (netip.AddrPort, string, *refusal) {
	standard, other := h["Forwarded"], h["X-Forwarded-For"]
	client, hop := s.rightmost(peer, fromRight(other, lastEntry, func(entry string) node { return node{addr: parseNode(entry)} }))
	scheme := ""
	if protos := protocols(h["X-Forwarded-Proto"]); len(protos) > 0 {
		scheme = schemeOf(protos[min(max(0, hop.index-1), len(protos)-1)])
	}
	if len(standard) == 0 {
		return client, scheme, nil
	}
	client2, hop2 := s.rightmost(peer, fromRight(standard, lastElement, parseElement))
	if len(other) > 0 && client2.Addr() != client.Addr() {
		return peer, "", refuse(RefusedForwarded, http.StatusBadRequest, "the fields Forwarded and X-Forwarded-For name different clients; the proxy must remove the one that it does not set")
	}
	if hop2.proto != "" && scheme != "" && hop2.proto != scheme {
		return peer, "", refuse(RefusedForwarded, http.StatusBadRequest, "the fields Forwarded and X-Forwarded-Proto name different schemes; the proxy must remove the one that it does not set")
	}
	if hop2.proto != "" {
		scheme = hop2.proto
	}
	return client2, scheme, nil
}

// A node is one entry of Forwarded or X-Forwarded-For.
type node struct {
	addr  netip.AddrPort // invalid: the entry has none. Port 0: unknown
	proto string         // http, https or ""
	index int            // from the right, beginning with 1
}

// rightmost returns the right-most address that is not a trusted proxy's, and its entry.
// Each proxy appends the address that has connected to it. A client may have sent all
// entries to the left. An entry without an address ends the search, and the client is
// then the machine that has appended that entry.
func (s *Server) rightmost(peer netip.AddrPort, nodes func(yield func(node) bool)) (client netip.AddrPort, at node) {
	client = peer
	for n := range nodes {
		if at.index++; !n.addr.IsValid() {
			at.proto = n.proto
			break
		}
		client, at.proto = n.addr, n.proto
		if !s.isTrusted(client.Addr()) {
			break
		}
	}
	return client, at
}

// fromRight calls yield with each entry of a list, the last one first. Several fields are
// one list (RFC 9110, section 5.3), whose empty entries are ignored (section 5.6.1).
func fromRight(fields []string, cut func(string) (rest, entry string), parse func(entry string) node) func(yield func(node) bool) {
	return func(yield func(node) bool) {
		for i := len(fields) - 1; i >= 0; i-- {
			for rest := fields[i]; rest != ""; {
				var entry string
				rest, entry = cut(rest)
				if entry = strings.Trim(entry, " \t"); entry != "" && !yield(parse(entry)) {
					return
				}
			}
		}
	}
}

// lastEntry cuts off the last entry of X-Forwarded-For.
func lastEntry(list string) (rest, entry string) {
	i := strings.LastIndexByte(list, ',')
	return list[:max(0, i)], list[i+1:]
}

// lastElement cuts off the last element of Forwarded (RFC 7239, section 4). It reads from
// the right. So a quote that a client has left open cannot swallow what a proxy has
// appended.
func lastElement(list string) (rest, element string) {
	quoted := false
	for i := len(list) - 1; i >= 0; i-- {
		switch list[i] {
		case '"':
			if escapes := i - len(strings.TrimRight(list[:i], `\`)); !quoted || escapes%2 == 0 {
				quoted = !quoted
			}
		case ',':
			if !quoted {
				return list[:i], list[i+1:]
			}
		}
	}
	return "", list
}

// parseElement parses an element of Forwarded. The node of a malformed element is zero.
func parseElement(element string) (n node) {
	seen := map[string]bool{}
	for rest := element; rest != ""; {
		name, value, ok := strings.Cut(rest, "=")
		name = strings.ToLower(strings.Trim(name, " \t"))
		if !ok || name == "" || seen[name] || strings.ContainsAny(name, `",; `) {
			return node{}
		}
		seen[name] = true
		if value, rest, ok = cutValue(value); !ok {
			return node{}
		}
		switch name {
		case "for":
			n.addr = parseNode(value)
		case "proto":
			n.proto = schemeOf(value)
		}
	}
	return n
}

// cutValue returns the value at the begin of s, and the pairs behind its semicolon. The
// value is a token or a quoted string. A token may contain colons and brackets here, as
// many proxies do not quote an address.
func cutValue(s string) (value, rest string, ok bool) {
	if !strings.HasPrefix(s, `"`) {
		value, rest, _ = strings.Cut(s, ";")
		value = strings.Trim(value, " \t")
		return value, strings.Trim(rest, " \t"), value != "" && !strings.ContainsAny(value, "\" \t\\")
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch c := s[i]; c {
		case '\\':
			if i++; i == len(s) {
				return "", "", false
			}
			b.WriteByte(s[i])
		case '"':
			rest = strings.Trim(s[i+1:], " \t")
			if after, found := strings.CutPrefix(rest, ";"); found {
				return b.String(), strings.Trim(after, " \t"), true
			}
			return b.String(), "", rest == ""
		default:
			b.WriteByte(c)
		}
	}
	return "", "", false
}

// parseNode parses an IP address with or without a port (RFC 7239, section 6). The result
// is invalid for "unknown", for an obfuscated identifier and for a malformed address.
func parseNode(s string) (a netip.AddrPort) {
	host, port := s, ""
	if i := strings.LastIndexByte(s, ']'); i > 0 && s[0] == '[' {
		host, port = s[1:i], s[i+1:]
	} else if strings.Count(s, ":") == 1 {
		host, port = splitPort(s)
	}
	addr, err := netip.ParseAddr(host)
	if err != nil || addr.Zone() != "" || s[0] == '[' && !addr.Is6() {
		return a
	}
	addr = addr.Unmap()
	switch name, found := strings.CutPrefix(port, ":"); {
	case port == "", strings.HasPrefix(name, "_"): // none, or an obfuscated one
		return netip.AddrPortFrom(addr, 0)
	case found:
		if whole, err := netip.ParseAddrPort("0.0.0.0:" + name); err == nil {
			return netip.AddrPortFrom(addr, whole.Port())
		}
	}
	return a
}

// protocols returns the entries of X-Forwarded-Proto, the last one first.
func protocols(fields []string) (all []string) {
	for i := len(fields) - 1; i >= 0; i-- {
		for rest := fields[i]; rest != ""; {
			var entry string
			rest, entry = lastEntry(rest)
			if entry = strings.Trim(entry, " \t"); entry != "" {
				all = append(all, entry)
			}
		}
	}
	return all
}

// schemeOf returns http or https, "" for another protocol. Some proxies send ws or wss.
func schemeOf(proto string) string {
	switch strings.ToLower(proto) {
	case "http", "ws":
		return "http"
	case "https", "wss":
		return "https"
	}
	return ""
}
