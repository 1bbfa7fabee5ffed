package deadpeer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"testing"
	"time"

	"example.com/wsecho/bench/measure"
	"example.com/wsecho/echo"
	"example.com/wsecho/server"
)

// childVariable is an environment variable. It makes the test binary a server with this
// ping interval.
const childVariable = "WSECHO_DEADPEER_CHILD"

// child serves until standard input ends.
func child(interval string) error {
	every, err := time.ParseDuration(interval)
	if err != nil {
		return err
	}
	s, err := server.New(func(ctx context.Context, c *server.Conn) error { return echo.Serve(ctx, c) },
		server.Options{PingInterval: every, MaxMissed: 1, CloseTimeout: pause})
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println("listening", l.Addr())
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		defer cancel()
		_, _ = io.Copy(io.Discard, os.Stdin)
	}()
	return s.Serve(ctx, l)
}

func TestDeadPath(t *testing.T) {
	start := func(interval time.Duration) func() (*measure.Process, error) {
		return func() (*measure.Process, error) {
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), childVariable+"="+interval.String())
			return measure.Start(context.Background(), cmd)
		}
	}
	bad, enough := errors.New("bad"), errors.New("enough")
	for _, test := range []struct {
		name  string
		start func() (*measure.Process, error)
		bound time.Duration
		most  time.Duration // 0: never
		want  error
	}{
		{"heartbeat", start(pause), 20 * time.Second, 10 * time.Second, nil},
		{"no heartbeat", start(-1), 5 * pause, 0, nil},
		{"not started", func() (*measure.Process, error) { return nil, bad }, 5 * pause, 0, bad},
		{"interrupted", start(-1), 20 * time.Second, 0, enough},
	} {
		t.Run(test.name, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			if test.want == enough {
				defer time.AfterFunc(time.Second, func() { cancel(enough) }).Stop()
			}
			noticed, err := DeadPath(ctx, test.start, test.bound)
			if errors.Is(err, errors.ErrUnsupported) {
				t.Skipf("SKIPPED, the network path was not cut: %v", err)
			}
			if err != test.want || (noticed > 0) != (test.most > 0) || noticed > test.most {
				t.Errorf("got %v, %v, want at most %v, %v", noticed, err, test.most, test.want)
			}
		})
	}
}
