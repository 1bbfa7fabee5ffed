package command

import (
	"context"
	"io"
	"math"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"

	"example.com/wsecho/load"
	"example.com/wsecho/probe"
	"example.com/wsecho/server"
)

// parsed returns the flags of a command line of wsecho serve.
func parsed(t *testing.T, args ...string) *serveCommand {
	t.Helper()
	return &parse(t, args...).Serve
}

// parse returns the parsed flags of a command line.
func parse(t *testing.T, args ...string) *commandLine {
	t.Helper()
	var line commandLine
	parser, err := newParser(&line, "", streams{io.Discard, io.Discard}, func(int) {})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.Parse(args); err != nil {
		t.Fatal(err)
	}
	return &line
}

// TestDefaults compares the defaults in the help with those of package server.
func TestDefaults(t *testing.T) {
	got := parsed(t).serverOptions()
	want := server.Options{
		About:            got.About,
		ParkAfter:        10 * time.Second,
		ReadLimit:        server.DefaultReadLimit,
		ReadBufferSize:   server.DefaultBufferSize,
		WriteBufferSize:  server.DefaultBufferSize,
		HandshakeTimeout: server.DefaultHandshakeTimeout,
		MessageTimeout:   server.DefaultMessageTimeout,
		WriteTimeout:     server.DefaultWriteTimeout,
		MinWriteRate:     server.DefaultMinWriteRate,
		HTTPIdleTimeout:  server.DefaultHTTPIdleTimeout,
		IdleTimeout:      off,
		MaxAge:           off,
		CloseTimeout:     server.DefaultCloseTimeout,
		PingInterval:     server.DefaultPingInterval,
		MaxMissed:        2,
		MaxConnsPerIP:    off,
		IPv6Prefix:       server.DefaultIPv6Prefix,
		DrainTimeout:     server.DefaultDrainTimeout,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// TestOptions checks that each flag sets one option. Each option has a flag or is listed
// without one.
func TestOptions(t *testing.T) {
	set := map[string]string{
		"--origin": "example.com", "--any-origin": "true", "--host": "example.com", "--trusted-proxy": "10.0.0.0/8", "--subprotocol": "chat",
		"--compression": "context-takeover", "--read-limit": "7", "--read-buffer": "777", "--write-buffer": "777",
		"--handshake-timeout": "7s", "--message-timeout": "7s", "--write-timeout": "7s", "--min-write-rate": "7", "--idle-timeout": "7s",
		"--max-age": "7s", "--close-timeout": "4s", "--ping-interval": "7s", "--ping-timeout": "4s",
		"--max-missed": "7", "--max-conns": "7", "--max-conns-per-ip": "7", "--ipv6-prefix": "56", "--http-idle-timeout": "7s",
		"--drain-delay": "7s", "--drain-spread": "7s", "--drain-timeout": "7s",
		"--log-query": "true", "--log-header": "X-Trace",
	}
	without := []string{"LocalOriginPatterns", "CheckOrigin", "TrustUnixSockets", "Error", "Admit", "PerConn", "About", "HTTP", "ParkAfter", "DrainNotice", "OnStart", "OnEnd", "OnRefuse", "Observer", "Logger"}
	defaults := reflect.ValueOf(parsed(t).serverOptions())
	for i := range defaults.NumField() {
		option := defaults.Type().Field(i).Name
		flag := serveFlags[option]
		if slices.Contains(without, option) {
			if flag != "" {
				t.Errorf("the option %s has the flag %s, and is listed as having none", option, flag)
			}
			continue
		}
		if set[flag] == "" {
			t.Errorf("the option %s has no flag", option)
			continue
		}
		got := reflect.ValueOf(parsed(t, flag+"="+set[flag]).serverOptions())
		for j := range got.NumField() {
			changed := !reflect.DeepEqual(got.Field(j).Interface(), defaults.Field(j).Interface())
			if changed != (j == i) {
				t.Errorf("%s: %s changed: %v", flag, got.Type().Field(j).Name, changed)
			}
		}
		delete(set, flag)
	}
	for flag := range set {
		t.Errorf("the flag %s has no option", flag)
	}
	if got := parsed(t, "--max-missed=0").serverOptions().MaxMissed; got >= 0 {
		t.Errorf("--max-missed=0 sets %d, want a negative number, because 0 is the default", got)
	}
	if got := parsed(t, "--ping-interval=off").serverOptions().PingInterval; got >= 0 {
		t.Errorf("--ping-interval=off sets %v, want a negative number", got)
	}
}

// TestVariables checks that each flag of serve has a variable.
func TestVariables(t *testing.T) {
	var line commandLine
	parser, err := kong.New(&line, kong.DefaultEnvars("WSECHO"))
	if err != nil {
		t.Fatal(err)
	}
	for _, flag := range parser.Model.DefaultCmd.Flags {
		if flag.Hidden {
			continue
		}
		want := "WSECHO_" + strings.ToUpper(strings.ReplaceAll(flag.Name, "-", "_"))
		if !slices.Equal(flag.Envs, []string{want}) {
			t.Errorf("--%s has the variables %q, want %s", flag.Name, flag.Envs, want)
		}
	}
}

// TestFlagError checks that an error about an option names its flag, and no option.
func TestFlagError(t *testing.T) {
	newServer := func(o server.Options) error {
		_, err := server.New(func(context.Context, *server.Conn) error { return nil }, o)
		return err
	}
	check := func(o probe.Options) error {
		_, err := probe.Run(t.Context(), "ws://127.0.0.1/", o)
		return err
	}
	bench := func(p load.Plan) error { return p.Check("ws://127.0.0.1/") }
	for _, test := range []struct {
		err   error
		flags map[string]string
		want  string
	}{
		{newServer(server.Options{OriginPatterns: []string{"*"}}), serveFlags, `--origin: "*" matches every host; see --any-origin`},
		{newServer(server.Options{OriginPatterns: []string{"null"}}), serveFlags, `--origin: "null" is the origin of many pages, such as sandboxed ones, and no pattern allows it; see --any-origin`},
		{newServer(server.Options{OriginPatterns: []string{"wss://a.example:1"}}), serveFlags, `--origin: "wss://a.example:1" has the scheme of a WebSocket; an origin has the scheme of its page: "https://a.example:1"`},
		{newServer(server.Options{OriginPatterns: []string{"a"}, AllowAnyOrigin: true}), serveFlags, `--any-origin: it allows what the other would refuse; use one of them; see --origin`},
		{newServer(server.Options{Hosts: []string{`a " MaxConns`}}), serveFlags, `--host: "a \" MaxConns" is not a host as in a Host header, such as example.com or example.com:8080: a host has no ' '`},
		{newServer(server.Options{Subprotocols: []string{""}}), serveFlags, "--subprotocol: \"\" is not a token (letters, digits and !#$%&'*+-.^_`|~)"},
		{newServer(server.Options{Compression: 17}), serveFlags, `--compression: mode 17 does not exist`},
		{newServer(server.Options{ReadBufferSize: 1}), serveFlags, `--read-buffer: 1 bytes are not from 512 bytes to 64 MiB`},
		{newServer(server.Options{WriteBufferSize: -1}), serveFlags, `--write-buffer: it is negative, and it cannot be off`},
		{newServer(server.Options{CloseTimeout: time.Minute}), serveFlags, `--close-timeout: 1m0s is longer than 5s, the longest wait for a close frame`},
		{newServer(server.Options{PingInterval: time.Second, PingTimeout: time.Minute}), serveFlags, `--ping-timeout: 1m0s is longer than the interval of 1s; see --ping-interval`},
		{newServer(server.Options{PingInterval: 1}), serveFlags, `--ping-interval: 1ns is shorter than 1ms`},
		{newServer(server.Options{MaxAge: math.MaxInt64}), serveFlags, `--max-age: 2562047h47m16.854775807s is longer than a hundred years`},
		{check(probe.Options{Timeout: -1}), checkFlags, `--timeout: -1ns is not from 1ms to 1000h0m0s`},
		{check(probe.Options{Header: http.Header{"Timeout x": {""}}}), checkFlags, `--header: "Timeout x" is not a name of HTTP`},
		{bench(load.Plan{Rate: 1, InFlight: 2}), benchFlags, `--in-flight: it has no meaning in an open loop, which sends messages when they are due; see --rate`},
		{bench(load.Plan{Subprotocols: []string{"Rate Size"}}), benchFlags, `--subprotocol: "Rate Size" is not a token of HTTP`},
		{(load.Plan{}).Check("Size"), benchFlags, `"Size" does not begin with ws:// or wss://`},
	} {
		if test.err == nil {
			t.Errorf("got no error, want %s", test.want)
			continue
		}
		if got := flagError(test.err, test.flags); got.Error() != test.want || exitCode(got) != exitUsage {
			t.Errorf("%v became\n%v, want\n%s", test.err, got, test.want)
		}
	}
}
