package command

import (
	"context"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// TestStopSignals checks that a signal right after the first one is the same request,
// and that a later one exits.
func TestStopSignals(t *testing.T) {
	type at struct {
		after  time.Duration // since the signal before
		signal os.Signal
	}
	for name, test := range map[string]struct {
		signals []at
		exit    int // -1: it does not exit
	}{
		"one":               {[]at{{0, syscall.SIGTERM}}, -1},
		"at once":           {[]at{{0, syscall.SIGTERM}, {0, syscall.SIGTERM}, {0, syscall.SIGHUP}, {0, os.Interrupt}}, -1},
		"within the window": {[]at{{time.Hour, syscall.SIGTERM}, {sameStop - 1, syscall.SIGTERM}}, -1},
		"after it":          {[]at{{time.Hour, syscall.SIGTERM}, {sameStop, syscall.SIGTERM}}, 143},
		"the third":         {[]at{{0, os.Interrupt}, {sameStop - 1, os.Interrupt}, {1, os.Interrupt}}, 130},
		"a terminal closes": {[]at{{0, os.Interrupt}, {time.Hour, syscall.SIGHUP}}, 129},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				signals := make(chan os.Signal)
				got := -1
				ctx := untilReceived(signals, func(code int) { got = code })
				for i, s := range test.signals {
					if got != -1 || (ctx.Err() != nil) != (i > 0) {
						t.Errorf("before signal %d: exit code %d, context %v", i, got, ctx.Err())
					}
					time.Sleep(s.after)
					signals <- s.signal
					synctest.Wait()
				}
				if want := "signal: " + test.signals[0].signal.String(); context.Cause(ctx) == nil || context.Cause(ctx).Error() != want {
					t.Errorf("the cause is %v, want %s", context.Cause(ctx), want)
				}
				if got != test.exit {
					t.Errorf("the exit code is %d, want %d", got, test.exit)
				}
				if got == -1 { // ends the goroutine
					time.Sleep(sameStop)
					signals <- os.Interrupt
				}
			})
		})
	}
}

// TestOnHangup: SIGHUP is no stop signal after onHangup, neither the first nor a later one.
func TestOnHangup(t *testing.T) {
	signals := make(chan os.Signal)
	exited := make(chan int, 1)
	ctx := untilReceived(signals, func(code int) { exited <- code })
	_, stop := onHangup(ctx)
	defer stop()
	for range 3 { // the receiver of a signal has looked at the one before
		signals <- syscall.SIGHUP
	}
	if err := ctx.Err(); err != nil {
		t.Errorf("SIGHUP stops: %v", context.Cause(ctx))
	}
	signals <- syscall.SIGTERM
	<-ctx.Done()
	time.Sleep(sameStop)
	for range 2 {
		signals <- syscall.SIGHUP
	}
	select {
	case code := <-exited:
		t.Errorf("SIGHUP exits with %d during a drain", code)
	default:
	}
	signals <- os.Interrupt
	if code := <-exited; code != 130 {
		t.Errorf("the exit code is %d, want 130", code)
	}
}
