package peers

import (
	"io"
	"net"
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
		return gobwasProgram(func(c net.Conn) func() error {
			return func() error {
				p, op, err := wsutil.ReadClientData(c)
				if err != nil {
					return err
				}
				return wsutil.WriteServerMessage(c, op, p)
			}
		}), nil
	},
}

var gobwasCopyPeer = Peer{
	Name: "gobwas-copy", Title: "gobwas/ws, the second echo of its README", Language: "Go",
	Note: "A wsutil.Reader and a wsutil.Writer with io.Copy, for streams. As in the README, it copies control frames " +
		"like messages. The message limit is 16 MiB; the example has none.",
	Needs:         []string{"read limit: Reader.MaxMessageSize", "answers to control frames: ControlFrameHandler", "heartbeat: pings, deadlines and a lock for writes"},
	modules:       []string{"github.com/gobwas/ws"},
	noCompression: gobwasPeer.noCompression,
	noHeartbeat:   gobwasPeer.noHeartbeat,
	program: func(Options) (*program, error) {
		return gobwasProgram(func(c net.Conn) func() error {
			const state = ws.StateServerSide
			reader, writer := wsutil.NewReader(c, state), wsutil.NewWriter(c, state, ws.OpText)
			reader.MaxMessageSize = readLimit
			return func() error {
				header, err := reader.NextFrame()
				if err != nil {
					return err
				}
				writer.Reset(c, state, header.OpCode)
				if _, err := io.Copy(writer, reader); err != nil {
					return err
				}
				return writer.Flush()
			}
		}), nil
	},
}

// gobwasProgram calls the function that echo returns for each message of a connection.
func gobwasProgram(echo func(net.Conn) func() error) *program {
	return overHTTP(func(w http.ResponseWriter, r *http.Request) {
		c, _, _, err := ws.UpgradeHTTP(r, w)
		if err != nil {
			return // UpgradeHTTP has answered
		}
		go func() {
			defer c.Close()
			for next := echo(c); next() == nil; {
			}
		}()
	})
}
