package peers

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/coder/websocket"

	"example.com/wsecho/bench/measure"
	"example.com/wsecho/echo"
	"example.com/wsecho/server"
)

var wsechoPeer = Peer{
	Name: "wsecho", Title: "wsecho, the command", Language: "Go", Full: true,
	Note: "The binary with its default flags, but without the log of each connection. It parks idle connections and tunes " +
		"the garbage collector. Go builds it with the profile default.pgo; the other servers in Go have none.",
	Batches: true,
	modules: []string{"example.com/wsecho"},
	start:   startWsecho,
}

var embeddedPeer = Peer{
	Name: "embedded", Title: "wsecho, embedded, default options", Language: "Go",
	Note:    "The program of the README with the handler of package echo. It has default options, but no connection limit.",
	Batches: true,
	modules: []string{"example.com/wsecho"},
	program: func(o Options) (*program, error) {
		s, err := newEmbedded(o, server.Options{})
		if err != nil {
			return nil, err
		}
		p := overHTTP(s.ServeHTTP)
		shutdown := p.shutdown
		p.shutdown = func(ctx context.Context) error { return errors.Join(s.Shutdown(ctx), shutdown(ctx)) }
		return p, nil
	},
}

var parkPeer = Peer{
	Name: "embedded-park", Title: "wsecho, embedded, ParkAfter", Language: "Go",
	Note:    "As embedded, but under Serve and with ParkAfter, which frees the goroutines of idle connections.",
	Batches: true,
	modules: []string{"example.com/wsecho"},
	program: func(o Options) (*program, error) {
		s, err := newEmbedded(o, server.Options{ParkAfter: 10 * time.Second})
		if err != nil {
			return nil, err
		}
		ctx, cancel := context.WithCancel(context.Background())
		return &program{
			serve:    func(l net.Listener) error { return s.Serve(ctx, l) },
			shutdown: func(context.Context) error { cancel(); return nil }, // Serve waits for the connections
		}, nil
	},
}

// startWsecho starts the server on a free port.
func startWsecho(ctx context.Context, t Tools, o Options) (*measure.Process, error) {
	if t.Wsecho == "" {
		return nil, errors.New("starting wsecho needs the path of its binary, Tools.Wsecho")
	}
	args := []string{"serve", "--log-level=warn"}
	if o.Compression {
		args = append(args, "--compression=no-context-takeover")
	}
	if o.TLS {
		args = append(args, "--tls-self-signed") // of the same kind as that of the others
	}
	switch {
	case o.Heartbeat > 0:
		args = append(args, fmt.Sprintf("--ping-interval=%v", o.Heartbeat))
	case o.Heartbeat < 0:
		args = append(args, "--ping-interval=off")
	}
	var err error
	for range 3 { // another process may take the port
		var l net.Listener
		if l, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			return nil, err
		}
		addr := l.Addr().String()
		l.Close()
		var p *measure.Process
		cmd := exec.Command(t.Wsecho, append(args, "--addr="+addr)...)
		cmd.Env = defaultFlags(os.Environ())
		if p, err = measure.StartAt(ctx, cmd, addr); err == nil {
			return p, nil
		}
	}
	return nil, err
}

// defaultFlags returns the environment without the variables that set flags of wsecho.
func defaultFlags(environment []string) []string {
	return slices.DeleteFunc(environment, func(v string) bool { return strings.HasPrefix(v, "WSECHO_") })
}

func newEmbedded(o Options, options server.Options) (*server.Server, error) {
	options.MaxConns, options.PingInterval = -1, o.Heartbeat
	if o.Compression {
		options.Compression = websocket.CompressionNoContextTakeover
	}
	return server.New(func(ctx context.Context, c *server.Conn) error { return echo.Serve(ctx, c) }, options)
}
