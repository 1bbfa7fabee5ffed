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
	Note: "The message limit is raised from 512 B to 16 MiB. It pings every 54 seconds by default. With another interval, " +
		"a pong may take two intervals.",
	Needs:   []string{"read limit for messages over 512 B: Config.MaxMessageSize"},
	modules: []string{"github.com/olahol/melody", "github.com/gorilla/websocket"},
	program: func(o Options) (*program, error) {
		m := melody.New()
		m.Config.MaxMessageSize = readLimit
		interval := o.Heartbeat
		if interval < 0 {
			interval = 24 * time.Hour // melody cannot switch its pings off
		}
		if interval > 0 {
			m.Config.PingPeriod, m.Config.PongWait = interval, 2*interval
		}
		m.Upgrader.EnableCompression = o.Compression
		// An error means that the session is closed, which melody handles.
		m.HandleMessage(func(s *melody.Session, p []byte) { _ = s.Write(p) })
		m.HandleMessageBinary(func(s *melody.Session, p []byte) { _ = s.WriteBinary(p) })
		p := overHTTP(func(w http.ResponseWriter, r *http.Request) {
			_ = m.HandleRequest(w, r) // melody has answered
		})
		shutdown := p.shutdown
		p.shutdown = func(ctx context.Context) error { return errors.Join(m.Close(), shutdown(ctx)) }
		return p, nil
	},
}
