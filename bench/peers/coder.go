package peers

import (
	"context"
	"io"
	"net/http"
	"time"

	"github.com/coder/websocket"
	"golang.org/x/sync/errgroup"
)

// readLimit is the read limit of every peer that has a limit. It is the default of wsecho,
// gws and Bun.
const readLimit = 16 << 20

const coderNoHeartbeat = "this program does not ping; coder-errgroup does"

var coderPeer = Peer{
	Name: "coder", Title: "coder/websocket, Read and Write", Language: "Go", Full: true,
	Note:        "The methods for whole messages. The read limit is raised from 32 KiB to 16 MiB.",
	Needs:       []string{"heartbeat: Ping on a ticker", "read limit for messages over 32 KiB: SetReadLimit"},
	modules:     []string{"github.com/coder/websocket"},
	noHeartbeat: coderNoHeartbeat,
	program:     func(o Options) (*program, error) { return coderProgram(o, echoCoder), nil },
}

var coderCopyPeer = Peer{
	Name: "coder-copy", Title: "coder/websocket, the echo example of its README", Language: "Go",
	Note: "Reader, Writer and io.Copy, as in internal/examples/echo but without its rate limit. It sends two frames " +
		"per message. The read limit is raised from 32 KiB to 16 MiB.",
	Needs:       coderPeer.Needs,
	modules:     []string{"github.com/coder/websocket"},
	noHeartbeat: coderNoHeartbeat,
	program:     func(o Options) (*program, error) { return coderProgram(o, copyCoder), nil },
}

var errgroupPeer = Peer{
	Name: "coder-errgroup", Title: "coder/websocket with errgroup", Language: "Go",
	Note: "An errgroup runs Read and Write in one goroutine and a ticker that pings in another. A ping may wait for its " +
		"pong as long as the interval. The read limit is raised from 32 KiB to 16 MiB.",
	Needs:   []string{"heartbeat: Ping on a ticker, as here", "read limit for messages over 32 KiB: SetReadLimit"},
	modules: []string{"github.com/coder/websocket"},
	program: func(o Options) (*program, error) {
		ctx, cancel := context.WithCancel(context.Background())
		p := overHTTP(func(w http.ResponseWriter, r *http.Request) {
			c, err := acceptCoder(w, r, o)
			if err != nil {
				return // Accept has answered
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
			// No close frame: coder closes a connection whose Read's context has ended.
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

func coderProgram(o Options, echo func(context.Context, *websocket.Conn) error) *program {
	return overHTTP(func(w http.ResponseWriter, r *http.Request) {
		c, err := acceptCoder(w, r, o)
		if err != nil {
			return // Accept has answered
		}
		defer c.CloseNow()
		for {
			if echo(context.Background(), c) != nil {
				return
			}
		}
	})
}

func acceptCoder(w http.ResponseWriter, r *http.Request, o Options) (*websocket.Conn, error) {
	var options websocket.AcceptOptions
	if o.Compression {
		options.CompressionMode = websocket.CompressionNoContextTakeover
	}
	c, err := websocket.Accept(w, r, &options)
	if err == nil {
		c.SetReadLimit(readLimit)
	}
	return c, err
}

// echoCoder reads a message and writes it back.
func echoCoder(ctx context.Context, c *websocket.Conn) error {
	typ, p, err := c.Read(ctx)
	if err != nil {
		return err
	}
	return c.Write(ctx, typ, p)
}

// copyCoder copies a message from a reader to a writer.
func copyCoder(ctx context.Context, c *websocket.Conn) error {
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

// pingCoder pings on a ticker until a pong is late or ctx ends.
func pingCoder(ctx context.Context, c *websocket.Conn, interval time.Duration) error {
	t := time.NewTicker(interval)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.C:
			if err := pingOnce(ctx, c, interval); err != nil {
				return err
			}
		}
	}
}

func pingOnce(ctx context.Context, c *websocket.Conn, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	return c.Ping(ctx)
}
