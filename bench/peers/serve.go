package peers

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"example.com/wsecho/bench/measure"
	"example.com/wsecho/wstest"
)

// shutdownTimeout is the longest time that a server may take to shut down. The process
// then ends within 5 seconds of SIGTERM.
const shutdownTimeout = 4500 * time.Millisecond

// startChild starts a server that is in the program itself.
func startChild(ctx context.Context, t Tools, name string, o Options) (*measure.Process, error) {
	if t.Bench == "" {
		return nil, fmt.Errorf("%s is started by the program that serves it, and its path is not given", name)
	}
	return measure.Start(ctx, exec.Command(t.Bench, append([]string{"serve", name}, o.arguments()...)...))
}

// Child is the command serve of the program that Tools.Bench names: args are what
// comes after it, the name of a server and its flags.
func Child(args []string, stdin io.Reader, stdout io.Writer) error {
	name, o, err := parse(args)
	if err != nil {
		return err
	}
	return Serve(name, o, stdin, stdout)
}

// Serve runs a server on a free port of 127.0.0.1 and prints "listening ADDR". It
// returns when stdin has ended, and the server ends with the process; or after
// SIGTERM, within 5 seconds, when the server has shut down as the users of the library
// do it. The line "allocs" on stdin is answered with "allocs N", how many objects the
// process has allocated.
//
// It is for the main function of a process: after SIGTERM it leaves a goroutine
// behind that reads stdin.
func Serve(name string, o Options, stdin io.Reader, stdout io.Writer) error {
	p, ok := Find(name)
	if !ok {
		return fmt.Errorf("there is no server %q", name)
	}
	program, err := p.prepare(o)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	terminated := make(chan os.Signal, 1)
	signal.Notify(terminated, syscall.SIGTERM)
	defer signal.Stop(terminated)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	served, left := make(chan error, 1), make(chan error, 1)
	go func() { served <- program.serve(l) }()
	if _, err := fmt.Fprintln(stdout, "listening", l.Addr()); err != nil {
		return err
	}
	go func() { left <- answer(stdin, stdout) }()

	select {
	case err := <-left:
		return err
	case err := <-served:
		return fmt.Errorf("%s does not serve any more: %w", name, err)
	case <-terminated:
	}
	ctx, cancel := context.WithTimeout(context.Background(), shutdownTimeout)
	defer cancel()
	shutdown := program.shutdown
	if shutdown == nil {
		shutdown = func(context.Context) error { return l.Close() }
	}
	if err := shutdown(ctx); err != nil {
		return fmt.Errorf("%s shuts down: %w", name, err)
	}
	select {
	case err = <-served:
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err != nil && !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("%s has shut down: %w", name, err)
	}
	return nil
}

// prepare returns the server if it can do o.
func (p Peer) prepare(o Options) (*program, error) {
	if err := p.Supports(o); err != nil {
		return nil, err
	}
	if prepare, ok := provided[p.Name]; ok {
		return prepare(o)
	}
	if p.program == nil {
		return nil, errors.New("it is not a part of this program")
	}
	program, err := p.program(o)
	if err == nil && o.TLS {
		config, _ := wstest.TLS()
		serve := program.serve
		program.serve = func(l net.Listener) error { return serve(tls.NewListener(l, config)) }
	}
	return program, err
}

// answer answers what is asked on stdin until it ends.
func answer(stdin io.Reader, stdout io.Writer) error {
	lines := bufio.NewScanner(stdin)
	for lines.Scan() {
		said := fmt.Sprintf("%s unknown", lines.Text())
		if lines.Text() == "allocs" {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			said = fmt.Sprintf("allocs %d", m.Mallocs)
		}
		if _, err := fmt.Fprintln(stdout, said); err != nil {
			return err
		}
	}
	return lines.Err()
}
