package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"net/netip"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"example.com/wsecho/echo"
	"example.com/wsecho/internal/listener"
	"example.com/wsecho/metrics"
	"example.com/wsecho/server"
)

// An admin is the HTTP server of --admin-addr. A nil admin serves nothing.
type admin struct {
	hs   *http.Server
	done chan struct{} // closed when hs has ended
}

const (
	adminConns       = 64              // open at once; another one evicts the oldest that waits for its peer
	adminHeaderTime  = 5 * time.Second // to send a request
	adminIdleTime    = 5 * time.Minute // between two requests, longer than the usual interval of scrapes
	adminAnswerTime  = 2 * time.Minute // the longest answer, without the time of a profile
	adminProfileTime = 2 * time.Minute // the longest profile
	adminCloseTime   = time.Second     // for requests in progress at the end
	adminHeaderBytes = 8 << 10
	adminScrapes     = 4 // at once
)

// listenAdmin returns the listener of --admin-addr. It is nil if the flag is off or the
// address is in use. So a second server on a machine has no metrics, but it serves. Any
// other error is one of usage or of the system.
func listenAdmin(addr string, log *slog.Logger) (net.Listener, error) {
	if addr == "off" {
		return nil, nil
	}
	if strings.HasPrefix(addr, unixPrefix) {
		return nil, usageError{errors.New("--admin-addr: it cannot be a unix socket, which Prometheus does not scrape; use an address such as 127.0.0.1:9090")}
	}
	if _, port, err := net.SplitHostPort(addr); err != nil {
		return nil, usageError{fmt.Errorf("--admin-addr: %q is not an address to listen on, such as 127.0.0.1:9090 or :9090; use off to disable it", addr)}
	} else if err := checkPort("--admin-addr", addr, port); err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", addr)
	if isErrno(err, syscall.EADDRINUSE) {
		log.Warn("there are no metrics, because the address is in use; choose another one, or off", "flag", "--admin-addr", "value", addr)
		return nil, nil
	}
	if err != nil {
		return nil, hintError{fmt.Errorf("--admin-addr: cannot listen on %s: %w", addr, inner(err)), "choose another address with --admin-addr, or --admin-addr=off"}
	}
	return l, nil
}

// serveAdmin serves h on l until close.
func serveAdmin(l net.Listener, h http.Handler, log *slog.Logger) *admin {
	if l == nil {
		return nil
	}
	// It evicts connections that wait for their peers, so that these cannot keep others out.
	limiter := listener.New(log, func() int { return adminConns })
	a := &admin{done: make(chan struct{}), hs: &http.Server{
		Handler: protectFromEviction(limiter, protect(h)),
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, adminConnKey{}, c)
		},
		ConnState:         limiter.ConnState,
		ReadHeaderTimeout: adminHeaderTime,
		ReadTimeout:       adminHeaderTime,
		WriteTimeout:      adminAnswerTime,
		IdleTimeout:       adminIdleTime,
		MaxHeaderBytes:    adminHeaderBytes,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		// net/http would read the body of OPTIONS * and answer it without protect.
		DisableGeneralOptionsHandler: true,
	}}
	log.Info("serving metrics", "addr", l.Addr().String(), "url", clientURL("http", l.Addr())+"metrics")
	go func() {
		defer close(a.done)
		if err := a.hs.Serve(limiter.Wrap(l)); !errors.Is(err, http.ErrServerClosed) {
			log.Error("there are no metrics any more", "flag", "--admin-addr", "cause", err)
		}
	}()
	return a
}

// adminConnKey is the key of a request's net.Conn.
type adminConnKey struct{}

// protectFromEviction protects the connection of a request until h has answered it.
func protectFromEviction(l *listener.Limiter, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, _ := r.Context().Value(adminConnKey{}).(net.Conn)
		l.Begin(c)
		defer l.End(c)
		h.ServeHTTP(w, l.UnreadBody(c, w, r))
	})
}

// close ends the server. Requests in progress have a second.
func (a *admin) close() {
	if a == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), adminCloseTime)
	defer cancel()
	if a.hs.Shutdown(ctx) != nil {
		_ = a.hs.Close()
	}
	<-a.done
}

// protect refuses the requests that a page of another site can make a browser send. The
// browser of a developer or operator can reach addresses that the page's server cannot.
//
//   - With DNS rebinding, the page's own name leads to a loopback address, and the page
//     could read the answers. So a request to a loopback address must have an IP address
//     or localhost in its Host header.
//   - Without it, the page cannot read the answers, but a profile uses processor time.
//     Browsers send Sec-Fetch-Site to loopback addresses.
//   - A browser without Sec-Fetch-Site sends Origin with a request that changes something.
func protect(h http.Handler) http.Handler {
	origins := http.NewCrossOriginProtection()
	origins.SetDenyHandler(http.HandlerFunc(refuseOtherSite))
	h = origins.Handler(h)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-store")
		switch site := r.Header.Get("Sec-Fetch-Site"); {
		case isLoopback(r) && !isLocalHost(r.Host):
			http.Error(w, fmt.Sprintf("the host %q may lead here by DNS rebinding; use localhost or an IP address", r.Host), http.StatusForbidden)
		case site != "" && site != "none" && site != "same-origin":
			refuseOtherSite(w, r)
		default:
			h.ServeHTTP(w, r)
		}
	})
}

func refuseOtherSite(w http.ResponseWriter, _ *http.Request) {
	http.Error(w, "a page of another site sent this request; open the address directly", http.StatusForbidden)
}

// isLoopback reports whether r was received on a loopback address.
func isLoopback(r *http.Request) bool {
	local, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	return ok && local.IP.IsLoopback()
}

// isLocalHost reports whether a Host header has an IP address or localhost.
func isLocalHost(hostport string) bool {
	if hostport == "localhost" {
		return true
	}
	if _, err := netip.ParseAddr(hostport); err == nil {
		return true
	}
	if _, err := netip.ParseAddrPort(hostport); err == nil {
		return true
	}
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = hostport
	}
	if n := len(host); n > 2 && host[0] == '[' && host[n-1] == ']' {
		_, err := netip.ParseAddr(host[1 : n-1])
		return err == nil
	}
	return host == "localhost"
}

// newRegistry returns a registry with the metrics of this process and of m. lost returns
// the number of lost log lines.
func newRegistry(m *metrics.Metrics, release buildVersion, lost func() int64) *prometheus.Registry {
	r := prometheus.NewRegistry()
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "wsecho_build_info", Help: "1; the labels have the version.",
		ConstLabels: prometheus.Labels{"version": release.name(), "goversion": runtime.Version(), "platform": runtime.GOOS + "/" + runtime.GOARCH},
	})
	build.Set(1)
	r.MustRegister(m, build,
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "wsecho_log_lines_lost_total", Help: "Log lines that were lost because stderr was not read in time, or a write failed.",
		}, func() float64 { return float64(lost()) }),
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return r
}

// newMetrics returns the metrics of a server with the handler e.
func newMetrics(e *echo.Echo) *metrics.Metrics {
	var o metrics.Options
	if b := e.Budget; b != nil {
		o.Budget = func() metrics.BudgetStats { return metrics.BudgetStats(b.Stats()) }
	}
	return metrics.New(o)
}

// adminHandler returns the handler of --admin-addr.
func adminHandler(s *server.Server, r *prometheus.Registry, probes *prober, log *slog.Logger) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "/metrics\n/connections\n/probe?target=\n/debug/pprof/\n/healthz\n/readyz\n") // fails only if the client has disconnected
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(r, promhttp.HandlerOpts{EnableOpenMetrics: true, MaxRequestsInFlight: adminScrapes}))
	mux.HandleFunc("GET /connections", func(w http.ResponseWriter, r *http.Request) { listConnections(w, r, s) })
	mux.HandleFunc("POST /connections/{id}/close", func(w http.ResponseWriter, r *http.Request) { closeConnection(w, r, s, log) })
	mux.Handle("GET /probe", probes)
	for _, path := range []string{"/healthz", "/readyz"} {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) {
			// A request without headers, because s would accept a WebSocket handshake.
			plain := (&http.Request{Method: r.Method, URL: r.URL, Proto: r.Proto, ProtoMajor: r.ProtoMajor, ProtoMinor: r.ProtoMinor, Header: http.Header{}, Body: http.NoBody}).WithContext(r.Context())
			s.ServeHTTP(w, plain)
		})
	}
	mux.HandleFunc("GET /debug/pprof/", boundProfile(pprof.Index))
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", boundProfile(pprof.Profile))
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("POST /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", boundProfile(pprof.Trace))
	return mux
}

// boundProfile refuses profiles of more than adminProfileTime. Package pprof has no bound.
func boundProfile(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if s, err := strconv.ParseFloat(r.URL.Query().Get("seconds"), 64); err == nil && !(s <= adminProfileTime.Seconds()) {
			http.Error(w, fmt.Sprintf("a profile takes %v at most", adminProfileTime), http.StatusBadRequest)
			return
		}
		h(w, r)
	}
}
