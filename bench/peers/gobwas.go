package peers

import (
	"net/http"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
)

var gobwasPeer = Peer{
	Name: "gobwas", Title: "gobwas/ws", Language: "Go",
	Note:          "With wsutil, as its README begins.",
	modules:       []string{"github.com/gobwas/ws"},
	noCompression: "gobwas/ws compresses single frames, and wsutil, which makes messages of them, does not know of it",
	noHeartbeat:   "gobwas/ws leaves pings to its users, and the lock that a second writer would need",
	program: func(Options) (*program, error) {
		return overHTTP(func(w http.ResponseWriter, r *http.Request) {
			c, _, _, err := ws.UpgradeHTTP(r, w)
			if err != nil {
				return // it has answered
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
