package server

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// acquireSlot reserves a slot for a connection from ip, "" if MaxConnsPerIP does not count
// it. It returns a refusal if no slot is free.
func (s *Server) acquireSlot(ip string) *refusal {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch o := &s.opts; {
	case s.draining:
		return busy(RefusedDraining, "the server is going away")
	case o.MaxConns > 0 && s.slots >= o.MaxConns:
		return busy(RefusedMaxConns, "the server has as many connections as MaxConns (--max-conns) allows")
	case ip != "" && s.perIP[ip] >= o.MaxConnsPerIP:
		return busy(RefusedMaxPerIP, "this address, or its IPv6 prefix, has as many connections as MaxConnsPerIP (--max-conns-per-ip) allows")
	}
	s.slots++
	if ip != "" {
		s.perIP[ip]++
	}
	return nil
}

// releaseSlot releases the slot of a connection from ip.
func (s *Server) releaseSlot(ip string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.slots--
	if ip != "" {
		if s.perIP[ip]--; s.perIP[ip] == 0 {
			delete(s.perIP, ip)
		}
	}
	if s.draining && s.slots == 0 {
		close(s.empty)
	}
}

// usedSlots returns the number of connections and of handshakes in progress.
func (s *Server) usedSlots() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.slots
}

// client returns what MaxConnsPerIP counts for a request. It returns "" if that is off, and
// for a client of a unix socket, which has no address. A middleware may have set something
// that is not an address.
func (s *Server) client(r *http.Request) string {
	if s.opts.MaxConnsPerIP <= 0 {
		return ""
	}
	host := r.RemoteAddr
	if h, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
		host = h
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		if isUnix(r) {
			return ""
		}
		return strings.Clone(logged(host))
	}
	addr = addr.Unmap()
	if addr.Is4() || addr.IsLinkLocalUnicast() {
		return addr.String()
	}
	prefix, _ := addr.Prefix(s.opts.IPv6Prefix) // New has checked the length
	return prefix.String()
}
