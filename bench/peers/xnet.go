package peers

import "golang.org/x/net/websocket"

var xnetPeer = Peer{
	Name: "xnet", Title: "golang.org/x/net/websocket", Language: "Go",
	Note: "It uses a Codec, which distinguishes text and binary. The library's example copies bytes instead: every message " +
		"becomes text, and a long one becomes several. The echo of a message in several frames is several messages. The read limit is 32 MiB, " +
		"the default.",
	Needs:         []string{"your own deadlines: it cannot ping"},
	modules:       []string{"golang.org/x/net"},
	noCompression: "golang.org/x/net/websocket has no permessage-deflate",
	noHeartbeat:   "golang.org/x/net/websocket cannot send pings",
	program: func(Options) (*program, error) {
		// A Handler would refuse clients without an Origin, so this is a Server.
		return overHTTP(websocket.Server{Handler: func(c *websocket.Conn) {
			for {
				var m xnetMessage
				if err := xnetCodec.Receive(c, &m); err != nil {
					return
				}
				if err := xnetCodec.Send(c, m); err != nil {
					return
				}
			}
		}}.ServeHTTP), nil
	},
}

type xnetMessage struct {
	payload []byte
	typ     byte
}

var xnetCodec = websocket.Codec{
	Marshal: func(v any) ([]byte, byte, error) {
		m := v.(xnetMessage)
		return m.payload, m.typ, nil
	},
	Unmarshal: func(p []byte, typ byte, v any) error {
		*v.(*xnetMessage) = xnetMessage{p, typ}
		return nil
	},
}
