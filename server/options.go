package server

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"github.com/coder/websocket"

	"example.com/wsecho/heartbeat"
	"example.com/wsecho/internal/handshake"
	"example.com/wsecho/internal/listener"
)

// Options configure a Server. The zero value is safe on the open internet. It refuses
// pages of other origins and detects dead peers. It bounds every message, every wait and
// the number of connections.
//
// Zero selects the default. A negative value turns a limit or a timeout off, unless the
// field's comment says otherwise. New refuses a wrong value. A duration of less than a
// millisecond or more than a hundred years is wrong.
type Options struct {
	// OriginPatterns are the origins whose pages may connect, besides the server's own
	// host. [path.Match] matches a pattern, ignoring case, against the host and port of
	// the Origin header. It matches a pattern with "://" against scheme, host and port.
	// An IPv6 address in brackets is literal. The default port of a scheme and the dot at
	// the end of a host make no difference. A host is in ASCII, as in the header:
	// "xn--bcher-kva.example". "file://" is the origin of some pages that are files. A
	// request without an Origin header is not from a page and is accepted. The origin
	// "null" is refused. New refuses a pattern that no origin of a browser can match.
	// None: only the server's own host, with the scheme http or https. If [Scheme] is
	// https, http is a different origin.
	OriginPatterns []string
	// LocalOriginPatterns are like OriginPatterns, but only for a handshake whose Host is
	// localhost or a loopback address. They are for a page that another port of the same
	// machine serves. The localhost of a browser elsewhere is another machine, and its
	// pages reach this server by another Host. None: OriginPatterns only.
	LocalOriginPatterns []string
	// AllowAnyOrigin allows any page of the web to connect with its user's cookies for
	// this host. False: OriginPatterns or CheckOrigin decide.
	AllowAnyOrigin bool
	// CheckOrigin reports whether the origin of a handshake is allowed, as in gorilla. If
	// it is set, nothing else decides about the origin. It is also called for the
	// server's own host and without an Origin header. It cannot be used with patterns or
	// AllowAnyOrigin. Nil: the patterns decide.
	CheckOrigin func(*http.Request) bool
	// TrustedProxies are the addresses of proxies whose Forwarded, X-Forwarded-For and
	// X-Forwarded-Proto fields are believed. The client is then the right-most address of
	// these fields that is no trusted proxy's. It is the RemoteAddr of the request that the
	// functions of these Options get, of [Conn.RemoteAddr] and of the log. MaxConnsPerIP
	// counts it. Its port is 0 if the proxy does not name it. [Scheme] returns the scheme
	// that the client has used. If Forwarded and one of the others disagree, the
	// request is refused with 400. The server ignores X-Forwarded-Host, as a proxy can
	// pass on the Host. None: the fields are ignored, and the client is the peer.
	TrustedProxies []netip.Prefix
	// TrustUnixSockets trusts each peer of a unix socket like one of TrustedProxies. Such a
	// peer has no address. False: the fields are ignored there.
	TrustUnixSockets bool
	// Hosts are the accepted values of the Host header, as a defence against DNS
	// rebinding. A host without a port matches any port. The ports 80 and 443 also match
	// a header without a port. A host is in ASCII. None: any host.
	Hosts []string
	// Subprotocols are the supported ones in order of preference. The server chooses the
	// first one that the client requests (RFC 6455, section 1.9). "*" means all that the
	// client requests, in its order. None: no subprotocol.
	Subprotocols []string
	// Compression is the mode of permessage-deflate (RFC 7692). Without context takeover
	// each message of 512 bytes or more is compressed on its own. A connection keeps no
	// memory for it between messages. With context takeover messages of 128 bytes or more
	// are compressed. A connection then keeps 32 KiB for the peer's messages, and up to
	// 1.2 MB for its own. At most 128 connections of the process keep the latter, and no
	// parked one.
	// 0: websocket.CompressionDisabled.
	Compression websocket.CompressionMode
	// Error answers a refused request with the status and the reason, which is one
	// sentence. Headers such as Retry-After are set already. So is "Connection: close" for
	// a request with an Upgrade header or a body. Nil: the answer is the
	// reason as plain text.
	Error func(w http.ResponseWriter, r *http.Request, status int, reason error)
	// Admit is called for each handshake that is right and whose origin is allowed.
	// Its value becomes the connection's [Conn.Value], as the request does not outlive
	// the handshake under Serve. Its error refuses the handshake with status 403 and
	// the error's text. An *[AdmitError] chooses the status and headers.
	// Nil: every such handshake is admitted and has the value nil.
	Admit func(*http.Request) (value any, err error)
	// PerConn is called after Admit. It returns how this connection differs from the
	// others. Its error refuses the handshake like that of Admit. Nil, or a nil
	// ConnOptions: the connection is like the others.
	PerConn func(*http.Request) (*ConnOptions, error)
	// About is the answer to a plain GET of /.
	// "": a line that says that this is a WebSocket server.
	About string

	// HTTP serves the requests that are no WebSocket handshake under Serve, except /healthz
	// and /readyz. Under another HTTP server its mux does that. HandshakeTimeout bounds each
	// request and its answer; [http.ResponseController] can give a request more time. An
	// answer does not wait for the rest of the request's body. So the answer to a request
	// with a body ends the connection. Nil: / is answered with About and any other path with
	// 426, as by [ServePlain].
	HTTP http.Handler

	// ReadLimit is the longest message from a peer, in bytes after inflation.
	// 0: 16 MiB; negative: no limit.
	ReadLimit int64
	// ReadBufferSize and WriteBufferSize are the sizes of the pooled buffers in bytes. A
	// connection has one only while it contains something.
	// 0: 64 KiB; less than 512 bytes or more than 64 MiB is refused.
	ReadBufferSize, WriteBufferSize int

	// ParkAfter is for a Handler that keeps no state between messages. A connection
	// without a message for this long is parked. It then has no goroutine, uses about a
	// third of the memory, and keeps its heartbeat. A connection that has never sent a
	// message is parked after a second at most. Set it only if the Handler does as
	// follows. It reads at least once. If a read returns [ErrNoMessage], because no
	// message is there, the Handler returns that error, wrapped or not. The server calls
	// it again for the next message, so a read never waits for a message to begin. A
	// Handler that returns ErrNoMessage without a read has failed.
	//
	// Between its calls a Handler does not see a drain; the server closes the
	// connection. CloseNow ends all waiting, but the descriptor is closed when the
	// Handler has returned. The end of the stream right behind a message may be
	// reported 50 ms late. ParkAfter applies under Serve, on Linux and without TLS.
	// 0 or negative: a connection is never parked, and the Handler is called once.
	ParkAfter time.Duration

	// HandshakeTimeout bounds a handshake under Serve, from the first byte of the request
	// to the last byte of the answer. Under another server it bounds the answer only.
	// 0: 5 s; negative: off.
	HandshakeTimeout time.Duration
	// MessageTimeout bounds the waits inside a message. It runs from the first byte of the
	// first header to the last byte of the payload. Control frames in between do not
	// extend it. 0: 30 s; negative: off.
	MessageTimeout time.Duration
	// WriteTimeout is the longest time that a write may wait without enough progress. See
	// MinWriteRate. 0: 10 s; negative: off, and then MinWriteRate has no effect.
	WriteTimeout time.Duration
	// MinWriteRate is the least progress of a write that waits, in bytes per second. In
	// each WriteTimeout, the peer must acknowledge this many bytes for each second, or the
	// remaining message. Otherwise the server would keep a large message in memory for a
	// slow peer. 0: 8 KiB; negative: any progress is enough.
	MinWriteRate int64
	// HTTPIdleTimeout closes a plain HTTP connection without a request for this long, under
	// Serve. A load balancer should close its idle connections first. Common ones do so
	// after 60 s. 0: 75 s; negative: off.
	HTTPIdleTimeout time.Duration
	// IdleTimeout ends a connection without a message for this long. Pings and pongs do
	// not count. 0 or negative: off.
	IdleTimeout time.Duration
	// MaxAge ends a connection at this age, plus or minus 10 percent. So connections that
	// began together do not end together. 0 or negative: off.
	MaxAge time.Duration
	// CloseTimeout bounds the closing handshake and the wait for the peer's FIN. It is at
	// most 5 s, as coder/websocket waits no longer. 0: 3 s; negative is refused.
	CloseTimeout time.Duration

	// PingInterval, PingTimeout and MaxMissed are those of package heartbeat.
	// PingInterval 0: 20 s; negative: no heartbeat. PingTimeout 0: the smaller of
	// 10 s and half the interval. MaxMissed 0: 2; negative: none.
	PingInterval, PingTimeout time.Duration
	MaxMissed                 int

	// MaxConns is the maximum number of connections, including handshakes in progress.
	// Under Serve there may be more connections that are pending: they have not upgraded.
	// Their limit is 1000, or half of the free file descriptors if that is less. At the
	// limit, a new connection closes the oldest pending one that waits for its client. A
	// pending connection is safe for 0.4 ms times the limit, and for at least 20 ms.
	// 0: 10,000, or the limit of file descriptors minus 64 if that is less; negative: off.
	MaxConns int
	// MaxConnsPerIP is the maximum number of connections from one client. A client is an
	// IPv4 address, or all IPv6 addresses that have the same first IPv6Prefix bits. A
	// link-local IPv6 address is a client of its own. Clients of a unix socket have no
	// address and are not counted. 0 or negative: off.
	MaxConnsPerIP int
	// IPv6Prefix is the number of bits that MaxConnsPerIP compares. A customer of a
	// provider usually has a whole /64, often a /56 or a /48. 0: 64; more than 128 and
	// negative values are refused.
	IPv6Prefix int

	// DrainDelay is the time from the request of a drain to its start. The server still
	// accepts connections, and /readyz answers 503. 0: not at all.
	DrainDelay time.Duration
	// DrainNotice is the time from [Conn.Draining] to the close frame. A handler can
	// finish meanwhile. It is at most DrainTimeout, and cannot be used with ParkAfter.
	// 0: none; negative is refused.
	DrainNotice time.Duration
	// DrainSpread is the time over which a drain sends its close frames, evenly and in
	// random order. Then the clients do not reconnect to other servers at one moment.
	// Until its close frame, a connection works as before. The drain is over earlier if
	// all connections have ended. It leaves room in the DrainTimeout for DrainNotice and
	// CloseTimeout. 0: half a millisecond for each connection; negative is refused.
	DrainSpread time.Duration
	// DrainTimeout bounds a drain, from the end of the delay. The connections that are left
	// then are cut off. 0: 15 s; negative is refused.
	DrainTimeout time.Duration

	// OnStart is called for each new connection before its Handler, on a goroutine of that
	// connection. There it may call [Conn.SetReadLimit] and [Conn.SetPingInterval]. The
	// connection waits for it. A panic ends the connection with 1011. Nil: not called.
	OnStart func(*Conn)
	// OnEnd is called once for each connection when it has ended, on a goroutine of that
	// connection. It delays only the return of Serve and Shutdown. A panic is logged as
	// that of a handler. Nil: not called.
	OnEnd func(Outcome)
	// OnRefuse is called for each request that the server refuses, before the answer. It
	// gets the status and the reason, which is one sentence and may contain text of the
	// client. Status 0 means that no answer can be written. It runs on the request's
	// goroutine and delays the answer. It may be called concurrently. It is not called for
	// requests that net/http refuses, such as malformed ones. Nil: not called.
	OnRefuse func(r *http.Request, status int, reason error)
	// Observer gets the events of the Server, for metrics: see package metrics. Nil: none.
	Observer *Observer
	// Logger gets a line at level info for each ended connection, and at debug for each
	// new one. A handler that panicked is logged at error, a refused handshake at warn.
	// For each kind of refusal or panic, five lines are logged at once, then one per 10 s
	// with the number suppressed. The others are logged at debug. A string that a peer may have
	// chosen is truncated to 256 bytes. Nil: nothing is logged.
	Logger *slog.Logger
	// LogQuery logs the query of a request's URI, which may contain a token.
	// False: the log has "?…" in its place.
	LogQuery bool
	// LogHeader names a header of the request whose value is logged as request_id, cut
	// to 64 bytes. "": X-Request-Id.
	LogHeader string
}

// Defaults of Options.
const (
	DefaultReadLimit        = 16 << 20
	DefaultBufferSize       = 64 << 10
	DefaultHandshakeTimeout = 5 * time.Second
	DefaultHTTPIdleTimeout  = 75 * time.Second
	DefaultMessageTimeout   = 30 * time.Second
	DefaultWriteTimeout     = 10 * time.Second
	DefaultMinWriteRate     = 8 << 10
	DefaultCloseTimeout     = 3 * time.Second
	DefaultMaxConns         = 10_000
	DefaultIPv6Prefix       = 64
	DefaultDrainTimeout     = 15 * time.Second
	DefaultPingInterval     = heartbeat.DefaultInterval

	// MaxCloseTimeout is the longest that CloseTimeout may be.
	MaxCloseTimeout = 5 * time.Second

	// MinBufferSize and MaxBufferSize bound the sizes of the buffers.
	MinBufferSize = 512
	MaxBufferSize = 64 << 20

	// MinTimeout and MaxTimeout bound each duration that is not 0 and not off.
	MinTimeout = time.Millisecond
	MaxTimeout = 100 * 365 * 24 * time.Hour
)

// maxWriteRate is the largest MinWriteRate. More would be a mistake. The bytes of the
// longest WriteTimeout do not overflow.
const maxWriteRate = 1 << 30

// withDefaults returns o with the default for each 0. The error is that of check.
func (o Options) withDefaults() (Options, error) {
	if err := o.check(); err != nil {
		return o, err
	}
	o.ReadLimit = cmp.Or(o.ReadLimit, DefaultReadLimit)
	o.ReadBufferSize = cmp.Or(o.ReadBufferSize, DefaultBufferSize)
	o.WriteBufferSize = cmp.Or(o.WriteBufferSize, DefaultBufferSize)
	o.HandshakeTimeout = cmp.Or(o.HandshakeTimeout, DefaultHandshakeTimeout)
	o.HTTPIdleTimeout = cmp.Or(o.HTTPIdleTimeout, DefaultHTTPIdleTimeout)
	o.MessageTimeout = cmp.Or(o.MessageTimeout, DefaultMessageTimeout)
	o.WriteTimeout = cmp.Or(o.WriteTimeout, DefaultWriteTimeout)
	o.MinWriteRate = cmp.Or(o.MinWriteRate, DefaultMinWriteRate)
	o.CloseTimeout = cmp.Or(o.CloseTimeout, DefaultCloseTimeout)
	o.PingInterval = cmp.Or(o.PingInterval, DefaultPingInterval)
	o.MaxConns = cmp.Or(o.MaxConns, listener.MaxConns(DefaultMaxConns))
	o.IPv6Prefix = cmp.Or(o.IPv6Prefix, DefaultIPv6Prefix)
	o.DrainTimeout = cmp.Or(o.DrainTimeout, DefaultDrainTimeout)
	o.LogHeader = http.CanonicalHeaderKey(cmp.Or(o.LogHeader, "X-Request-Id"))
	o.About = cmp.Or(o.About, "This is a WebSocket server: connect to it with a WebSocket client.")
	o.Logger = safeLogger(o.Logger)
	if o.Error == nil {
		o.Error = func(w http.ResponseWriter, _ *http.Request, status int, reason error) {
			http.Error(w, errorText(reason), status)
		}
	}
	return o, nil
}

// An OptionError is New's error for a wrong option.
type OptionError struct {
	Field string // of Options
	See   string // another field that the reader may want; "": none
	Err   error  // what is wrong and what would be right
}

// Error returns the field, what is wrong with it, and the other field.
func (e *OptionError) Error() string {
	text := "server: " + e.Field + ": " + e.Err.Error()
	if e.See != "" {
		text += "; see " + e.See
	}
	return text
}

// Unwrap returns Err.
func (e *OptionError) Unwrap() error { return e.Err }

func optionError(field, format string, args ...any) error {
	return &OptionError{Field: field, Err: fmt.Errorf(format, args...)}
}

// check returns an *OptionError for the first wrong option.
func (o Options) check() error {
	for _, p := range o.OriginPatterns {
		if err := checkPattern("OriginPatterns", p); err != nil {
			return err
		}
	}
	for _, p := range o.LocalOriginPatterns {
		if err := checkPattern("LocalOriginPatterns", p); err != nil {
			return err
		}
	}
	see := "OriginPatterns"
	if len(o.OriginPatterns) == 0 {
		see = "LocalOriginPatterns"
	}
	patterns := len(o.OriginPatterns)+len(o.LocalOriginPatterns) > 0
	if o.AllowAnyOrigin && (patterns || o.CheckOrigin != nil) {
		if o.CheckOrigin != nil {
			see = "CheckOrigin"
		}
		return &OptionError{"AllowAnyOrigin", see, errors.New("it allows what the other would refuse; use one of them")}
	}
	if o.CheckOrigin != nil && patterns {
		return &OptionError{"CheckOrigin", see, errors.New("it decides alone; use one of them")}
	}
	if _, err := checkPrefixes(o.TrustedProxies); err != nil {
		return err
	}
	for _, h := range o.Hosts {
		if err := checkHostPort(withBrackets(h), ""); err != nil {
			return optionError("Hosts", "%q is not a host as in a Host header, such as example.com or example.com:8080: %w", h, err)
		}
	}
	if o.LogHeader != "" && !handshake.IsToken(o.LogHeader) {
		return optionError("LogHeader", "%q is not the name of a header", o.LogHeader)
	}
	for _, s := range o.Subprotocols {
		if !handshake.IsToken(s) {
			return optionError("Subprotocols", "%q is not a token (letters, digits and !#$%%&'*+-.^_`|~)", s)
		}
	}
	switch o.Compression {
	case websocket.CompressionDisabled, websocket.CompressionContextTakeover, websocket.CompressionNoContextTakeover:
	default:
		return optionError("Compression", "mode %d does not exist", o.Compression)
	}
	if o.MinWriteRate > maxWriteRate {
		return optionError("MinWriteRate", "%d bytes per second are more than %d GiB", o.MinWriteRate, maxWriteRate>>30)
	}
	if o.IPv6Prefix < 0 || o.IPv6Prefix > 128 {
		return optionError("IPv6Prefix", "%d is not a number of bits from 1 to 128", o.IPv6Prefix)
	}
	if err := o.checkBounds(); err != nil {
		return err
	}
	if o.CloseTimeout > MaxCloseTimeout {
		return optionError("CloseTimeout", "%v is longer than %v, the longest wait for a close frame", o.CloseTimeout, MaxCloseTimeout)
	}
	if interval := cmp.Or(o.PingInterval, DefaultPingInterval); interval > 0 && o.PingTimeout > interval {
		return &OptionError{"PingTimeout", "PingInterval", fmt.Errorf("%v is longer than the interval of %v", o.PingTimeout, interval)}
	}
	if limit := cmp.Or(o.DrainTimeout, DefaultDrainTimeout); o.DrainNotice > limit {
		return &OptionError{"DrainNotice", "DrainTimeout", fmt.Errorf("%v is longer than the drain timeout of %v", o.DrainNotice, limit)}
	}
	if room := cmp.Or(o.DrainTimeout, DefaultDrainTimeout) - o.DrainNotice - cmp.Or(o.CloseTimeout, DefaultCloseTimeout); o.DrainSpread > max(0, room) {
		return &OptionError{"DrainSpread", "DrainTimeout", fmt.Errorf("%v is longer than %v, which the drain timeout leaves for it besides the close timeout and the drain notice", o.DrainSpread, max(0, room))}
	}
	if o.DrainNotice > 0 && o.ParkAfter > 0 {
		return &OptionError{"DrainNotice", "ParkAfter", errors.New("a handler of connections that are parked cannot see it; set one of them")}
	}
	if _, err := o.monitor(); err != nil {
		return optionError("PingInterval", "%w", err)
	}
	return nil
}

// checkBounds returns an *OptionError for the first size or duration out of bounds, or
// negative though it cannot be off.
func (o Options) checkBounds() error {
	for _, f := range []struct {
		name  string
		bytes int
	}{
		{"ReadBufferSize", o.ReadBufferSize},
		{"WriteBufferSize", o.WriteBufferSize},
	} {
		switch {
		case f.bytes < 0:
			return optionError(f.name, "it is negative, and it cannot be off")
		case f.bytes != 0 && f.bytes < MinBufferSize, f.bytes > MaxBufferSize:
			return optionError(f.name, "%d bytes are not from %d bytes to %d MiB", f.bytes, MinBufferSize, MaxBufferSize>>20)
		}
	}
	for _, f := range []struct {
		name  string
		value time.Duration
		off   bool // negative is off
	}{
		{"HandshakeTimeout", o.HandshakeTimeout, true},
		{"MessageTimeout", o.MessageTimeout, true},
		{"WriteTimeout", o.WriteTimeout, true},
		{"HTTPIdleTimeout", o.HTTPIdleTimeout, true},
		{"IdleTimeout", o.IdleTimeout, true},
		{"MaxAge", o.MaxAge, true},
		{"CloseTimeout", o.CloseTimeout, false},
		{"PingInterval", o.PingInterval, true},
		{"PingTimeout", o.PingTimeout, false},
		{"ParkAfter", o.ParkAfter, true},
		{"DrainDelay", o.DrainDelay, false},
		{"DrainNotice", o.DrainNotice, false},
		{"DrainSpread", o.DrainSpread, false},
		{"DrainTimeout", o.DrainTimeout, false},
	} {
		switch {
		case f.value < 0 && !f.off:
			return optionError(f.name, "it is negative, and it cannot be off")
		case f.value > 0 && f.value < MinTimeout:
			return optionError(f.name, "%v is shorter than %v", f.value, MinTimeout)
		case f.value > MaxTimeout:
			return optionError(f.name, "%v is longer than a hundred years", f.value)
		}
	}
	return nil
}

// monitor returns the heartbeat of one connection, nil if it is off.
func (o Options) monitor() (*heartbeat.Monitor, error) {
	if o.PingInterval < 0 {
		return nil, nil
	}
	return heartbeat.New(heartbeat.Options{Interval: o.PingInterval, Timeout: o.PingTimeout, MaxMissed: o.MaxMissed})
}
