package command

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"slices"
	"sync"
	"time"

	"example.com/wsecho/echo"
	"example.com/wsecho/fault"
	"example.com/wsecho/internal/listener"
	"example.com/wsecho/server"
)

// Run serves until ctx ends and every connection has ended.
func (f *serveCommand) Run(ctx context.Context, out streams, w warnings, release buildVersion) error {
	if err := f.convert(); err != nil {
		return err
	}
	if err := f.checkProxy(); err != nil {
		return err
	}
	targets, err := f.probeTargets()
	if err != nil {
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
		if e.Budget, err = echo.NewBudget(int64(f.MemoryBudget), int64(f.ReadLimit), time.Duration(f.MemoryWait)); err != nil {
			return usageError{fmt.Errorf("--memory-budget: %w", err)}
		}
	}
	options := f.serverOptions()
	options.Logger = log
	limits := readContainer(log, f.TLS.enabled())
	if options.MaxConns == 0 {
		options.MaxConns = limits.defaultMaxConns()
	}
	m := newMetrics(e)
	options.Observer = m.Observer()
	if !f.NoFaults {
		options.PerConn = fault.PerConn(e.Serve, fault.Options{MaxHold: longestHold(f.HandshakeTimeout), Done: ctx.Done(), MaxWrite: longestWrite(options)})
	}
	adminListener, err := listenAdmin(f.AdminAddr, log)
	if err != nil {
		return err
	}
	if adminListener != nil {
		defer adminListener.Close() // fails if it was served
	}
	if !f.NoPage {
		if !f.AnyOrigin {
			local, others := adminOrigins(adminListener)
			options.LocalOriginPatterns, options.OriginPatterns = local, append(slices.Clip(options.OriginPatterns), others...)
		}
		options.HTTP = f.page()
	}
	s, err := server.New(func(ctx context.Context, c *server.Conn) error { return e.Serve(ctx, c) }, options)
	if err != nil {
		return flagError(err, serveFlags)
	}
	certificates, err := f.certificates(log)
	if err != nil {
		return err
	}
	inheritedUnused := f.inheritedUnused()
	sockets, err := f.listen()
	if err != nil {
		return err
	}
	if err := certificates.checkSockets(sockets); err != nil {
		sockets.close()
		return err
	}
	if err := certificates.write(); err != nil {
		sockets.close()
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
	f.warnTrusted(log)
	if inheritedUnused {
		log.Warn("systemd has passed sockets that are not used", "flag", "--addr=systemd")
	}
	tuneGC()
	limits.setMemoryLimit()
	limits.report(log, f, options.MaxConns)
	if certificates != nil {
		certificates.logFirst()
	}
	for _, l := range sockets {
		logListening(log, l.Addr(), certificates != nil)
	}
	manager := &serviceManager{log: log}
	// It ends last, so that the drain can be watched.
	probes := newProber(targets)
	adminPages := adminHandler(s, newRegistry(m, release, logWriter.lost.Load), probes, log)
	if !f.NoPage {
		adminPages = f.adminPage(sockets, certificates != nil, adminListener, adminPages)
	}
	admin := serveAdmin(adminListener, adminPages, log)
	defer admin.close()
	defer probes.close()
	// The line about the signal precedes those of the drain.
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer context.AfterFunc(ctx, func() {
		log.Info("shutting down; a second signal after half a second exits at once", "cause", context.Cause(ctx).Error())
		manager.stopping(f.longestDrain())
		stop()
	})()
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { releaseIdleMemory(serving, e.Budget) })
	defer stop()
	listeners := f.behindProxy(sockets)
	if certificates != nil {
		listeners = listeners.withTLS(certificates.config())
		hangup, end := f.reloadSignal(ctx)
		defer end()
		wg.Go(func() { certificates.watch(serving, hangup, manager.reload) })
	}
	if interval := manager.watchdog(); interval > 0 {
		self := newSelfCheck()
		listeners = append(listeners, self)
		alive, end := context.WithCancel(context.WithoutCancel(ctx)) // also during the drain
		defer end()
		wg.Go(func() { manager.keepAlive(alive, interval, self.check) })
	}
	manager.ready()
	return s.Serve(serving, listeners...)
}

// longestDrain returns the time after which the process has exited.
func (f *serveCommand) longestDrain() time.Duration {
	return time.Duration(max(0, f.DrainDelay)) + time.Duration(f.DrainTimeout) + time.Duration(f.CloseTimeout) + 5*time.Second
}

// logListening logs an address and, unless it is a unix socket, its URL.
func logListening(log *slog.Logger, addr net.Addr, overTLS bool) {
	attrs := []any{"addr", shownAddr(addr)}
	scheme := "ws"
	if overTLS {
		scheme = "wss"
	}
	if url := clientURL(scheme, addr); url != "" {
		attrs = append(attrs, "url", url)
	}
	log.Info("listening", attrs...)
}

// warn logs which flags are dangerous, or have less effect than they say.
func (f *serveCommand) warn(log *slog.Logger) {
	if limit := listener.MaxConns(math.MaxInt); int(f.MaxConns) > limit {
		log.Warn("there are not enough file descriptors for as many connections", "flag", "--max-conns", "value", int(f.MaxConns), "enough_for", limit)
	}
	if f.AnyOrigin {
		log.Warn("pages of any origin may connect from every browser that can reach this server; --origin allows only some", "flag", "--any-origin")
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

// longestHold returns the longest time that a client may hold a handshake: see
// fault.Options.MaxHold.
func longestHold(timeout duration) time.Duration {
	if timeout <= 0 {
		return -1
	}
	return time.Duration(timeout) / 10 * 9 // the rest is for the answer
}

// longestWrite returns the longest time that the echo of a peer may take: see
// fault.Options. Negative means that there is none.
func longestWrite(o server.Options) time.Duration {
	if o.ReadLimit <= 0 || o.MinWriteRate <= 0 || o.WriteTimeout <= 0 {
		return -1
	}
	return time.Duration(float64(o.ReadLimit) / float64(o.MinWriteRate) * float64(time.Second))
}
