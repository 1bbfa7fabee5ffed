package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/coder/websocket"

	"example.com/wsecho/echo"
	"example.com/wsecho/server"
)

// Run listens and serves until ctx is over and every connection has ended.
func (f *serve) Run(ctx context.Context, out output) error {
	if err := f.check(); err != nil {
		return usage{err}
	}
	logged := newLines(out.stderr, f.lost)
	defer logged.end()
	log := slog.New(lineHandler{logged, f.handler})
	e := new(echo.Echo)
	if f.MemoryBudget != off {
		var err error
		if e.Budget, err = echo.NewBudget(int64(f.MemoryBudget), int64(f.ReadLimit), time.Duration(f.MemoryWait)); err != nil {
			return usage{inFlags(err)}
		}
	}
	options := f.options()
	options.Logger = log
	s, err := server.New(func(ctx context.Context, c *server.Conn) error { return e.Serve(ctx, c) }, options)
	if err != nil {
		return usage{inFlags(err)}
	}
	l, err := listen(f.Addr)
	if err != nil {
		return err
	}
	if f.LogMessages {
		messages := newMessageLog(out.stdout)
		defer messages.end()
		e.OnMessage = messages.print
	}
	if f.AnyOrigin {
		log.Warn("any page of the web may connect, from every browser that can reach this server", "flag", "--any-origin")
	}
	if f.crowded() {
		log.Warn("messages over 16 KiB pass one at a time: the longest takes the whole budget",
			"flag", "--memory-budget", "budget", int64(f.MemoryBudget), "read-limit", int64(f.ReadLimit))
	}
	log.Info("listening", "addr", l.Addr().String(), "url", urlOf(l.Addr()))
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer context.AfterFunc(ctx, func() { // says so before the drain says anything
		log.Info("stopping; a second signal ends at once", "cause", context.Cause(ctx).Error())
		stop()
	})()
	var wg sync.WaitGroup
	defer wg.Wait()
	frugal()
	wg.Go(func() { tidy(serving, e.Budget) })
	defer stop()
	return s.Serve(serving, l)
}

// handler is that of the log.
func (f *serve) handler(w io.Writer) slog.Handler {
	var level slog.Level
	if level.UnmarshalText([]byte(f.LogLevel)) != nil {
		level = slog.LevelInfo // it is one of the four
	}
	options := &slog.HandlerOptions{Level: level}
	if f.LogFormat == "json" {
		return slog.NewJSONHandler(w, options)
	}
	return slog.NewTextHandler(w, options)
}

// lost is the line of the log that says how many are not in it.
func (f *serve) lost(lines int64) string {
	r := slog.NewRecord(time.Now(), slog.LevelWarn, "lines of the log are lost: nobody took them", 0)
	r.Add("lines", lines)
	var b strings.Builder
	_ = f.handler(&b).Handle(context.Background(), r) // a Builder takes all
	return b.String()
}

// listen says in one sentence why it cannot.
func listen(addr string) (net.Listener, error) {
	if _, port, err := net.SplitHostPort(addr); err != nil {
		return nil, usage{fmt.Errorf("--addr: %q is not an address to listen on, such as :8080 or 127.0.0.1:8080", addr)}
	} else if _, err := net.LookupPort("tcp", port); err != nil {
		return nil, usage{fmt.Errorf("--addr: there is no port %q", port)}
	}
	l, err := net.Listen("tcp", addr)
	switch {
	case err == nil:
		return l, nil
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, hinted{fmt.Errorf("cannot listen on %s: the address is in use", addr),
			"choose another with --addr, or --addr=:0 for any free port"}
	case errors.Is(err, syscall.EACCES):
		return nil, hinted{fmt.Errorf("cannot listen on %s: permission denied", addr),
			"ports below 1024 may need a privilege; choose another with --addr"}
	}
	var reason *net.OpError
	if errors.As(err, &reason) {
		err = reason.Err
	}
	return nil, fmt.Errorf("cannot listen on %s: %w", addr, err)
}

// urlOf is a URL that a client on this machine can use.
func urlOf(addr net.Addr) string {
	host, port, err := net.SplitHostPort(addr.String())
	if err != nil {
		return ""
	}
	if ip := net.ParseIP(host); ip == nil || ip.IsUnspecified() {
		host = "localhost"
	}
	return "ws://" + net.JoinHostPort(host, port) + "/"
}

var compressions = map[string]websocket.CompressionMode{
	"off":                 websocket.CompressionDisabled,
	"no-context-takeover": websocket.CompressionNoContextTakeover,
	"context-takeover":    websocket.CompressionContextTakeover,
}
