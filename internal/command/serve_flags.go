package command

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/alecthomas/kong"
	"github.com/coder/websocket"

	"example.com/wsecho/server"
)

// groups are the groups of flags in the help of all subcommands.
var groups = []kong.Group{
	{Key: "access", Title: "Access:"},
	{Key: "tls", Title: "TLS, for TCP addresses:"},
	{Key: "admin", Title: "Admin listener:"},
	{Key: "messages", Title: "Messages:"},
	{Key: "timeouts", Title: "Timeouts; each can be off:"},
	{Key: "heartbeat", Title: "Heartbeat:"},
	{Key: "limits", Title: "Limits; each can be off:"},
	{Key: "shutdown", Title: "Shutdown:"},
	{Key: "log", Title: "Log, on stderr:"},
	{Key: "load", Title: "Load:"},
	{Key: "handshake", Title: "Handshake:"},
	{Key: "connect", Title: "Connection:"},
	{Key: "time", Title: "Time:"},
	{Key: "idle", Title: "Idle timeout:"},
	{Key: "result", Title: "Result, on stdout:"},
}

// A serveCommand holds the flags of wsecho serve. The defaults are repeated here so
// that the help shows them. TestDefaults compares them with those of package server.
type serveCommand struct {
	Addr          []string `group:"access" default:":8080" help:"Address to listen on: :8080, 127.0.0.1:8080, unix:/run/wsecho.sock, or systemd for the sockets of a socket unit. Port 0 is any free port. Repeatable."`
	UnixMode      fileMode `group:"access" default:"0660" help:"Permissions of unix sockets of --addr, in octal digits. 0660 allows the user and the group of the process, 0666 everybody."`
	ReusePort     bool     `group:"access" name:"reuseport" help:"Share TCP addresses with other processes that have this flag. The kernel spreads the connections over them. Linux and FreeBSD only."`
	Port          noPort   `hidden:"" env:"-"`
	Origin        []string `group:"access" placeholder:"PATTERN" help:"Origin whose pages may connect, besides the server's own: example.com, *.example.com:8443, https://*.example.com. Repeatable."`
	AnyOrigin     bool     `group:"access" help:"Allow pages of any origin to connect."`
	Host          []string `group:"access" placeholder:"HOST" help:"Host header to accept; any host unless set. Repeatable."`
	Subprotocol   []string `group:"access" placeholder:"NAME" help:"Subprotocol to support. The server selects the first one that the client offers too. * stands for all that the client offers, in its order. Repeatable."`
	TrustedProxy  []string `group:"access" placeholder:"CIDR" help:"Address or range of proxies whose Forwarded, X-Forwarded-For and X-Forwarded-Proto headers are believed: 10.0.0.7, 10.0.0.0/8, or unix for unix sockets. Repeatable."`
	ProxyProtocol string   `group:"access" default:"off" enum:"off,accept,require" help:"PROXY protocol, version 1 or 2, from these proxies: off, accept (with or without it) or require. Other addresses connect without it."`

	NoFaults bool `group:"access" help:"Serve no faults on request, such as ws://localhost:8080/?drop=rst. Their parameters then have no effect."`

	NoPage bool `group:"access" help:"Serve no page. Without this flag, a browser that opens http://localhost:8080/ gets a page that talks to the server."`

	TLS tlsFlags `embed:""`

	AdminAddr string `group:"admin" default:"127.0.0.1:9090" help:"Address of /metrics, /connections, /probe, /debug/pprof, /healthz, /readyz and the page that watches the connections, or off. It has no authentication, so let only operators reach it. If it is in use, the server runs without it."`

	ProbeTarget []string `group:"admin" placeholder:"PATTERN" help:"Target that /probe?target=URL on --admin-addr may probe; without it, none. Examples: wss://*.example.com/socket, example.com:8080, 10.0.0.0/8:*. Only a pattern with an address or a range allows private addresses. Repeatable."`

	Compression string `group:"messages" default:"off" enum:"off,no-context-takeover,context-takeover" help:"permessage-deflate: off, no-context-takeover or context-takeover. The last compresses better and takes up to 1.2 MB for each connection."`
	ReadLimit   size   `group:"messages" default:"16MiB" off:"" help:"Longest message, counted after decompression, or off."`
	ReadBuffer  size   `group:"messages" default:"64KiB" help:"Size of a read buffer. Only a connection with unread input holds one."`
	WriteBuffer size   `group:"messages" default:"64KiB" help:"Size of a write buffer. Only a connection with unsent output holds one."`

	HandshakeTimeout duration `group:"timeouts" default:"5s" off:"" help:"Longest handshake, from the first byte of the request to the last byte of the response, TLS included."`
	MessageTimeout   duration `group:"timeouts" default:"30s" off:"" help:"Longest time from the first to the last byte of a message."`
	WriteTimeout     duration `group:"timeouts" default:"10s" off:"" help:"Longest time that a write may wait without enough progress."`
	MinWriteRate     size     `group:"timeouts" default:"8KiB" off:"" help:"Least progress of a write that waits, in bytes per second, measured over the write timeout. off: any progress is enough."`
	HTTPIdleTimeout  duration `group:"timeouts" name:"http-idle-timeout" default:"75s" off:"" help:"Longest time that a plain HTTP connection may be without a request. A load balancer should close its idle connections first."`
	IdleTimeout      duration `group:"timeouts" default:"off" off:"" help:"Longest time without a message. Pings and pongs do not count."`
	MaxAge           duration `group:"timeouts" default:"off" off:"" help:"Longest life of a connection, plus or minus 10 %."`

	PingInterval duration `group:"heartbeat" default:"20s" off:"" help:"Interval of pings, or off."`
	PingTimeout  duration `group:"heartbeat" placeholder:"DURATION" help:"Longest time that a pong may take, at most the interval. Unless set, the smaller of 10s and half the interval."`
	MaxMissed    count    `group:"heartbeat" default:"2" zero:"" help:"Pings in a row that may be missed: no pong and no other sign of life."`

	MaxConns      count    `group:"limits" placeholder:"N" off:"" help:"Connections at once. Unless set, 10000, or fewer if the limit of open files or the memory of the container allows fewer."`
	MaxConnsPerIP count    `group:"limits" name:"max-conns-per-ip" default:"off" off:"" help:"Connections at once from one client: an IPv4 address or an IPv6 prefix."`
	IPv6Prefix    count    `group:"limits" name:"ipv6-prefix" env:"WSECHO_IPV6_PREFIX" default:"64" help:"Bits of an IPv6 address that --max-conns-per-ip compares."`
	MemoryBudget  size     `group:"limits" default:"24MiB" off:"" help:"Memory for all messages over 16KiB together."`
	MemoryWait    duration `group:"limits" default:"5s" off:"" help:"Longest time that a message waits for that memory. After that, its connection is closed with 1013."`

	CloseTimeout duration `group:"shutdown" default:"3s" help:"Longest closing handshake; at most 5s."`
	DrainDelay   duration `group:"shutdown" default:"0s" zero:"" off:"" help:"Time after the signal in which the server still accepts connections and /readyz is 503, or off."`
	DrainSpread  duration `group:"shutdown" default:"0s" zero:"" off:"" help:"Time over which a drain sends its close frames, so that clients do not reconnect at one moment. Its maximum is the drain timeout less the close timeout. 0s or off: half a millisecond for each connection."`
	DrainTimeout duration `group:"shutdown" default:"15s" help:"Longest drain after that delay. Connections that are left are cut."`

	LogFormat   string `group:"log" default:"text" enum:"text,json" help:"Format: text or json. Durations are in seconds."`
	LogLevel    string `group:"log" default:"info" enum:"debug,info,warn,error" help:"Lowest level to log: debug, info, warn or error."`
	LogQuery    bool   `group:"log" help:"Log the query of a URI, which may contain a token. Unless set, the log has ?… in its place."`
	LogHeader   string `group:"log" placeholder:"NAME" help:"Header of the request to log as request_id; X-Request-Id unless set."`
	LogMessages bool   `group:"log" help:"Print each message to stdout, quoted, 256 bytes at most. With --log-format=json, a line of JSON."`
}

// Help returns the part of the help between its first line and the flags.
func (*serveCommand) Help() string {
	return `Each flag has an environment variable: --ping-interval is WSECHO_PING_INTERVAL. A flag overrides its variable. An empty variable counts as not set. An unknown variable that begins with WSECHO_ causes a warning. Repeatable flags also take values separated by commas. Blanks and quotes around a value are removed from it.

Sizes look like 512, 64KiB or 1MB. Durations look like 500ms, 20s or 1h30m. A flag without a value in this list is a switch: --any-origin is the same as --any-origin=on. Hosts may contain any letters, such as bücher.example.

GET /healthz returns 200 while the process runs. GET /readyz returns 200 until shutdown begins.

SIGINT and SIGTERM begin the shutdown. With --tls-cert or --tls-client-ca, SIGHUP loads their files again; otherwise it begins the shutdown too.

wsecho --help lists the other commands.`
}

// convert replaces the hosts that are not ASCII by the form that a header has.
func (f *serveCommand) convert() (err error) {
	if f.Origin, err = asciiOrigins("--origin", f.Origin); err != nil {
		return err
	}
	f.Host, err = asciiOrigins("--host", f.Host)
	return err
}

// probeTargets returns the targets of --probe-target.
func (f *serveCommand) probeTargets() (targetPatterns, error) {
	if len(f.ProbeTarget) > 0 && f.AdminAddr == "off" {
		return nil, usageError{errors.New("--probe-target: it needs the address of /probe, and --admin-addr is off")}
	}
	return parseTargetPatterns(f.ProbeTarget)
}

const (
	freeSize       = 16 << 10 // of a message that needs no memory budget
	smallestBudget = 64 << 10 // for two messages of more
)

// logFormat returns the format that the flags ask for.
func (f *serveCommand) logFormat() logFormat {
	var level slog.Level
	_ = level.UnmarshalText([]byte(f.LogLevel)) // kong has checked the enum
	return logFormat{level, f.LogFormat == "json"}
}

var compressionModes = map[string]websocket.CompressionMode{
	"off":                 websocket.CompressionDisabled,
	"no-context-takeover": websocket.CompressionNoContextTakeover,
	"context-takeover":    websocket.CompressionContextTakeover,
}

// serverOptions returns the options that the flags ask for.
func (f *serveCommand) serverOptions() server.Options {
	trusted, trustUnix, _ := parseTrusted(f.TrustedProxy) // checkProxy has reported an error
	o := server.Options{
		OriginPatterns:   f.Origin,
		AllowAnyOrigin:   f.AnyOrigin,
		Hosts:            f.Host,
		TrustedProxies:   trusted,
		TrustUnixSockets: trustUnix,
		Subprotocols:     f.Subprotocol,
		Compression:      compressionModes[f.Compression],
		About:            "This is a WebSocket echo server: connect to it with a WebSocket client, and it sends back what you send.",
		ReadLimit:        int64(f.ReadLimit),
		ReadBufferSize:   int(f.ReadBuffer),
		WriteBufferSize:  int(f.WriteBuffer),
		ParkAfter:        10 * time.Second, // it keeps nothing between messages
		HandshakeTimeout: time.Duration(f.HandshakeTimeout),
		MessageTimeout:   time.Duration(f.MessageTimeout),
		WriteTimeout:     time.Duration(f.WriteTimeout),
		MinWriteRate:     int64(f.MinWriteRate),
		HTTPIdleTimeout:  time.Duration(f.HTTPIdleTimeout),
		IdleTimeout:      time.Duration(f.IdleTimeout),
		MaxAge:           time.Duration(f.MaxAge),
		CloseTimeout:     time.Duration(f.CloseTimeout),
		PingInterval:     time.Duration(f.PingInterval),
		PingTimeout:      time.Duration(f.PingTimeout),
		MaxMissed:        int(f.MaxMissed),
		MaxConns:         int(f.MaxConns),
		MaxConnsPerIP:    int(f.MaxConnsPerIP),
		IPv6Prefix:       int(f.IPv6Prefix),
		DrainDelay:       time.Duration(max(0, f.DrainDelay)), // off is no delay
		DrainSpread:      time.Duration(max(0, f.DrainSpread)),
		DrainTimeout:     time.Duration(f.DrainTimeout),
		LogQuery:         f.LogQuery,
		LogHeader:        f.LogHeader,
	}
	if f.MaxMissed == 0 {
		o.MaxMissed = -1 // 0 is the default there
	}
	return o
}

// serveFlags maps the names of server.Options to flags.
var serveFlags = map[string]string{
	"OriginPatterns":   "--origin",
	"AllowAnyOrigin":   "--any-origin",
	"Hosts":            "--host",
	"TrustedProxies":   "--trusted-proxy",
	"Subprotocols":     "--subprotocol",
	"Compression":      "--compression",
	"ReadLimit":        "--read-limit",
	"ReadBufferSize":   "--read-buffer",
	"WriteBufferSize":  "--write-buffer",
	"HandshakeTimeout": "--handshake-timeout",
	"MessageTimeout":   "--message-timeout",
	"WriteTimeout":     "--write-timeout",
	"MinWriteRate":     "--min-write-rate",
	"HTTPIdleTimeout":  "--http-idle-timeout",
	"IdleTimeout":      "--idle-timeout",
	"MaxAge":           "--max-age",
	"CloseTimeout":     "--close-timeout",
	"PingInterval":     "--ping-interval",
	"PingTimeout":      "--ping-timeout",
	"MaxMissed":        "--max-missed",
	"MaxConns":         "--max-conns",
	"MaxConnsPerIP":    "--max-conns-per-ip",
	"IPv6Prefix":       "--ipv6-prefix",
	"DrainDelay":       "--drain-delay",
	"DrainSpread":      "--drain-spread",
	"DrainTimeout":     "--drain-timeout",
	"LogQuery":         "--log-query",
	"LogHeader":        "--log-header",
}

// noPort is a flag that does not exist. Its error names the one that does.
type noPort struct{}

func (*noPort) Decode(ctx *kong.DecodeContext) error {
	port, err := popText(ctx.Scan)
	if err != nil {
		port = "8080"
	}
	return fmt.Errorf("there is no such flag; use --addr=:%s", strings.TrimPrefix(port, ":"))
}
