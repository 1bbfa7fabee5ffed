// Package peers holds the echo servers that are compared: each the plain echo
// that its library's README shows.
package peers

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"

	"github.com/coder/websocket"
	gorilla "github.com/gorilla/websocket"
	"github.com/lxzan/gws"

	"example.com/wsecho/echo"
	"example.com/wsecho/server"
	"example.com/wsecho/wstest"
)

// All are the servers by name. Each serves l until it is closed.
var All = map[string]func(l net.Listener) error{
	"raw":          raw,
	"gorilla":      serveGorilla,
	"gorilla+tls":  overTLS(serveGorilla),
	"coder":        serveCoder,
	"gws":          serveGws,
	"embedded":     serveEmbedded,
	"embedded+tls": overTLS(serveEmbedded),
}

func overTLS(serve func(net.Listener) error) func(net.Listener) error {
	return func(l net.Listener) error {
		config, _ := wstest.TLS()
		return serve(tls.NewListener(l, config))
	}
}

// serveEmbedded is the packages of wsecho in somebody else's program, which is how it serves TLS.
func serveEmbedded(l net.Listener) error {
	s, err := server.New(func(ctx context.Context, c *server.Conn) error {
		return echo.Serve(ctx, c)
	}, server.Options{HoldReplies: true, Stateless: true, MaxConns: -1})
	if err != nil {
		return err
	}
	return s.Serve(context.Background(), l)
}

// raw is the floor: bytes back as they come, no WebSocket at all.
func raw(l net.Listener) error {
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer c.Close()
			b := make([]byte, 64<<10)
			for {
				n, err := c.Read(b)
				if err != nil {
					return
				}
				if _, err := c.Write(b[:n]); err != nil {
					return
				}
			}
		}()
	}
}

func serveGorilla(l net.Listener) error {
	upgrader := gorilla.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}
	return http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer c.Close()
		for {
			typ, p, err := c.ReadMessage()
			if err != nil {
				return
			}
			if err := c.WriteMessage(typ, p); err != nil {
				return
			}
		}
	}))
}

func serveCoder(l net.Listener) error {
	return http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer c.CloseNow()
		c.SetReadLimit(32 << 20)
		ctx := context.Background()
		for {
			typ, r, err := c.Reader(ctx)
			if err != nil {
				return
			}
			w, err := c.Writer(ctx, typ)
			if err != nil {
				return
			}
			if _, err := io.Copy(w, r); err != nil {
				return
			}
			if err := w.Close(); err != nil {
				return
			}
		}
	}))
}

type gwsEcho struct{ gws.BuiltinEventHandler }

func (gwsEcho) OnMessage(c *gws.Conn, m *gws.Message) {
	defer m.Close()
	_ = c.WriteMessage(m.Opcode, m.Bytes()) // a peer that is gone is closed by the library
}

func serveGws(l net.Listener) error {
	upgrader := gws.NewUpgrader(gwsEcho{}, &gws.ServerOption{ReadMaxPayloadSize: 32 << 20, WriteMaxPayloadSize: 32 << 20})
	return http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := upgrader.Upgrade(w, r)
		if err != nil {
			return
		}
		go c.ReadLoop()
	}))
}
