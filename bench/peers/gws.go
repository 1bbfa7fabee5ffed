package peers

import (
	"net/http"
	"time"

	"github.com/lxzan/gws"
)

var gwsPeer = Peer{
	Name: "gws", Title: "lxzan/gws", Language: "Go", Full: true,
	Note: "Its README lets the clients ping, and cuts those that have not within three intervals. With a heartbeat the " +
		"server pings instead, and pongs keep a connection.",
	modules: []string{"github.com/lxzan/gws"},
	program: func(o Options) (*program, error) {
		upgrader := gws.NewUpgrader(gwsEcho{heartbeat: o.Heartbeat}, &gws.ServerOption{
			PermessageDeflate: gws.PermessageDeflate{Enabled: o.Compression},
		})
		return overHTTP(func(w http.ResponseWriter, r *http.Request) {
			c, err := upgrader.Upgrade(w, r)
			if err != nil {
				return // it has answered
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
		_ = c.SetDeadline(time.Now().Add(3 * e.heartbeat)) // errors are the library's to handle
	}
}

func (gwsEcho) OnMessage(c *gws.Conn, m *gws.Message) {
	defer m.Close()
	_ = c.WriteMessage(m.Opcode, m.Bytes()) // a peer that is gone is closed by the library
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
