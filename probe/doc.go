// Package probe checks whether a WebSocket server works. It connects, opens a WebSocket,
// sends a message, waits for its echo, and closes.
//
//	r, err := probe.Run(ctx, "wss://example.com/socket", probe.Options{})
//	if err != nil {
//		log.Fatal(err) // a *probe.Error says which step failed, and why
//	}
//	fmt.Println(r.Remote, r.Took)
//
// All steps share one deadline. The probe sets it on the socket once, before the first
// byte, and no server can move it. A server that stalls or sends byte by byte fails at
// that step and at that time.
//
// The check is strict. The message is random. The echo must be text and equal it byte for
// byte. The handshake and each frame must obey RFC 6455. The server must answer the close
// frame. The probe does not check the text of other messages.
//
// [Options].Ping asks for a pong instead, for a server that echoes nothing.
//
// The probe uses no proxy, not even one of the environment, unless Options.DialContext
// does. It follows no redirect and offers no extension. So the result is that of the
// address. It does not try again.
//
// [Watch] keeps a connection open instead. It sends pings through package heartbeat,
// measures the round-trip times, and reports how the connection ended. [Dial] opens one for
// a caller that sends and receives messages itself. [FindIdle] finds an idle timeout, and
// [PingInterval] a ping interval for it. [Watched.ExitCode] is the exit code of wsecho probe.
package probe
