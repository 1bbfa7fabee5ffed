package command

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/netip"
	"net/url"
	"sync"
	"syscall"
	"time"

	"example.com/wsecho/echo"
	"example.com/wsecho/internal/listener"
	"example.com/wsecho/server"
)

// Run serves until ctx ends and every connection has ended.
func (f *serveCommand) Run(ctx context.Context, out streams, w warnings) error {
	if err := f.convert(); err != nil {
		return err
	}
	format := f.logFormat()
	logWriter := newAsyncWriter(out.stderr, format.droppedNotice)
	defer logWriter.close()
	log := slog.New(format.asyncHandler(logWriter))
	e := new(echo.Echo)
	if f.MemoryBudget != off {
		if f.MemoryBudget < smallestBudget {
			return usageError{errors.New("--memory-budget: less than 64KiB is too little for messages over 16KiB")}
		}
		var err error
		if e.Budget, err = echo.NewBudget(int64(f.MemoryBudget), int64(f.ReadLimit), time.Duration(f.MemoryWait)); err != nil {
			return usageError{fmt.Errorf("--memory-budget: %w", err)}
		}
	}
	options := f.serverOptions()
	options.Logger = log
	s, err := server.New(func(ctx context.Context, c *server.Conn) error { return e.Serve(ctx, c) }, options)
	if err != nil {
		return flagError(err, serveFlags)
	}
	l, err := listen(f.Addr)
	if err != nil {
		return err
	}
	if f.LogMessages {
		messages := newMessageLog(out.stdout, format.json)
		defer messages.close()
		e.OnMessage = messages.print
	}
	for _, sentence := range w {
		log.Warn(sentence)
	}
	f.warn(log)
	log.Info("listening", "addr", l.Addr().String(), "url", clientURL(l.Addr()))
	// The line about the signal precedes those of the drain.
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer context.AfterFunc(ctx, func() {
		log.Info("shutting down; a second signal after half a second exits at once", "cause", context.Cause(ctx).Error())
		stop()
	})()
	var wg sync.WaitGroup
	defer wg.Wait()
	tuneGC()
	wg.Go(func() { releaseIdleMemory(serving, e.Budget) })
	defer stop()
	return s.Serve(serving, l)
}

// warn logs which flags are dangerous, or have less effect than they say.
func (f *serveCommand) warn(log *slog.Logger) {
	if limit := listener.MaxConns(math.MaxInt); int(f.MaxConns) > limit {
		log.Warn("there are not enough file descriptors for as many connections", "flag", "--max-conns", "value", int(f.MaxConns), "enough_for", limit)
	}
	if f.AnyOrigin {
		log.Warn("pages of any origin may connect from every browser that can reach this server", "flag", "--any-origin")
	}
	var budget string
	switch {
	case f.MemoryBudget == off:
	case f.ReadLimit == off:
		budget = "messages over two thirds of the memory budget are refused, although the read limit is off"
	case f.ReadLimit > f.MemoryBudget:
		budget = "messages over the memory budget are refused, although the read limit allows them"
	case f.ReadLimit > freeSize && f.MemoryBudget-f.ReadLimit < smallestBudget:
		budget = "the longest message takes the whole memory budget, and other messages over 16 KiB then wait or are refused"
	}
	if budget != "" {
		log.Warn(budget, "flag", "--memory-budget", "budget_bytes", int64(f.MemoryBudget), "read_limit_bytes", int64(f.ReadLimit))
	}
}

// listen returns a listener, or an error of one sentence.
func listen(addr string) (net.Listener, error) {
	if _, port, err := net.SplitHostPort(addr); err != nil {
		return nil, usageError{fmt.Errorf("--addr: %q is not an address to listen on, such as :8080 or 127.0.0.1:8080", addr)}
	} else if _, err := net.LookupPort("tcp", port); err != nil {
		return nil, usageError{fmt.Errorf("--addr: %q is not a port; use a number from 0 to 65535", port)}
	}
	l, err := net.Listen("tcp", addr)
	switch {
	case err == nil:
		return l, nil
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, hintError{fmt.Errorf("cannot listen on %s: the address is in use", addr),
			"choose another address with --addr, or --addr=:0 for any free port"}
	case errors.Is(err, syscall.EACCES):
		return nil, hintError{fmt.Errorf("cannot listen on %s: permission denied", addr),
			"ports below 1024 may need a privilege; choose another port with --addr"}
	}
	if op := (*net.OpError)(nil); errors.As(err, &op) {
		err = op.Err
	}
	return nil, fmt.Errorf("cannot listen on %s: %w", addr, err)
}

// clientURL returns a URL that a client on this machine can use.
func clientURL(addr net.Addr) string {
	host, port, err := net.SplitHostPort(addr.String())
	if err != nil {
		return ""
	}
	if ip, err := netip.ParseAddr(host); err != nil || ip.WithZone("").IsUnspecified() {
		host = "localhost"
	}
	u := url.URL{Scheme: "ws", Host: net.JoinHostPort(host, port), Path: "/"} // escapes the zone of an address
	return u.String()
}
