package server

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"path"
	"slices"
	"strconv"
	"strings"
)

// normalPatterns returns the patterns for coder's check, which compares them with
// normalised origins. It escapes the brackets of an IPv6 address. It removes a port from
// the pattern of a scheme whose default port it is.
func normalPatterns(patterns []string) (normal []string) {
	for _, p := range patterns {
		scheme, hostport, ok := strings.Cut(strings.ToLower(p), "://")
		if !ok {
			scheme, hostport = "", scheme
		}
		host, port := splitPort(hostport)
		if literal, ok := ipv6(host); ok {
			host = strings.NewReplacer("[", `\[`, "]", `\]`).Replace(literal)
		}
		host = strings.TrimSuffix(host, ".")
		prefix := ""
		if ok {
			prefix = scheme + "://"
		}
		switch {
		case port == ":*": // any port is the default port too
			normal = append(normal, prefix+host)
		case port != "":
			for s, number := range defaultPorts {
				if match, _ := path.Match(scheme, s); port == number && (!ok || match) {
					normal = append(normal, s+"://"+host)
				}
			}
		}
		normal = append(normal, prefix+host+port)
	}
	return normal
}

// special returns the characters of path.Match that part of a pattern may contain, "" if
// it is literal.
func special(part string) string {
	if strings.ContainsAny(part, `*?[\`) {
		return `*?[]^\`
	}
	return ""
}

// checkPattern returns an error about a field if its element p matches any origin, or none
// that a browser sends.
func checkPattern(field, p string) error {
	wrong := func(see, format string, args ...any) error {
		return &OptionError{field, see, fmt.Errorf("%q "+format, append([]any{p}, args...)...)}
	}
	normal := normalPatterns([]string{p})
	for _, n := range normal {
		if _, err := path.Match(n, ""); err != nil {
			return wrong("", "is not a pattern: %w", err)
		}
	}
	scheme, hostport, hasScheme := strings.Cut(strings.ToLower(p), "://")
	if !hasScheme {
		scheme, hostport = "", scheme
	}
	switch {
	case !hasScheme && hostport == "null":
		return wrong("AllowAnyOrigin", "is the origin of many pages, such as sandboxed ones, and no pattern allows it")
	case hasScheme && scheme == "":
		return wrong("", "has no scheme before ://; write a host such as example.com, or https://example.com")
	case hasScheme && !isScheme(scheme, special(scheme)):
		return wrong("", "has a scheme that no origin has; write https://example.com")
	case scheme == "ws", scheme == "wss":
		return wrong("", "has the scheme of a WebSocket; an origin has the scheme of its page: %q",
			strings.Replace(scheme, "ws", "http", 1)+"://"+hostport)
	case isHostless(scheme + "://" + normalHost(scheme, hostport)):
		return nil
	case strings.Contains(hostport, "/"):
		return wrong("", "has a path; an origin is a host such as example.com or https://*.example.com")
	case strings.Contains(hostport, "@"):
		return wrong("", "has user information; an origin is a host such as example.com or https://*.example.com")
	case slices.ContainsFunc(normal, matchesEveryHost):
		return wrong("AllowAnyOrigin", "matches every host")
	}
	if err := checkHostPort(hostport, special(hostport)); err != nil {
		return wrong("", "matches no origin: %w", err)
	}
	if host, _ := splitPort(hostport); special(host) == "" && isShortIPv4(host) {
		return wrong("", "matches no origin: %s is not an IPv4 address of four numbers", host)
	}
	return nil
}

// matchesEveryHost reports whether a normalised pattern matches any host, or any with a dot.
func matchesEveryHost(normal string) bool {
	hostport := normal[strings.LastIndexByte(normal, '/')+1:]
	return strings.Contains(hostport, "*") && strings.Trim(hostport, "*?.:") == ""
}

// isScheme reports whether scheme is one in lower case (RFC 3986, section 3.1). The
// characters in wild can match others.
func isScheme(scheme, wild string) bool {
	for i, r := range scheme {
		letter := r >= 'a' && r <= 'z' || strings.ContainsRune(wild, r)
		if !letter && (i == 0 || !isLetterOrDigit(r) && !strings.ContainsRune("+-.", r)) {
			return false
		}
	}
	return scheme != ""
}

// isHostless reports whether an origin in lower case has a scheme and no host, such as
// file://. The origin of a page on the web always has a host.
func isHostless(origin string) bool {
	scheme, host, ok := strings.Cut(origin, "://")
	return ok && host == "" && defaultPorts[scheme] == "" && isScheme(scheme, "")
}

// patternsFor returns the patterns for a handshake with this Host.
func (s *Server) patternsFor(host string) []string {
	host, _ = splitPort(normalHost("", host))
	addr, err := netip.ParseAddr(strings.Trim(host, "[]"))
	if host == "localhost" || err == nil && addr.Unmap().IsLoopback() {
		return s.localPatterns
	}
	return s.originPatterns
}

// checkHostPort returns an error if no header Host or Origin contains this host and port.
// The characters in wild can match others.
func checkHostPort(hostport, wild string) error {
	host, port := splitPort(strings.ToLower(hostport))
	if port != "" && !strings.ContainsAny(port, wild) {
		if n, err := strconv.Atoi(port[1:]); err != nil || n < 1 || n > 65535 || port != ":"+strconv.Itoa(n) {
			if strings.Contains(host, ":") && host[0] != '[' {
				return errors.New("an IPv6 address has brackets, such as [::1]")
			}
			return fmt.Errorf("%q is not a port from 1 to 65535", port[1:])
		}
	}
	if _, ok := ipv6(host); ok && !strings.Contains(host, "%") {
		return nil
	}
	switch end := strings.IndexByte(host, ']'); {
	case strings.Trim(host, ".") == "": // host has no port any more: hasHost would split ::1
		return errors.New("it has no host")
	case host[0] == '[' && end == len(host)-1:
		return fmt.Errorf("%s is not an IPv6 address without a zone", host)
	case strings.Contains(host, ":"):
		return errors.New("an IPv6 address has brackets, such as [::1]")
	}
	for _, r := range host {
		switch {
		case r >= 0x80:
			return errors.New("a browser sends the form in ASCII, which has xn-- in it")
		case !isLetterOrDigit(r) && !strings.ContainsRune("-._"+wild, r):
			return fmt.Errorf("a host has no %q", r)
		}
	}
	return nil
}

// isShortIPv4 reports whether a browser reads host as an IPv4 address and sends another
// form. It sends 127.0.0.1 for 127.1.
func isShortIPv4(host string) bool {
	host = strings.TrimSuffix(host, ".")
	if _, err := strconv.Atoi(host[strings.LastIndexByte(host, '.')+1:]); err != nil {
		return false
	}
	a, err := netip.ParseAddr(host)
	return err != nil || !a.Is4()
}

func isLetterOrDigit(r rune) bool { return r >= '0' && r <= '9' || r >= 'a' && r <= 'z' }

// normalHosts returns Options.Hosts in the form of normalHost. Brackets are added to an
// IPv6 address.
func normalHosts(hosts []string) (normal []string) {
	for _, h := range hosts {
		normal = append(normal, normalHost("", withBrackets(h)))
	}
	return normal
}

// withBrackets adds the brackets to an IPv6 address that has none.
func withBrackets(host string) string {
	if _, ok := ipv6("[" + host + "]"); ok {
		return "[" + host + "]"
	}
	return host
}

// checkHost refuses a Host header that Options.Hosts does not list. A server behind a
// proxy cannot see the scheme. So a header without a port matches either default port.
func (s *Server) checkHost(hostport string) *refusal {
	if len(s.hosts) == 0 {
		return nil
	}
	host, port := splitPort(normalHost("", hostport))
	for _, h := range s.hosts {
		allowed, only := splitPort(h)
		if allowed == host && (only == "" || only == port || port == "" && (only == ":80" || only == ":443")) {
			return nil
		}
	}
	return refuse(RefusedHost, http.StatusMisdirectedRequest, "host %q is not served here; Hosts (%s) lists the hosts that are", hostport, flagFor("--host", hostport))
}
