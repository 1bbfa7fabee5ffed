package command

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"
)

// sameStop is the time after a stop signal in which another one is the same request.
// Service managers and timeout(1) send SIGTERM twice within milliseconds, or SIGTERM
// and SIGHUP.
const sameStop = 500 * time.Millisecond

// untilSignal returns a context that the first stop signal cancels. A stop signal after
// sameStop exits the process. SIGHUP is no stop signal after a call of onHangup.
func untilSignal() context.Context {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, stopSignals()...)
	return untilReceived(signals, func(code int) {
		restoreTerminal()
		os.Exit(code)
	})
}

// hangupKey is the key of an atomic.Bool in the context of untilReceived. It is true if
// SIGHUP is no stop signal.
type hangupKey struct{}

// onHangup makes SIGHUP send a value instead of stopping the subcommand. The context must
// come from untilSignal; for another one nothing changes. The caller must call stop.
func onHangup(ctx context.Context) (hangup <-chan os.Signal, stop func()) {
	signals := make(chan os.Signal, 1)
	if ignored, ok := ctx.Value(hangupKey{}).(*atomic.Bool); ok {
		ignored.Store(true)
		signal.Notify(signals, syscall.SIGHUP)
	}
	return signals, func() { signal.Stop(signals) }
}

// stopSignals returns the signals that stop a subcommand. SIGHUP is not one of them if
// nohup(1) has started the process.
func stopSignals() []os.Signal {
	stop := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		stop = append(stop, syscall.SIGHUP)
	}
	return stop
}

// untilReceived is untilSignal for these signals and this exit function. The exit code
// is that of a shell: 128 plus the number of the signal.
func untilReceived(signals <-chan os.Signal, exit func(code int)) context.Context {
	var ignoreHangup atomic.Bool
	ctx, cancel := context.WithCancelCause(context.WithValue(context.Background(), hangupKey{}, &ignoreHangup))
	next := func() os.Signal {
		for {
			if s := <-signals; s != syscall.SIGHUP || !ignoreHangup.Load() {
				return s
			}
		}
	}
	go func() {
		cancel(fmt.Errorf("signal: %v", next()))
		for stopping := time.Now(); ; {
			s := next()
			if time.Since(stopping) < sameStop {
				continue
			}
			code := exitFailure
			if number, ok := s.(syscall.Signal); ok {
				code = 128 + int(number)
			}
			exit(code)
			return
		}
	}()
	return ctx
}
