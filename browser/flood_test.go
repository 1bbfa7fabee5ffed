package browser

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// A peer is a WebSocket server of the test, which accepts pages of any origin.
type peer struct {
	url    string
	server *httptest.Server
	conns  sync.WaitGroup
}

// newPeer starts a server that runs handle for each connection. The end of the test cancels
// the context and waits for the handlers.
func newPeer(t *testing.T, handle func(ctx context.Context, c *websocket.Conn)) *peer {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	p := new(peer)
	p.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.conns.Add(1)
		defer p.conns.Done()
		c, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
		if err != nil {
			return // the answer has said why
		}
		defer c.CloseNow()
		c.SetReadLimit(1 << 20)
		handle(ctx, c)
	}))
	p.url = "ws" + strings.TrimPrefix(p.server.URL, "http") + "/"
	t.Cleanup(func() {
		cancel()
		p.server.Close()
		p.conns.Wait()
	})
	return p
}

// A flood sends messages until the page sends the text "stop".
type flood struct {
	*peer
	sent atomic.Int64
	took atomic.Int64 // nanoseconds
}

// newFlood starts a server that sends this many messages per second, unless the page reads
// fewer. It ends after waitLimit. Its last message is "end of the flood", and it closes with 1000.
func newFlood(t *testing.T, perSecond int) *flood {
	const tick = 10 * time.Millisecond
	f := new(flood)
	f.peer = newPeer(t, func(ctx context.Context, c *websocket.Conn) {
		ctx, cancel := context.WithTimeout(ctx, waitLimit)
		defer cancel()
		stop := make(chan struct{})
		go func() {
			defer close(stop)
			for {
				_, message, err := c.Read(ctx)
				if err != nil || string(message) == "stop" {
					return
				}
			}
		}()
		defer func() { <-stop }()
		began := time.Now()
		ticker := time.NewTicker(tick)
		defer ticker.Stop()
		for open := true; open; {
			select {
			case <-stop:
				open = false
			case <-ticker.C:
				for f.sent.Load() < int64(time.Since(began).Seconds()*float64(perSecond)) {
					if c.Write(ctx, websocket.MessageText, fmt.Appendf(nil, "message %d", f.sent.Load()+1)) != nil {
						cancel()
						return
					}
					f.sent.Add(1)
				}
			}
		}
		f.took.Store(int64(time.Since(began)))
		if c.Write(ctx, websocket.MessageText, []byte("end of the flood")) == nil {
			f.sent.Add(1)
			_ = c.Close(websocket.StatusNormalClosure, "enough")
		}
		cancel()
	})
	return f
}
