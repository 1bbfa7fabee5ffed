package peers

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"time"

	"github.com/coder/websocket"

	"example.com/wsecho/bench/measure"
	"example.com/wsecho/echo"
	"example.com/wsecho/server"
)

var wsechoPeer = Peer{
	Name: "wsecho", Title: "wsecho", Language: "Go", Full: true,
	Note:    "The binary, as people run it.",
	modules: []string{"example.com/wsecho"},
	noTLS:   "the wsecho binary leaves TLS to what is in front of it; embedded is the same server with TLS",
	start:   startWsecho,
}

var embeddedPeer = Peer{
	Name: "embedded", Title: "wsecho, embedded", Language: "Go",
	Note:    "The packages of wsecho in a program of one's own, with no limit of connections and no memory budget.",
	modules: []string{"example.com/wsecho"},
	program: embedded,
}

// startWsecho starts the server on a port that is free.
func startWsecho(ctx context.Context, t Tools, o Options) (*measure.Process, error) {
	if t.Wsecho == "" {
		return nil, errors.New("the path of the wsecho binary is not given")
	}
	args := []string{"serve", "--log-level=warn"}
	if o.Compression {
		args = append(args, "--compression=no-context-takeover")
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
		if p, err = measure.StartAt(ctx, exec.Command(t.Wsecho, append(args, "--addr="+addr)...), addr); err == nil {
			return p, nil
		}
	}
	return nil, err
}

func embedded(o Options) (*program, error) {
	options := server.Options{HoldReplies: true, ParkAfter: 10 * time.Second, MaxConns: -1, PingInterval: o.Heartbeat}
	if o.Compression {
		options.Compression = websocket.CompressionNoContextTakeover
	}
	s, err := server.New(func(ctx context.Context, c *server.Conn) error { return echo.Serve(ctx, c) }, options)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	return &program{
		serve:    func(l net.Listener) error { return s.Serve(ctx, l) },
		shutdown: func(context.Context) error { cancel(); return nil }, // Serve returns when all have gone
	}, nil
}
