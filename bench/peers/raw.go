package peers

import (
	"net"
	"runtime"
)

var rawPeer = Peer{
	Name: "raw", Title: "TCP echo", Language: "Go",
	Note:          "TCP without WebSocket: the lower bound.",
	version:       runtime.Version,
	noCompression: "raw TCP has no permessage-deflate",
	noHeartbeat:   "raw TCP has no pings",
	program:       func(Options) (*program, error) { return &program{serve: serveRaw}, nil },
}

func serveRaw(l net.Listener) error {
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
