package command

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"example.com/wsecho/probe"
)

// A prober is the handler of /probe. It probes the target of the request and answers with
// the result as metrics.
type prober struct {
	patterns targetPatterns
	config   *tls.Config   // nil: the system's roots
	resolver *net.Resolver // nil: net.DefaultResolver

	slots  chan struct{} // one element for each probe
	closed context.Context
	cancel context.CancelFunc
}

const (
	probesAtOnce      = 32 // half of adminConns
	probeCount        = 3
	probeMaxCount     = 100
	probeInterval     = 100 * time.Millisecond // also the least one
	probeDeadline     = 10 * time.Second       // of a request without probeTimeoutField
	probeMaxDeadline  = time.Minute
	probeOffset       = 500 * time.Millisecond // of the scrape timeout, for the answer
	probeTimeoutField = "X-Prometheus-Scrape-Timeout-Seconds"
)

// newProber returns the handler of /probe. close must be called.
func newProber(patterns targetPatterns) *prober {
	p := &prober{patterns: patterns, slots: make(chan struct{}, probesAtOnce)}
	p.closed, p.cancel = context.WithCancel(context.Background())
	return p
}

// close ends the probes, waits for that, and refuses new ones. It takes little more than
// the second of a closing handshake.
func (p *prober) close() {
	p.cancel()
	for range cap(p.slots) {
		p.slots <- struct{}{}
	}
}

// A probeRequest is the content of a request for /probe.
type probeRequest struct {
	address string
	target  target
	options probe.WatchOptions
	debug   bool
}

// ServeHTTP refuses the request, or answers with the result of a probe.
func (p *prober) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if len(p.patterns) == 0 {
		http.Error(w, "no target may be probed; start the server with --probe-target=PATTERN to allow some", http.StatusForbidden)
		return
	}
	request, err := parseProbeRequest(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if !p.patterns.allow(request.target) {
		http.Error(w, fmt.Sprintf("no pattern of --probe-target allows the target %q", request.address), http.StatusForbidden)
		return
	}
	if t := request.target; t.addr.IsValid() && !p.patterns.allowAddress(t, t.addr) {
		refused := &privateAddressError{t, t.addr}
		http.Error(w, refused.Error(), http.StatusForbidden)
		return
	}
	select {
	case p.slots <- struct{}{}:
		defer func() { <-p.slots }()
	default:
		w.Header().Set("Retry-After", "1")
		http.Error(w, fmt.Sprintf("%d probes are running, which is the limit; try again later", probesAtOnce), http.StatusServiceUnavailable)
		return
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(p.closed, cancel)()

	var private atomic.Pointer[privateAddressError]
	var log strings.Builder
	began := time.Now()
	o := request.options
	o.Connect.TLS, o.Connect.DialContext = p.config, p.patterns.dialer(request.target, p.resolver, &private)
	o.OnEvent = func(e probe.Event) {
		if request.debug {
			fmt.Fprintf(&log, "%9.3f s  %s\n", e.Time.Sub(began).Seconds(), eventText(e, false))
		}
	}
	watched, err := probe.Watch(ctx, request.address, o)
	switch {
	case err != nil:
		panic(err) // parseProbeRequest has checked the arguments
	case r.Context().Err() != nil:
		return // the client has disconnected
	case p.closed.Err() != nil:
		http.Error(w, "the server shuts down", http.StatusServiceUnavailable)
		return
	case private.Load() != nil && watched.First.Remote == "":
		http.Error(w, private.Load().Error(), http.StatusForbidden)
		return
	}
	result := judge(watched, o.Count)
	answer := promhttp.HandlerFor(result.registry(), promhttp.HandlerOpts{EnableOpenMetrics: true, DisableCompression: request.debug})
	if request.debug {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		fmt.Fprintf(&log, "\nexit code %d", result.code)
		if result.verdict != "" {
			fmt.Fprintf(&log, ": %s", result.verdict)
		}
		_, _ = io.WriteString(w, "Log of the probe of "+result.URL+":\n\n"+log.String()+"\n\nMetrics:\n\n") // fails only if the client has disconnected
		w = bodyOnly{w}
		r = r.Clone(r.Context())
		r.Header.Del("Accept") // the metrics as text
	}
	answer.ServeHTTP(w, r)
}

// A bodyOnly is a ResponseWriter whose header was sent.
type bodyOnly struct{ http.ResponseWriter }

func (bodyOnly) Header() http.Header { return http.Header{} }
func (bodyOnly) WriteHeader(int)     {}

// probeParameters are the parameters of /probe.
var probeParameters = []string{"target", "count", "interval", "timeout", "subprotocol", "origin", "debug"}

// parseProbeRequest reads the parameters. Its error is a sentence for the client.
func parseProbeRequest(r *http.Request) (request probeRequest, err error) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return request, fmt.Errorf("the query is wrong: %w", err)
	}
	for name, values := range query {
		switch {
		case !slices.Contains(probeParameters, name):
			hint := ""
			if strings.Contains(query.Get("target"), "?") {
				hint = "; a & of the target must be %26"
			}
			return request, fmt.Errorf("there is no parameter %q; there are %s%s", name, strings.Join(probeParameters, ", "), hint)
		case len(values) > 1 && name != "subprotocol":
			return request, fmt.Errorf("the parameter %s has %d values; give it one", name, len(values))
		}
	}
	if query.Get("target") == "" {
		return request, errors.New("the parameter target is missing: /probe?target=wss://example.com/socket")
	}
	if request.address, request.target, err = parseTarget(query.Get("target")); err != nil {
		return request, fmt.Errorf("target: %w", err)
	}
	if request.debug, err = parseDebug(query.Get("debug")); err != nil {
		return request, err
	}
	o := &request.options
	if o.Deadline, err = probeTime(r.Header.Get(probeTimeoutField)); err != nil {
		return request, err
	}
	if o.Count, err = strconv.Atoi(cmp.Or(query.Get("count"), strconv.Itoa(probeCount))); err != nil || o.Count < 1 || o.Count > probeMaxCount {
		return request, fmt.Errorf("count: %q is not a number from 1 to %d", query.Get("count"), probeMaxCount)
	}
	interval, err := parseDuration(cmp.Or(query.Get("interval"), probeInterval.String()))
	if err != nil {
		return request, fmt.Errorf("interval: %w", err)
	}
	if o.Interval = time.Duration(interval); o.Interval < probeInterval {
		return request, fmt.Errorf("interval: %v is less than %v", o.Interval, probeInterval)
	}
	// The reserve is for the last reply and the closing handshake.
	if least := time.Duration(o.Count-1) * o.Interval; o.Interval > probeMaxDeadline || least > o.Deadline*3/4 {
		return request, fmt.Errorf("%d pings with an interval of %v take too long for a probe of %v; use a smaller count or interval, or a longer scrape_timeout", o.Count, o.Interval, o.Deadline)
	}
	timeout, err := parseDuration(cmp.Or(query.Get("timeout"), probe.DefaultTimeout.String()))
	if err != nil {
		return request, fmt.Errorf("timeout: %w", err)
	}
	if timeout <= 0 {
		return request, fmt.Errorf("timeout: %v is not more than 0", time.Duration(timeout))
	}
	o.Connect.Timeout = min(time.Duration(timeout), o.Deadline)
	o.Connect.Subprotocols = query["subprotocol"]
	if o.Connect.Header, err = parseHeader(nil, query.Get("origin")); err != nil {
		return request, fmt.Errorf("origin: %w", err)
	}
	if err := o.Check(request.address); err != nil {
		return request, flagError(err, map[string]string{"Subprotocols": "subprotocol", "Header": "origin", "Timeout": "timeout", "Interval": "interval"})
	}
	return request, nil
}

func parseDebug(text string) (bool, error) {
	switch text {
	case "", "false":
		return false, nil
	case "true":
		return true, nil
	}
	return false, fmt.Errorf("debug: %q is neither true nor false", text)
}

// probeTime returns the time for a probe: the scrape timeout in seconds, less some time for
// the answer.
func probeTime(scrapeTimeout string) (time.Duration, error) {
	if scrapeTimeout == "" {
		return probeDeadline, nil
	}
	seconds, err := strconv.ParseFloat(scrapeTimeout, 64)
	if err != nil || !(seconds >= 0.01) {
		return 0, fmt.Errorf("the header %s: %q is not a number of seconds from 0.01", probeTimeoutField, scrapeTimeout)
	}
	limit := time.Duration(min(seconds, probeMaxDeadline.Seconds()) * float64(time.Second))
	return limit - min(probeOffset, limit/4), nil
}
