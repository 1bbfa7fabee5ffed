package peers

import (
	"context"
	"io"
	"net/http"
	"time"

	"github.com/coder/websocket"
	"golang.org/x/sync/errgroup"
)

var coderPeer = Peer{
	Name: "coder", Title: "coder/websocket", Language: "Go", Full: true,
	Note:        "Its limit of 32 KiB a message is raised to 32 MiB.",
	modules:     []string{"github.com/coder/websocket"},
	noHeartbeat: "the echo of coder/websocket does not ping by itself; coder-errgroup is one that does",
	program: func(o Options) (*program, error) {
		return overHTTP(func(w http.ResponseWriter, r *http.Request) {
			c, err := acceptCoder(w, r, o)
			if err != nil {
				return // it has answered
			}
			defer c.CloseNow()
			for {
				if echoCoder(context.Background(), c) != nil {
					return
				}
			}
		}), nil
	},
}

var errgroupPeer = Peer{
	Name: "coder-errgroup", Title: "coder/websocket with errgroup", Language: "Go",
	Note: "A group of an echo and a ticker that pings, with the context of the process. A ping waits for its pong as " +
		"long as the connection lives. The limit of 32 KiB a message is raised to 32 MiB.",
	modules: []string{"github.com/coder/websocket"},
	program: func(o Options) (*program, error) {
		ctx, cancel := context.WithCancel(context.Background())
		p := overHTTP(func(w http.ResponseWriter, r *http.Request) {
			c, err := acceptCoder(w, r, o)
			if err != nil {
				return // it has answered
			}
			defer c.CloseNow()
			g, ctx := errgroup.WithContext(ctx)
			g.Go(func() error {
				for {
					if err := echoCoder(ctx, c); err != nil {
						return err
					}
				}
			})
			if o.Heartbeat > 0 {
				g.Go(func() error { return pingCoder(ctx, c, o.Heartbeat) })
			}
			_ = g.Wait()
			// It comes too late: what has a context that is over has closed the connection.
			_ = c.Close(websocket.StatusGoingAway, "")
		})
		shutdown := p.shutdown
		p.shutdown = func(ctx context.Context) error {
			cancel()
			return shutdown(ctx)
		}
		return p, nil
	},
}

func acceptCoder(w http.ResponseWriter, r *http.Request, o Options) (*websocket.Conn, error) {
	var options websocket.AcceptOptions
	if o.Compression {
		options.CompressionMode = websocket.CompressionNoContextTakeover
	}
	c, err := websocket.Accept(w, r, &options)
	if err == nil {
		c.SetReadLimit(16 << 20)
	}
	return c, err
}

// echoCoder echoes one message.
func echoCoder(ctx context.Context, c *websocket.Conn) error {
	typ, r, err := c.Reader(ctx)
	if err != nil {
		return err
	}
	w, err := c.Writer(ctx, typ)
	if err != nil {
		return err
	}
	if _, err := io.Copy(w, r); err != nil {
		return err
	}
	return w.Close()
}

func pingCoder(ctx context.Context, c *websocket.Conn, interval time.Duration) error {
	t := time.NewTicker(interval)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.C:
			if err := c.Ping(ctx); err != nil {
				return err
			}
		}
	}
}
