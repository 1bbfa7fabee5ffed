package command

import (
	"context"
	"errors"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"

	"example.com/wsecho/server"
)

// parsed returns the flags of a command line of wsecho serve.
func parsed(t *testing.T, args ...string) *serveCommand {
	t.Helper()
	var line commandLine
	parser, err := kong.New(&line)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.Parse(args); err != nil {
		t.Fatal(err)
	}
	return &line.Serve
}

// TestDefaults compares the defaults in the help with those of package server.
func TestDefaults(t *testing.T) {
	got := parsed(t).serverOptions()
	want := server.Options{
		About:            got.About,
		HoldReplies:      true,
		ParkAfter:        10 * time.Second,
		ReadLimit:        server.DefaultReadLimit,
		ReadBufferSize:   server.DefaultBufferSize,
		WriteBufferSize:  server.DefaultBufferSize,
		HandshakeTimeout: server.DefaultHandshakeTimeout,
		MessageTimeout:   server.DefaultMessageTimeout,
		WriteTimeout:     server.DefaultWriteTimeout,
		IdleTimeout:      off,
		MaxAge:           off,
		CloseTimeout:     server.DefaultCloseTimeout,
		PingInterval:     server.DefaultPingInterval,
		MaxMissed:        2,
		MaxConnsPerIP:    off,
		DrainTimeout:     server.DefaultDrainTimeout,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// TestOptions checks that each flag sets one option, and that each option has a flag or
// is known to have none.
func TestOptions(t *testing.T) {
	set := map[string]string{
		"--origin": "example.com", "--any-origin": "true", "--host": "example.com", "--subprotocol": "chat",
		"--compression": "context-takeover", "--read-limit": "7", "--read-buffer": "7", "--write-buffer": "7",
		"--handshake-timeout": "7s", "--message-timeout": "7s", "--write-timeout": "7s", "--idle-timeout": "7s",
		"--max-age": "7s", "--close-timeout": "4s", "--ping-interval": "7s", "--ping-timeout": "4s",
		"--max-missed": "7", "--max-conns": "7", "--max-conns-per-ip": "7", "--drain-delay": "7s", "--drain-timeout": "7s",
	}
	without := []string{"CheckOrigin", "Error", "Admit", "About", "HoldReplies", "ParkAfter", "DrainNotice", "OnEnd", "Logger"}
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
		want := "WSECHO_" + strings.ToUpper(strings.ReplaceAll(flag.Name, "-", "_"))
		if !slices.Equal(flag.Envs, []string{want}) {
			t.Errorf("--%s has the variables %q, want %s", flag.Name, flag.Envs, want)
		}
	}
}

// TestFlagError checks that an error of package server names flags, not options.
func TestFlagError(t *testing.T) {
	for _, o := range []server.Options{
		{OriginPatterns: []string{"*"}},
		{Hosts: []string{""}},
		{Subprotocols: []string{""}},
		{Compression: 17},
		{ReadBufferSize: -1},
		{WriteBufferSize: -1},
		{CloseTimeout: -1},
		{CloseTimeout: time.Minute},
		{PingTimeout: -1},
		{PingTimeout: time.Hour},
		{PingInterval: time.Second, PingTimeout: time.Minute},
		{DrainDelay: -1},
		{DrainTimeout: -1},
	} {
		_, err := server.New(func(context.Context, *server.Conn) error { return nil }, o)
		if err == nil {
			t.Errorf("New accepts %+v", o)
			continue
		}
		got := flagError(err, serveFlags).Error()
		if !strings.HasPrefix(got, "--") || regexp.MustCompile(`\b[A-Z][a-z]+[A-Z]|: .*: |^\w+: `).MatchString(got) {
			t.Errorf("%q became %q, which does not name a flag", err, got)
		}
	}
	got := flagError(errors.New(`server: Hosts: "a \" MaxConns" is not MaxConns`), serveFlags).Error()
	if want := `--host: "a \" MaxConns" is not --max-conns`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestEmptyVariables(t *testing.T) {
	t.Setenv("WSECHO_ADDR", "")
	t.Setenv("WSECHO_HOST", "example.com")
	t.Setenv("WSECHOES", "")
	if err := unsetEmpty(os.Environ()); err != nil {
		t.Fatal(err)
	}
	if _, ok := os.LookupEnv("WSECHO_ADDR"); ok {
		t.Error("the empty WSECHO_ADDR is still set")
	}
	for _, name := range []string{"WSECHO_HOST", "WSECHOES"} {
		if _, ok := os.LookupEnv(name); !ok {
			t.Errorf("%s was unset", name)
		}
	}
}
