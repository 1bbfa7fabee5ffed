package server

import (
	"net/http"

	"example.com/wsecho/internal/fairness"
)

// plain answers a request that is no WebSocket handshake.
func (s *Server) plain(w http.ResponseWriter, r *http.Request) {
	yield()
	if f := checkPlain(r); f != nil {
		s.refuse(w, r, f)
		return
	}
	if s.opts.HTTP != nil && s.serves(r) && r.URL.Path != "/healthz" && r.URL.Path != "/readyz" {
		if a, ok := r.Context().Value(acceptedKey{}).(*accepted); ok {
			r = a.pending.UnreadBody(a.conn, w, r)
		}
		s.opts.HTTP.ServeHTTP(w, r)
		return
	}
	s.servePlain(w, r)
}

// ServePlain answers a request that a Server has passed to its Options.HTTP, as the Server
// does without that option. An Options.HTTP that serves some paths can call it for the
// others. Any other request gets 404.
func ServePlain(w http.ResponseWriter, r *http.Request) {
	by := servedBy(r)
	if by == nil {
		http.NotFound(w, r)
		return
	}
	by.server.servePlain(w, r)
}

// servePlain answers a request without Options.HTTP.
func (s *Server) servePlain(w http.ResponseWriter, r *http.Request) {
	status, text := http.StatusOK, "ok"
	switch path := r.URL.Path; {
	case path == "/healthz":
	case path == "/readyz":
		if s.isNotReady() {
			status, text = http.StatusServiceUnavailable, "draining"
		}
	case path == "/":
		text = s.opts.About
	case r.Method == http.MethodConnect || path == "*": // OPTIONS *; RFC 9110, section 9.3.7
		s.refuse(w, r, refuse(RefusedPlain, http.StatusMethodNotAllowed, "method %q is not allowed here", r.Method))
		return
	default:
		s.refuse(w, r, refuse(RefusedPlain, http.StatusUpgradeRequired, "only a WebSocket handshake is answered here"))
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		s.refuse(w, r, refuse(RefusedPlain, http.StatusMethodNotAllowed, "method %q is not allowed here", r.Method))
		return
	}
	h := w.Header()
	if hasBody(r) {
		closeAfter(w, r)
	}
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write([]byte(text + "\n")) // fails only if the client has disconnected
	}
}

// checkPlain refuses a request that was meant as a handshake.
func checkPlain(r *http.Request) *refusal {
	switch {
	case r.Method == http.MethodConnect && r.Header[":protocol"] != nil: // RFC 8441
		return refuse(RefusedHTTP2, http.StatusNotImplemented, "WebSocket over HTTP/2 is not served; connect with HTTP/1.1")
	case isHandshake(r):
		// Clients such as wsecho check show the first 200 bytes.
		return refuse(RefusedNoUpgrade, http.StatusUpgradeRequired, "a proxy has probably removed this handshake's Upgrade or Connection header; "+
			"it must pass on both \"Upgrade: websocket\" and \"Connection: Upgrade\"")
	}
	return nil
}

// yield yields to other connections. One connection may send thousands of requests at
// once, and net/http would answer all of them first.
func yield() { new(fairness.Yielder).Yield() }

func hasBody(r *http.Request) bool { return r.ContentLength != 0 || len(r.TransferEncoding) > 0 }

// closeAfter makes net/http close the connection after the answer. Over HTTP/2, a
// Connection header is a protocol error (RFC 9113, section 8.2.2).
func closeAfter(w http.ResponseWriter, r *http.Request) {
	if r.ProtoMajor < 2 {
		w.Header()["Connection"] = append([]string{"close"}, w.Header()["Connection"]...)
	}
}
