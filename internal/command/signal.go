package command

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// sameStop is the time after a stop signal in which another one is the same request.
// Service managers and timeout(1) send SIGTERM twice within milliseconds, or SIGTERM
// and SIGHUP.
const sameStop = 500 * time.Millisecond

// untilSignal returns a context that the first stop signal cancels. A stop signal after
// sameStop exits the process.
func untilSignal() context.Context {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, stopSignals()...)
	return untilReceived(signals, os.Exit)
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
	ctx, cancel := context.WithCancelCause(context.Background())
	go func() {
		cancel(fmt.Errorf("signal: %v", <-signals))
		for stopping := time.Now(); ; {
			s := <-signals
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
