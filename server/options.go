package server

import (
	"cmp"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/coder/websocket"

	"example.com/wsecho/heartbeat"
	"example.com/wsecho/internal/listener"
)

// Options are what a Server can be told. The zero value is safe on the open
// internet: pages of other origins are refused, every message, wait and number
// of connections is bounded, and peers that are gone are found out.
//
// Of each field the comment ends with what 0 means, the default, and what a
// negative value means, mostly off. New refuses what makes no sense.
type Options struct {
	// OriginPatterns are the origins, besides the server's own host, whose pages
	// may connect. A pattern is matched with [path.Match] and without regard to
	// case against the host and port of the Origin header, or against scheme and
	// host where it has a "://". None: the server's own host only. A request
	// without an Origin header does not come from a page and is let in; the
	// origin "null" never is.
	OriginPatterns []string
	// AllowAnyOrigin lets any page of the web connect, with the cookies that its
	// user has here. False: OriginPatterns or CheckOrigin decide.
	AllowAnyOrigin bool
	// CheckOrigin decides alone whether a handshake is let in, as in gorilla: it
	// is asked about every one, those from the server's own host and those without
	// an Origin header too. It is for what patterns cannot say, and refused beside
	// OriginPatterns or AllowAnyOrigin. Nil: the patterns decide.
	CheckOrigin func(*http.Request) bool
	// Hosts are the Host headers that are answered, with port or for any port
	// without, as a defence against DNS rebinding. None: any.
	Hosts []string
	// Subprotocols are offered in order of preference; the first that the client
	// asks for is chosen (RFC 6455, section 1.9). None: no subprotocol.
	Subprotocols []string
	// Compression is whether permessage-deflate (RFC 7692) is negotiated. Without
	// context takeover each message is compressed by itself, from 512 bytes on,
	// and a connection takes no memory for it between messages. With it, from 128
	// bytes on, a connection keeps up to 1.2 MB: 32 KiB for the peer's messages, and
	// the rest for its own, which no more than 128 connections of the process do
	// at a time, and none that rests.
	// 0: websocket.CompressionDisabled.
	Compression websocket.CompressionMode
	// Error answers a request that is refused, with status and a reason that is
	// one sentence. Headers such as Retry-After are set already. Nil: the reason
	// as plain text.
	Error func(w http.ResponseWriter, r *http.Request, status int, reason error)
	// Admit is called for each handshake that is right and whose origin is allowed.
	// Its value becomes the connection's [Conn.Value], as the request does not outlive
	// the handshake under Serve. Its error refuses the handshake with status 403 and
	// the error's text. An error with a method HTTPStatus() int chooses the status.
	// Nil: every such handshake is admitted and has the value nil.
	Admit func(*http.Request) (value any, err error)
	// About is the line that a plain GET of / is answered with.
	// "": one that says that this is a WebSocket server.
	About string

	// ReadLimit is the longest message from a peer, in bytes after inflation.
	// 0: 32 MiB; negative: no limit.
	ReadLimit int64
	// ReadBufferSize and WriteBufferSize are the sizes of the buffers, in bytes,
	// that a connection takes from a pool while it has something in them.
	// 0: 64 KiB; negative is refused.
	ReadBufferSize, WriteBufferSize int
	// HoldReplies lets what is written wait while more input of the same
	// connection is in hand, so that many replies leave in one write. It is for
	// handlers that read on at once, like an echo; a handler that pauses between
	// a write and the next read would delay its replies. False: nothing waits.
	HoldReplies bool

	// ParkAfter is for a Handler that keeps no state between messages. A connection
	// without a message for this long is parked: it keeps no goroutine, about a third
	// of the memory, and its heartbeat. A connection that has never sent a message is
	// parked after a second at most. Set it only if the Handler does as follows. It
	// reads at least once. If a read returns [ErrNoMessage], because no message is
	// there, the Handler returns that error, wrapped or not. The server calls it again
	// for the next message, so a read never waits for a message to begin.
	//
	// Between its calls a Handler does not see a drain; the server closes the
	// connection. CloseNow ends all waiting, but the descriptor is closed when the
	// Handler has returned. The end of the stream right behind a message may be
	// reported 50 ms late. ParkAfter applies under Serve, on Linux and without TLS.
	// 0 or negative: a connection is never parked, and the Handler is called once.
	ParkAfter time.Duration

	// HandshakeTimeout bounds a handshake from the first byte of the request to
	// the last of the answer under Serve, and the answer alone under another
	// server. 0: 5 s; negative: off.
	HandshakeTimeout time.Duration
	// MessageTimeout bounds the time that is waited for the rest of a message,
	// from the first byte of its first header to the last of its payload. Control
	// frames in between do not stop the clock. 0: 30 s; negative: off.
	MessageTimeout time.Duration
	// WriteTimeout is for how long the system may take no byte of what is
	// written; any progress starts it again. 0: 10 s; negative: off.
	WriteTimeout time.Duration
	// IdleTimeout ends a connection on which no message has come for so long;
	// pings and pongs do not count. 0 or negative: off.
	IdleTimeout time.Duration
	// MaxAge ends a connection at this age, give or take ten percent, so that
	// those which came together do not leave together. 0 or negative: off.
	MaxAge time.Duration
	// CloseTimeout bounds each ending: the close frames both ways and the peer's
	// FIN. 0: 3 s; negative, and more than the 5 s that coder/websocket waits at
	// most, is refused.
	CloseTimeout time.Duration

	// PingInterval, PingTimeout and MaxMissed are those of package heartbeat.
	// PingInterval 0: 20 s; negative: no heartbeat. PingTimeout 0: the smaller of
	// 10 s and half the interval. MaxMissed 0: 2; negative: none.
	PingInterval, PingTimeout time.Duration
	MaxMissed                 int

	// MaxConns is how many connections there may be, those in their handshake
	// included. Under Serve there may be 1000 more that have not asked for a
	// WebSocket, or as many as there are descriptors; when they are so many, those
	// that have asked for nothing for a second make room for others.
	// 0: 10,000, or the limit of file descriptors less 64 where that is less;
	// negative: off.
	MaxConns int
	// MaxConnsPerIP is how many of them may come from one client address.
	// 0 or negative: off.
	MaxConnsPerIP int

	// DrainDelay is how long a server that is told to end still accepts
	// connections while /readyz says 503 already. 0: not at all.
	DrainDelay time.Duration
	// DrainNotice is how long before its close frame a handler hears of the
	// drain from [Conn.Draining], to finish by itself. 0: the two come together.
	DrainNotice time.Duration
	// DrainTimeout is how long a drain takes at most, from the end of the delay;
	// connections that are left are cut. 0: 15 s; negative is refused.
	DrainTimeout time.Duration

	// OnEnd is called once for each connection when it has ended, from its own
	// goroutine. It delays nothing but the return of Serve and Shutdown.
	// Nil: nothing is called.
	OnEnd func(Outcome)
	// Logger gets one line at level info for each connection that ended, one at
	// debug for each that began, and one at error for a handler that panicked. Of a
	// string that a peer may have chosen a line has 256 bytes at most, and how many
	// are left out.
	// Nil: nothing is logged.
	Logger *slog.Logger
}

// Defaults of Options.
const (
	DefaultReadLimit        = 16 << 20
	DefaultBufferSize       = 64 << 10
	DefaultHandshakeTimeout = 5 * time.Second
	DefaultMessageTimeout   = 30 * time.Second
	DefaultWriteTimeout     = 10 * time.Second
	DefaultCloseTimeout     = 3 * time.Second
	DefaultMaxConns         = 10_000
	DefaultDrainTimeout     = 15 * time.Second
	DefaultPingInterval     = heartbeat.DefaultInterval

	// MaxCloseTimeout is the longest that CloseTimeout may be.
	MaxCloseTimeout = 5 * time.Second
)

// withDefaults returns o with its zeros filled in, off as 0 or less, or what is
// wrong with it.
func (o Options) withDefaults() (Options, error) {
	if err := o.check(); err != nil {
		return o, err
	}
	o.ReadLimit = cmp.Or(o.ReadLimit, DefaultReadLimit)
	o.ReadBufferSize = cmp.Or(o.ReadBufferSize, DefaultBufferSize)
	o.WriteBufferSize = cmp.Or(o.WriteBufferSize, DefaultBufferSize)
	o.HandshakeTimeout = cmp.Or(o.HandshakeTimeout, DefaultHandshakeTimeout)
	o.MessageTimeout = cmp.Or(o.MessageTimeout, DefaultMessageTimeout)
	o.WriteTimeout = cmp.Or(o.WriteTimeout, DefaultWriteTimeout)
	o.CloseTimeout = cmp.Or(o.CloseTimeout, DefaultCloseTimeout)
	o.PingInterval = cmp.Or(o.PingInterval, DefaultPingInterval)
	o.MaxConns = cmp.Or(o.MaxConns, listener.MaxConns(DefaultMaxConns))
	o.DrainTimeout = cmp.Or(o.DrainTimeout, DefaultDrainTimeout)
	o.About = cmp.Or(o.About, "This is a WebSocket server: connect to it with a WebSocket client.")
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Error == nil {
		o.Error = func(w http.ResponseWriter, _ *http.Request, status int, reason error) {
			http.Error(w, reason.Error(), status)
		}
	}
	return o, nil
}

// An OptionError is New's error for an option that makes no sense.
type OptionError struct {
	Field string // of Options
	Err   error  // what is wrong and what would be right
}

// Error returns the field and what is wrong with it.
func (e *OptionError) Error() string { return "server: " + e.Field + ": " + e.Err.Error() }

// Unwrap returns Err.
func (e *OptionError) Unwrap() error { return e.Err }

func optionError(field, format string, args ...any) error {
	return &OptionError{field, fmt.Errorf(format, args...)}
}

// check returns an *OptionError for the first option that makes no sense.
func (o Options) check() error {
	for _, p := range o.OriginPatterns {
		if err := checkPattern(p); err != nil {
			return err
		}
	}
	if o.AllowAnyOrigin && (len(o.OriginPatterns) > 0 || o.CheckOrigin != nil) {
		return optionError("AllowAnyOrigin", "it leaves OriginPatterns and CheckOrigin nothing to decide; use one of them")
	}
	if o.CheckOrigin != nil && len(o.OriginPatterns) > 0 {
		return optionError("CheckOrigin", "it decides alone and leaves OriginPatterns nothing to decide; use one of them")
	}
	for _, h := range o.Hosts {
		if h == "" || strings.ContainsAny(h, "/*?@ \t") {
			return optionError("Hosts", "%q is not a host as in a Host header, such as example.com or example.com:8080", h)
		}
	}
	for _, s := range o.Subprotocols {
		if !isToken(s) {
			return optionError("Subprotocols", "%q is not a token (letters, digits and !#$%%&'*+-.^_`|~)", s)
		}
	}
	switch o.Compression {
	case websocket.CompressionDisabled, websocket.CompressionContextTakeover, websocket.CompressionNoContextTakeover:
	default:
		return optionError("Compression", "mode %d does not exist", o.Compression)
	}
	for _, f := range []struct {
		name  string
		value int64
	}{
		{"ReadBufferSize", int64(o.ReadBufferSize)},
		{"WriteBufferSize", int64(o.WriteBufferSize)},
		{"CloseTimeout", int64(o.CloseTimeout)},
		{"PingTimeout", int64(o.PingTimeout)},
		{"DrainDelay", int64(o.DrainDelay)},
		{"DrainNotice", int64(o.DrainNotice)},
		{"DrainTimeout", int64(o.DrainTimeout)},
	} {
		if f.value < 0 {
			return optionError(f.name, "it is negative, and it cannot be off")
		}
	}
	if o.CloseTimeout > MaxCloseTimeout {
		return optionError("CloseTimeout", "%v is longer than %v, the longest wait for a close frame", o.CloseTimeout, MaxCloseTimeout)
	}
	if interval := cmp.Or(o.PingInterval, DefaultPingInterval); interval > 0 && o.PingTimeout > interval {
		return optionError("PingTimeout", "%v is longer than PingInterval %v", o.PingTimeout, interval)
	}
	if _, err := o.monitor(); err != nil {
		return optionError("PingInterval", "%w", err)
	}
	return nil
}

// monitor makes the heartbeat of one connection, nil where it is off.
func (o Options) monitor() (*heartbeat.Monitor, error) {
	if o.PingInterval < 0 {
		return nil, nil
	}
	return heartbeat.New(heartbeat.Options{Interval: o.PingInterval, Timeout: o.PingTimeout, MaxMissed: o.MaxMissed})
}

// isToken is RFC 9110, section 5.6.2.
func isToken(s string) bool {
	for i := range len(s) {
		if !isTokenByte(s[i]) {
			return false
		}
	}
	return s != ""
}

func isTokenByte(c byte) bool {
	alnum := c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
	return alnum || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
}
