package command

import (
	"cmp"
	"context"
	"io"
	"net/url"
	"os"
	"time"

	"example.com/wsecho/heartbeat"
	"example.com/wsecho/probe"
)

// A connectCommand holds the flags of wsecho connect.
type connectCommand struct {
	URL string `arg:"" name:"url" env:"WSECHO_CONNECT_URL" help:"ws:// or wss:// URL of any server. Unless given, the variable WSECHO_CONNECT_URL."`

	NoCommands bool `group:"messages" env:"WSECHO_CONNECT_NO_COMMANDS" help:"Send lines that begin with a slash too. For scripts that send any text."`
	ReadLimit  size `group:"messages" env:"WSECHO_CONNECT_READ_LIMIT" default:"16MiB" off:"" help:"Longest message to receive, or off. A longer one ends the connection with 1009."`
	WriteLimit size `group:"messages" env:"WSECHO_CONNECT_WRITE_LIMIT" default:"16MiB" help:"Longest message to send: a line of stdin, or a file."`

	Timeout duration `group:"time" env:"WSECHO_CONNECT_TIMEOUT" default:"5s" help:"Longest time to connect, to send a message, or to wait for a pong or a close frame."`
	Wait    duration `group:"time" env:"WSECHO_CONNECT_WAIT" default:"5s" off:"" zero:"" help:"Longest time to wait for answers after the end of stdin, one for each message. 0s: wait for none. off: stay until the server closes."`

	PingInterval duration `group:"heartbeat" env:"WSECHO_CONNECT_PING_INTERVAL" default:"off" off:"" help:"Interval of pings, or off."`
	MaxMissed    count    `group:"heartbeat" env:"WSECHO_CONNECT_MAX_MISSED" default:"2" zero:"" help:"Pings in a row that may be missed. After one more, with nothing received, the connection ends as no pong."`

	clientFlags  `embed:"" envprefix:"WSECHO_CONNECT_"`
	connectFlags `embed:"" envprefix:"WSECHO_CONNECT_"`

	JSON  bool `group:"result" name:"json" env:"WSECHO_CONNECT_JSON" help:"Print one line of JSON for each message and each event."`
	Pings bool `group:"result" env:"WSECHO_CONNECT_PINGS" help:"Show the pings of the server too."`
	Show  size `group:"result" env:"WSECHO_CONNECT_SHOW" default:"1KiB" off:"" help:"Longest part of a message to print on a terminal, or off for all of it."`
	Quiet bool `group:"result" env:"WSECHO_CONNECT_QUIET" help:"Print messages only: no line when the connection opens or ends."`

	stdin io.Reader // nil: os.Stdin
}

// connectFlagNames maps the names of probe.ConnOptions to flags.
var connectFlagNames = map[string]string{"Timeout": "--timeout", "Subprotocols": "--subprotocol", "Header": "--header"}

// Help returns the part of the help between its first line and the flags.
func (*connectCommand) Help() string {
	return `wsecho connect sends each line of stdin as a text message, without its line end. On a terminal, lines can be edited, and the up key shows earlier ones. These lines are commands:

/ping sends a ping. /close [CODE [REASON]] closes the connection, with 1000 unless given. /binary HEX sends a binary message. /file PATH [text|binary] sends a file: as text if it is UTF-8, unless given. /help lists the commands. A line that begins with // sends the text from the second slash.

On a terminal, each received message is a line with its time, type and size. Otherwise stdout has each message on a line of its own. A text is printed as it is, and a binary message as hexadecimal digits. Everything else is on stderr. With --json, stdout has one line of JSON for each event.

At the end of stdin, wsecho connect waits for one answer to each message, at most for --wait. It then closes with 1000. Ctrl-C closes at once.

The exit codes are those of wsecho probe. 0 means closed normally, 3 connecting, 4 TLS, 5 the handshake, 6 lost pongs or no answer within --wait. 7 means a close code other than 1000, or no answer to the close frame. 8 means going away (1001), 9 an end without a close frame, 10 a violation of the protocol. 2 is a mistake in the arguments, or in a line if stdin is no terminal. 1 is any other error.

It uses the proxies of the environment; --proxy=none prevents that. Redirects are not followed. Each flag has an environment variable: --wait is WSECHO_CONNECT_WAIT.`
}

// Run talks to the server until the connection ends.
func (f *connectCommand) Run(ctx context.Context, out streams, w warnings) error {
	t, err := f.talk(out)
	if err != nil {
		return err
	}
	w.print(out)
	return t.runBounded(ctx)
}

// talk returns the talk that the flags ask for.
func (f *connectCommand) talk(out streams) (*talk, error) {
	address, err := asciiURL(f.URL)
	if err != nil {
		return nil, err
	}
	header, err := f.header()
	if err != nil {
		return nil, err
	}
	if header["User-Agent"] == nil {
		header.Set("User-Agent", "wsecho-connect")
	}
	config, err := f.tlsConfig()
	if err != nil {
		return nil, err
	}
	dial, err := f.dialer(address, environmentProxy, config)
	if err != nil {
		return nil, err
	}
	t := &talk{f: f, address: address, stop: make(chan stopRequest, 1), answered: make(chan struct{}, 1), pings: make(chan struct{}, maxPings)}
	t.options = probe.ConnOptions{
		Connect: probe.Options{
			Timeout: time.Duration(f.Timeout), Header: header, Subprotocols: f.Subprotocol, TLS: config, DialContext: dial,
		},
		ReadLimit: int64(f.ReadLimit),
	}
	if f.PingInterval != off {
		interval := time.Duration(f.PingInterval)
		t.options.Heartbeat, err = heartbeat.New(heartbeat.Options{
			Interval: interval, Timeout: min(interval, time.Duration(f.Timeout)), MaxMissed: cmp.Or(int(f.MaxMissed), -1),
			TransportState: &t.reads,
		})
		if err != nil {
			return nil, flagError(err, map[string]string{"Interval": "--ping-interval"})
		}
	}
	if err := t.options.Check(address); err != nil {
		return nil, flagError(err, connectFlagNames)
	}
	name := address
	if u, err := url.Parse(address); err == nil {
		name = u.Redacted()
	}
	t.name = name
	t.view = &talkView{f: f, url: name, out: out.stdout, notes: out.stderr, dialed: dial != nil, human: !f.JSON && isTerminal(out.stdout)}
	if f.Pings {
		t.options.OnPing = func(payload []byte) {
			t.reads.Waiting(false)
			t.printed(t.view.ping(payload))
			t.reads.Waiting(true)
		}
	}
	t.stdin = f.stdin
	if t.stdin == nil {
		t.stdin = os.Stdin
	}
	return t, nil
}
