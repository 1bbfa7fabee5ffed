package command

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"example.com/wsecho/server"
)

// Help is the part of the help between its first line and the flags.
func (*serve) Help() string {
	return `Each flag has a variable: --ping-interval is WSECHO_PING_INTERVAL. A flag wins over its variable, and an empty variable counts as not set. What is repeatable may be separated by commas, too.

Sizes are such as 512, 64KiB or 1MB; durations such as 500ms, 20s or 1h30m.

GET /healthz is 200 while the process lives, GET /readyz until it is told to end.

wsecho bench measures echo servers, and wsecho check asks one whether it works: see wsecho bench --help and wsecho check --help.`
}

var groups = []kong.Group{
	{Key: "who", Title: "Who may connect:"},
	{Key: "messages", Title: "Messages:"},
	{Key: "time", Title: "How long things may take, or off:"},
	{Key: "alive", Title: "Whether the peer is still there:"},
	{Key: "many", Title: "How many and how much:"},
	{Key: "end", Title: "The end:"},
	{Key: "log", Title: "The log, on stderr:"},
	{Key: "load", Title: "What is sent:"},
	{Key: "handshake", Title: "The handshake:"},
	{Key: "result", Title: "The result, on stdout:"},
}

// serve are the flags of the command of this name. Defaults stand here so that
// the help shows them; a test compares them with those of the packages.
type serve struct {
	Addr        string   `group:"who" default:":8080" help:"Address to listen on; port 0 is any that is free."`
	Origin      []string `group:"who" placeholder:"PATTERN" help:"Origin whose pages may connect, besides the server's own: example.com, *.example.com:8443, https://*.example.com. Repeatable."`
	AnyOrigin   bool     `group:"who" help:"Let any page of the web connect."`
	Host        []string `group:"who" placeholder:"HOST" help:"Host header that is answered; any where none is given. Repeatable."`
	Subprotocol []string `group:"who" placeholder:"NAME" help:"Subprotocol to choose, the first that the client knows too. Repeatable."`

	Compression string `group:"messages" default:"off" enum:"off,no-context-takeover,context-takeover" help:"permessage-deflate: off, no-context-takeover, or context-takeover, which compresses better and takes up to 1.2 MB a connection."`
	ReadLimit   size   `group:"messages" default:"16MiB" off:"" help:"Longest message, after inflation; off: no limit."`
	ReadBuffer  size   `group:"messages" default:"64KiB" help:"Buffer of a connection that has something to read."`
	WriteBuffer size   `group:"messages" default:"64KiB" help:"Buffer of a connection that has something to write."`

	HandshakeTimeout duration `group:"time" default:"5s" off:"" help:"From the first byte of a request to the last of the answer."`
	MessageTimeout   duration `group:"time" default:"30s" off:"" help:"Waiting for the rest of a message that has begun."`
	WriteTimeout     duration `group:"time" default:"10s" off:"" help:"While the peer takes no byte of what it is sent."`
	IdleTimeout      duration `group:"time" default:"off" off:"" help:"Without a message; pings and pongs do not count."`
	MaxAge           duration `group:"time" default:"off" off:"" help:"Age of a connection, give or take a tenth."`

	PingInterval duration `group:"alive" default:"20s" off:"" help:"Time from one ping to the next; off: no pings."`
	PingTimeout  duration `group:"alive" placeholder:"DURATION" help:"How long a pong may take, at most the interval; the smaller of 10s and half the interval unless set."`
	MaxMissed    count    `group:"alive" default:"2" zero:"" help:"Pings in a row that may stay without any sign of life."`

	MaxConns      count    `group:"many" placeholder:"N" off:"" help:"Connections at once, or off; 10000 unless set, or as many as there may be open files, less 64."`
	MaxConnsPerIP count    `group:"many" name:"max-conns-per-ip" default:"off" off:"" help:"Connections at once from one address."`
	MemoryBudget  size     `group:"many" default:"24MiB" off:"" help:"Memory of all messages in flight together that are over 16KiB."`
	MemoryWait    duration `group:"many" default:"5s" off:"" help:"How long a message may wait for that; then it ends its connection with 1013."`

	CloseTimeout duration `group:"end" default:"3s" help:"How long the peer may take to answer a close; at most 5s."`
	DrainDelay   duration `group:"end" default:"0s" zero:"" help:"How long to go on accepting after the signal, while /readyz is 503."`
	DrainTimeout duration `group:"end" default:"15s" help:"How long the peers have to leave after that, before they are cut."`

	LogFormat   string `group:"log" default:"text" enum:"text,json" help:"Format: text or json."`
	LogLevel    string `group:"log" default:"info" enum:"debug,info,warn,error" help:"Least level that is logged: debug, info, warn or error."`
	LogMessages bool   `group:"log" help:"Print each message to stdout, quoted, and cut where it is long."`
}

// largestBuffer is far more than makes sense for a buffer of each connection.
const largestBuffer = 64 << 20

// check is for what package server cannot know.
func (f *serve) check() error {
	switch {
	case f.AnyOrigin && len(f.Origin) > 0:
		return errors.New("--any-origin leaves --origin nothing to decide: use one or the other")
	case f.ReadBuffer > largestBuffer:
		return errors.New("--read-buffer is more than 64MiB for each connection")
	case f.WriteBuffer > largestBuffer:
		return errors.New("--write-buffer is more than 64MiB for each connection")
	}
	return nil
}

// crowded reports whether a message of the read limit takes all of the memory budget,
// save what is too little for another.
func (f *serve) crowded() bool {
	const free, smallest = 16 << 10, 64 << 10
	return f.MemoryBudget != off && f.ReadLimit > free && f.MemoryBudget-f.ReadLimit < smallest
}

// options are what package server is told.
func (f *serve) options() server.Options {
	o := server.Options{
		OriginPatterns:   f.Origin,
		AllowAnyOrigin:   f.AnyOrigin,
		Hosts:            f.Host,
		Subprotocols:     f.Subprotocol,
		Compression:      compressions[f.Compression],
		About:            "This is a WebSocket echo server: connect to it with a WebSocket client, and it sends back what you send.",
		ReadLimit:        int64(f.ReadLimit),
		ReadBufferSize:   int(f.ReadBuffer),
		WriteBufferSize:  int(f.WriteBuffer),
		HoldReplies:      true, // an echo reads on at once
		Stateless:        true, // and keeps nothing
		HandshakeTimeout: time.Duration(f.HandshakeTimeout),
		MessageTimeout:   time.Duration(f.MessageTimeout),
		WriteTimeout:     time.Duration(f.WriteTimeout),
		IdleTimeout:      time.Duration(f.IdleTimeout),
		MaxAge:           time.Duration(f.MaxAge),
		CloseTimeout:     time.Duration(f.CloseTimeout),
		PingInterval:     time.Duration(f.PingInterval),
		PingTimeout:      time.Duration(f.PingTimeout),
		MaxMissed:        int(f.MaxMissed),
		MaxConns:         int(f.MaxConns),
		MaxConnsPerIP:    int(f.MaxConnsPerIP),
		DrainDelay:       time.Duration(f.DrainDelay),
		DrainTimeout:     time.Duration(f.DrainTimeout),
	}
	if f.MaxMissed == 0 {
		o.MaxMissed = -1 // 0 is the default there
	}
	return o
}

// flagOf are the flags by the names of the options that they set.
var flagOf = map[string]string{
	"OriginPatterns":   "--origin",
	"AllowAnyOrigin":   "--any-origin",
	"Hosts":            "--host",
	"Subprotocols":     "--subprotocol",
	"Compression":      "--compression",
	"ReadLimit":        "--read-limit",
	"ReadBufferSize":   "--read-buffer",
	"WriteBufferSize":  "--write-buffer",
	"HandshakeTimeout": "--handshake-timeout",
	"MessageTimeout":   "--message-timeout",
	"WriteTimeout":     "--write-timeout",
	"IdleTimeout":      "--idle-timeout",
	"MaxAge":           "--max-age",
	"CloseTimeout":     "--close-timeout",
	"PingInterval":     "--ping-interval",
	"PingTimeout":      "--ping-timeout",
	"MaxMissed":        "--max-missed",
	"MaxConns":         "--max-conns",
	"MaxConnsPerIP":    "--max-conns-per-ip",
	"DrainDelay":       "--drain-delay",
	"DrainTimeout":     "--drain-timeout",
	"Interval":         "--ping-interval", // as package heartbeat has it
	"Timeout":          "--ping-timeout",
}

var word = regexp.MustCompile(`"(?:[^"\\]|\\.)*"|\w+`) // what is quoted is the user's

// inFlags is an error of one of the packages in the words of the command line.
func inFlags(err error) error {
	text := err.Error()
	for _, p := range []string{"server: ", "heartbeat: ", "echo: "} {
		text = strings.TrimPrefix(text, p)
	}
	return fmt.Errorf("%s", word.ReplaceAllStringFunc(text, func(w string) string {
		if flag, ok := flagOf[w]; ok {
			return flag
		}
		return w
	}))
}
