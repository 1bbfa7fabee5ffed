//go:build unix

package command

import (
	"os"
	"os/signal"
	"syscall"
)

// watchTerminal follows the size of the terminal, and the signals that stop and end the
// process without its help.
func watchTerminal(t *terminal) (stop func()) {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGWINCH, syscall.SIGCONT, syscall.SIGQUIT)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for s := range signals {
			switch s {
			case syscall.SIGWINCH:
				t.resize()
			case syscall.SIGCONT: // the shell has changed the mode
				remakeRaw()
				t.resize()
				_, _ = t.Write(nil) // draws the line again
			case syscall.SIGQUIT:
				restoreTerminal()
				signal.Reset(syscall.SIGQUIT)
				_ = syscall.Kill(os.Getpid(), syscall.SIGQUIT) // prints the stacks and exits
			}
		}
	}()
	return func() {
		signal.Stop(signals)
		close(signals)
		<-done
	}
}
