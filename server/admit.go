package server

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"path"
	"strings"
)

// A refusal is a request that does not become a connection.
type refusal struct {
	status int // 0: there is nothing left to write it to
	reason error
	retry  bool // it may go better in a moment
}

func refuse(status int, format string, args ...any) *refusal {
	return &refusal{status: status, reason: fmt.Errorf(format, args...)}
}

// busy is a refusal for want of room.
func busy(reason string) *refusal {
	return &refusal{http.StatusServiceUnavailable, errors.New(reason), true}
}

// refuse writes the refusal.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, f *refusal) {
	letOthers()
	s.log.Debug("refused", "remote", logged(r.RemoteAddr), "status", f.status, "reason", logged(f.reason.Error()))
	h := w.Header()
	switch f.status {
	case 0: // nobody is there to hear it
		return
	case http.StatusUpgradeRequired: // RFC 9110, section 15.5.22
		h.Set("Upgrade", "websocket")
		h.Set("Connection", "Upgrade")
		h.Set("Sec-WebSocket-Version", "13")
	case http.StatusMethodNotAllowed:
		h.Set("Allow", http.MethodGet)
	}
	if f.retry {
		h.Set("Retry-After", "1")
	}
	s.opts.Error(w, r, f.status, f.reason)
}

// allowed looks at the host and the origin of a request.
func (s *Server) allowed(r *http.Request) *refusal {
	if !s.hostAllowed(r.Host) {
		return refuse(http.StatusMisdirectedRequest, "host %q is not served here", r.Host)
	}
	origins := r.Header["Origin"]
	switch {
	case len(origins) > 1:
		return refuse(http.StatusForbidden, "there is more than one Origin header")
	case s.opts.CheckOrigin != nil:
		if s.opts.CheckOrigin(r) {
			return nil
		}
	case len(origins) == 0, s.opts.AllowAnyOrigin, s.originAllowed(origins[0], r.Host):
		return nil
	}
	if len(origins) == 0 {
		return refuse(http.StatusForbidden, "a request without an Origin header may not connect to host %q", r.Host)
	}
	return refuse(http.StatusForbidden, "origin %q may not connect to host %q", origins[0], r.Host)
}

func (s *Server) hostAllowed(host string) bool {
	if len(s.opts.Hosts) == 0 {
		return true
	}
	bare := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		bare = h
	}
	bare = strings.Trim(bare, "[]")
	for _, h := range s.opts.Hosts {
		if strings.EqualFold(h, host) || strings.EqualFold(strings.Trim(h, "[]"), bare) {
			return true
		}
	}
	return false
}

// originAllowed matches an Origin header, RFC 6454, section 7. What has no host,
// such as "null", matches nothing.
func (s *Server) originAllowed(origin, host string) bool {
	u, err := url.Parse(origin)
	if err != nil || u.Host == "" {
		return false
	}
	if strings.EqualFold(u.Host, host) {
		return true
	}
	target := strings.ToLower(u.Host)
	for _, p := range s.opts.OriginPatterns {
		p = strings.ToLower(p)
		t := target
		if strings.Contains(p, "://") {
			t = strings.ToLower(u.Scheme) + "://" + target
		}
		if ok, _ := path.Match(p, t); ok { // the patterns were checked by New
			return true
		}
	}
	return false
}

// enter reserves a place for a connection from ip, or says why there is none.
func (s *Server) enter(ip string) *refusal {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch o := &s.opts; {
	case s.draining:
		return busy("the server is going away")
	case o.MaxConns > 0 && s.places >= o.MaxConns:
		return busy("there are as many connections as there may be")
	case o.MaxConnsPerIP > 0 && s.perIP[ip] >= o.MaxConnsPerIP:
		return busy("there are as many connections from this address as there may be")
	}
	s.places++
	if s.opts.MaxConnsPerIP > 0 {
		s.perIP[ip]++
	}
	return nil
}

// leave gives the place back.
func (s *Server) leave(ip string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.places--
	if s.opts.MaxConnsPerIP > 0 {
		if s.perIP[ip]--; s.perIP[ip] == 0 {
			delete(s.perIP, ip)
		}
	}
	if s.draining && s.places == 0 {
		close(s.empty)
	}
}

// clientIP is the address that a request came from, without the port.
func clientIP(remote string) string {
	if h, _, err := net.SplitHostPort(remote); err == nil {
		return h
	}
	return remote
}
