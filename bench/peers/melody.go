package peers

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/olahol/melody"
)

var melodyPeer = Peer{
	Name: "melody", Title: "olahol/melody", Language: "Go",
	Note: "Its limit of 512 B a message is raised to 32 MiB. It pings every 54 seconds by itself. With another heartbeat it " +
		"waits for a pong twice as long as the interval.",
	modules: []string{"github.com/olahol/melody", "github.com/gorilla/websocket"},
	program: func(o Options) (*program, error) {
		m := melody.New()
		m.Config.MaxMessageSize = 16 << 20
		interval := o.Heartbeat
		if interval < 0 {
			interval = 24 * time.Hour // it cannot be switched off
		}
		if interval > 0 {
			m.Config.PingPeriod, m.Config.PongWait = interval, 2*interval
		}
		m.Upgrader.EnableCompression = o.Compression
		// An error is of a session that is closed, which melody knows itself.
		m.HandleMessage(func(s *melody.Session, p []byte) { _ = s.Write(p) })
		m.HandleMessageBinary(func(s *melody.Session, p []byte) { _ = s.WriteBinary(p) })
		p := overHTTP(func(w http.ResponseWriter, r *http.Request) {
			_ = m.HandleRequest(w, r) // it has answered
		})
		shutdown := p.shutdown
		p.shutdown = func(ctx context.Context) error { return errors.Join(m.Close(), shutdown(ctx)) }
		return p, nil
	},
}
