package command

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"example.com/wsecho/internal/handshake"
)

// A targetPattern is a pattern of --probe-target.
type targetPattern struct {
	scheme    string       // "": ws and wss
	host      string       // a name in lower case, with * for any characters; "" for addresses
	addresses netip.Prefix // not valid for a name
	port      string       // "": the default port of the scheme; *: any port
	path      string       // with * for any characters; "": any path
}

// A target is the part of a URL that patterns are compared with.
type target struct {
	scheme, host, port, path string     // in a normal form
	addr                     netip.Addr // not valid if the host is a name
}

type targetPatterns []targetPattern

var targetPorts = map[string]string{"ws": "80", "wss": "443"}

// targetParts splits a pattern without its scheme into host, port and path.
var targetParts = regexp.MustCompile(`^(\[[^\]]*\]|[\d.]+/\d+|[^/:?#@\[\]]+)(:[^/?#@]*)?(/[^?#]*)?$`)

// parseTargetPatterns parses the values of --probe-target.
func parseTargetPatterns(texts []string) (all targetPatterns, err error) {
	for _, text := range texts {
		p, err := parseTargetPattern(text)
		if err != nil {
			return nil, usageError{fmt.Errorf("--probe-target: %q %w", text, err)}
		}
		all = append(all, p)
		if p.host == "localhost" { // this name is always a loopback address (RFC 6761, section 6.3)
			for _, a := range []string{"127.0.0.1/32", "::1/128"} {
				loopback := p
				loopback.host, loopback.addresses = "", netip.MustParsePrefix(a)
				all = append(all, loopback)
			}
		}
	}
	return all, nil
}

// parseTargetPattern parses a pattern. Its error continues a sentence about the text.
func parseTargetPattern(text string) (p targetPattern, err error) {
	rest := text
	if scheme, after, ok := strings.Cut(text, "://"); ok {
		p.scheme, rest = strings.ToLower(scheme), after
		if targetPorts[p.scheme] == "" {
			return p, errors.New("has a scheme that is neither ws nor wss")
		}
	}
	if isIPv6(rest) {
		rest = "[" + rest + "]"
	}
	parts := targetParts.FindStringSubmatch(rest)
	if parts == nil {
		return p, errors.New("is not a pattern, such as wss://*.example.com/socket, example.com:8080 or 10.0.0.0/8")
	}
	host, port, path := parts[1], strings.TrimPrefix(parts[2], ":"), parts[3]
	if n, err := strconv.Atoi(port); parts[2] != "" && port != "*" && (err != nil || n < 1 || n > 65535 || strconv.Itoa(n) != port) {
		return p, errors.New("has a port that is neither * nor from 1 to 65535")
	}
	if hasDotSegment(path) {
		return p, errors.New("has a path with . or .., which no target has")
	}
	p.port, p.path = port, path
	bare := strings.Trim(host, "[]")
	switch {
	case strings.Contains(bare, "/"):
		p.addresses, err = netip.ParsePrefix(bare)
		switch {
		case err != nil:
			return p, errors.New("is not a range of addresses, such as 10.0.0.0/8 or [fd00::/8]")
		case p.addresses != p.addresses.Masked():
			return p, fmt.Errorf("is not a range of addresses; the range is %v", p.addresses.Masked())
		}
	case host != bare || isIPv4(bare):
		addr, err := netip.ParseAddr(bare)
		if err != nil || addr.Zone() != "" {
			return p, fmt.Errorf("is not a pattern, because %q is not an IPv6 address without a zone", bare)
		}
		if _, err := strconv.Atoi(strings.TrimPrefix(path, "/")); err == nil && host != bare {
			return p, fmt.Errorf("is not a pattern; write [%s%s] for a range of addresses", bare, path)
		}
		p.addresses = netip.PrefixFrom(addr, addr.BitLen())
	default:
		p.host, err = patternName(bare)
	}
	if p.addresses.IsValid() && p.addresses.Addr().Is4In6() {
		return p, errors.New("has an IPv4 address in the form of IPv6; write it with four numbers")
	}
	return p, err
}

func isIPv6(text string) bool {
	_, prefixErr := netip.ParsePrefix(text)
	_, addrErr := netip.ParseAddr(text)
	return strings.Count(text, ":") > 1 && (prefixErr == nil || addrErr == nil)
}

func isIPv4(text string) bool {
	addr, err := netip.ParseAddr(text)
	return err == nil && addr.Is4()
}

// patternName returns the name of a pattern in a normal form.
func patternName(name string) (string, error) {
	name, err := asciiHost(name)
	if err != nil {
		return "", fmt.Errorf("has a wrong host: %w", err)
	}
	name = strings.TrimSuffix(strings.ToLower(name), ".")
	labels := strings.Split(name, ".")
	for _, label := range labels {
		if label == "" || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_*") != "" {
			return "", errors.New("has a host that is neither a name nor an address; only * stands for other characters")
		}
	}
	if last := labels[len(labels)-1]; strings.Trim(last, "0123456789") == "" || strings.HasPrefix(last, "0x") {
		return "", errors.New("has a host that is not an IPv4 address of four numbers")
	}
	return name, nil
}

// parseTarget parses the URL of a target. It returns the URL in ASCII.
func parseTarget(text string) (string, target, error) {
	address, err := asciiURL(text)
	if err != nil {
		return "", target{}, err
	}
	u, err := handshake.ParseURL(address)
	if err != nil {
		return "", target{}, err
	}
	if u.User != nil {
		return "", target{}, fmt.Errorf("%q has user information, which a target must not have", u.Redacted())
	}
	if hasDotSegment(u.Path) {
		return "", target{}, fmt.Errorf("%q has a path with . or .., which a target must not have", text)
	}
	return address, targetOf(u), nil
}

// targetOf returns the target of a URL that handshake.ParseURL has checked.
func targetOf(u *url.URL) target {
	t := target{scheme: u.Scheme, host: strings.TrimSuffix(strings.ToLower(u.Hostname()), "."), port: targetPorts[u.Scheme], path: u.Path}
	if n, err := strconv.Atoi(u.Port()); err == nil {
		t.port = strconv.Itoa(n)
	}
	if t.path == "" {
		t.path = "/"
	}
	if addr, err := netip.ParseAddr(t.host); err == nil {
		t = t.at(addr)
	}
	return t
}

// at returns the target with an address in place of its host.
func (t target) at(addr netip.Addr) target {
	t.addr = addr.Unmap().WithZone("")
	t.host = t.addr.String()
	return t
}

// hasDotSegment reports whether a decoded path has a segment that a server may resolve to
// another path. Some servers decode a path again, or drop the parameters of a segment first,
// as in "..;a=b".
func hasDotSegment(path string) bool {
	for {
		for _, segment := range strings.FieldsFunc(path, func(r rune) bool { return r == '/' || r == '\\' }) {
			if name, _, _ := strings.Cut(segment, ";"); name == "." || name == ".." {
				return true
			}
		}
		again := percentPairs.ReplaceAllStringFunc(path, func(pair string) string {
			c, _ := url.PathUnescape(pair)
			return c
		})
		if again == path { // it becomes shorter each time
			return false
		}
		path = again
	}
}

var percentPairs = regexp.MustCompile(`%[0-9A-Fa-f]{2}`)

// matches reports whether p allows t, apart from private addresses.
func (p targetPattern) matches(t target) bool {
	host := p.host != "" && matchStars(p.host, t.host)
	if p.addresses.IsValid() {
		host = t.addr.IsValid() && p.addresses.Contains(t.addr)
	}
	port := p.port
	if port == "" {
		port = targetPorts[t.scheme]
	}
	return host && (p.scheme == "" || p.scheme == t.scheme) && (port == "*" || port == t.port) && (p.path == "" || matchStars(p.path, t.path))
}

// allow reports whether a pattern allows t, apart from private addresses.
func (all targetPatterns) allow(t target) bool {
	return slices.ContainsFunc(all, func(p targetPattern) bool { return p.matches(t) })
}

// allowAddress reports whether a probe of t may connect to addr. A private address, or one
// of this machine, needs a pattern with addresses. It must allow t with addr in place of
// its host.
func (all targetPatterns) allowAddress(t target, addr netip.Addr) bool {
	t = t.at(addr)
	if slices.ContainsFunc(all, func(p targetPattern) bool { return p.addresses.IsValid() && p.matches(t) }) {
		return true
	}
	if !isPublic(t.addr) {
		return false
	}
	interfaces, err := net.InterfaceAddrs()
	return err == nil && !isOwn(t.addr, interfaces)
}

// matchStars reports whether text matches a pattern in which each * stands for any
// characters, also none.
func matchStars(pattern, text string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == text
	}
	first, last := parts[0], parts[len(parts)-1]
	if len(text) < len(first)+len(last) || !strings.HasPrefix(text, first) || !strings.HasSuffix(text, last) {
		return false
	}
	text = text[len(first) : len(text)-len(last)]
	for _, part := range parts[1 : len(parts)-1] {
		_, after, ok := strings.Cut(text, part)
		if !ok {
			return false
		}
		text = after
	}
	return true
}
