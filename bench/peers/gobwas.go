package peers

import (
	"net/http"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
)

var gobwasPeer = Peer{
	Name: "gobwas", Title: "gobwas/ws", Language: "Go",
	Note:          "With wsutil, as the first example of its README. The message limit is 16 MiB; the example's is 1 MiB.",
	Needs:         []string{"read limit: wsutil.SetMaxMessageSize", "heartbeat: pings, deadlines and a lock for writes"},
	modules:       []string{"github.com/gobwas/ws"},
	noCompression: "gobwas/ws compresses single frames; wsutil, which assembles messages, does not support that",
	noHeartbeat:   "gobwas/ws does not ping, and a second goroutine that writes needs a lock of its own",
	program: func(Options) (*program, error) {
		wsutil.SetMaxMessageSize(readLimit)
		return overHTTP(func(w http.ResponseWriter, r *http.Request) {
			c, _, _, err := ws.UpgradeHTTP(r, w)
			if err != nil {
				return // UpgradeHTTP has answered
			}
			go func() {
				defer c.Close()
				for {
					p, op, err := wsutil.ReadClientData(c)
					if err != nil {
						return
					}
					if err := wsutil.WriteServerMessage(c, op, p); err != nil {
						return
					}
				}
			}()
		}), nil
	},
}
