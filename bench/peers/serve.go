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

// startChild starts a server that Child runs.
func startChild(ctx context.Context, t Tools, name string, o Options) (*measure.Process, error) {
	if t.Bench == "" {
		return nil, fmt.Errorf("starting %s needs the path of the bench program, Tools.Bench", name)
	}
	return measure.Start(ctx, exec.Command(t.Bench, append([]string{"serve", name}, o.arguments()...)...))
}

// Child implements the command serve of the program Tools.Bench. args are the arguments
// after serve: the name of a server and its flags.
func Child(args []string, stdin io.Reader, stdout io.Writer) error {
	name, o, err := parse(args)
	if err != nil {
		return err
	}
	return Serve(name, o, stdin, stdout)
}

// Serve runs a server on a free port of 127.0.0.1 and prints "listening ADDR". It returns
// when stdin ends, without stopping the server. After SIGTERM it shuts the server down as
// users of the library do, and returns within 5 seconds. It answers the line "allocs" on
// stdin with "allocs N", the number of objects that the process has allocated.
//
// Call it only from main: after SIGTERM, its goroutine that reads stdin keeps running.
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
	served, inputEnded := make(chan error, 1), make(chan error, 1)
	go func() { served <- program.serve(l) }()
	if _, err := fmt.Fprintln(stdout, "listening", l.Addr()); err != nil {
		return err
	}
	go func() { inputEnded <- answer(stdin, stdout) }()

	select {
	case err := <-inputEnded:
		return err
	case err := <-served:
		return fmt.Errorf("%s stopped serving: %w", name, err)
	case <-terminated:
	}
	ctx, cancel := context.WithTimeout(context.Background(), shutdownTimeout)
	defer cancel()
	shutdown := program.shutdown
	if shutdown == nil {
		shutdown = func(context.Context) error { return l.Close() }
	}
	if err := shutdown(ctx); err != nil {
		return fmt.Errorf("shutting down %s: %w", name, err)
	}
	select {
	case err = <-served:
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err != nil && !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("serving %s: %w", name, err)
	}
	return nil
}

// prepare returns the program of p if p supports o.
func (p Peer) prepare(o Options) (*program, error) {
	if err := p.Supports(o); err != nil {
		return nil, err
	}
	if prepare, ok := provided[p.Name]; ok {
		return prepare(o)
	}
	if p.program == nil {
		return nil, errors.New("the server is not part of this program")
	}
	program, err := p.program(o)
	if err == nil && o.TLS {
		config, _ := wstest.TLS()
		serve := program.serve
		program.serve = func(l net.Listener) error { return serve(tls.NewListener(l, config)) }
	}
	return program, err
}

// answer answers the requests on stdin until stdin ends.
func answer(stdin io.Reader, stdout io.Writer) error {
	lines := bufio.NewScanner(stdin)
	for lines.Scan() {
		reply := fmt.Sprintf("%s unknown", lines.Text())
		if lines.Text() == "allocs" {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			reply = fmt.Sprintf("allocs %d", m.Mallocs)
		}
		if _, err := fmt.Fprintln(stdout, reply); err != nil {
			return err
		}
	}
	return lines.Err()
}
