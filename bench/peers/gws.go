package peers

import (
	"net/http"
	"time"

	"github.com/lxzan/gws"
)

var gwsPeer = Peer{
	Name: "gws", Title: "lxzan/gws", Language: "Go", Full: true,
	Note: "In the example of its README, clients ping, and a deadline ends the connections of other clients. Here the " +
		"server pings if there is a heartbeat, and each pong extends a deadline of three intervals. The check of UTF-8 is off, " +
		"which is the default, except in the checks of correctness.",
	Needs:   []string{"heartbeat: WritePing on a ticker and SetDeadline", "UTF-8: CheckUtf8Enabled"},
	modules: []string{"github.com/lxzan/gws"},
	program: func(o Options) (*program, error) {
		upgrader := gws.NewUpgrader(gwsEcho{heartbeat: o.Heartbeat}, &gws.ServerOption{
			PermessageDeflate: gws.PermessageDeflate{Enabled: o.Compression},
			CheckUtf8Enabled:  o.Strict,
		})
		return overHTTP(func(w http.ResponseWriter, r *http.Request) {
			c, err := upgrader.Upgrade(w, r)
			if err != nil {
				return // Upgrade has answered
			}
			go c.ReadLoop()
			if o.Heartbeat > 0 {
				go gwsPing(c, o.Heartbeat)
			}
		}), nil
	},
}

type gwsEcho struct {
	gws.BuiltinEventHandler
	heartbeat time.Duration
}

func (e gwsEcho) OnOpen(c *gws.Conn) { e.extend(c) }

func (e gwsEcho) OnPong(c *gws.Conn, _ []byte) { e.extend(c) }

func (e gwsEcho) extend(c *gws.Conn) {
	if e.heartbeat > 0 {
		_ = c.SetDeadline(time.Now().Add(3 * e.heartbeat)) // the library handles the error
	}
}

func (gwsEcho) OnMessage(c *gws.Conn, m *gws.Message) {
	defer m.Close()
	_ = c.WriteMessage(m.Opcode, m.Bytes()) // the library closes a failed connection
}

func gwsPing(c *gws.Conn, interval time.Duration) {
	t := time.NewTicker(interval)
	defer t.Stop()
	for range t.C {
		if c.WritePing(nil) != nil {
			return
		}
	}
}
