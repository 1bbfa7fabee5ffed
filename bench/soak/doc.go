// Package soak tests an echo server with every kind of peer at once, correct and
// incorrect. Every echo must equal its message. Every connection must have exactly one
// Outcome in the log, and it must be the Outcome that the peer caused. After the last
// connection, the server must have released all its resources.
//
//	s, err := soak.Start(exec.Command(binary, soak.Flags()...), "ws")
//	l := soak.NewLoad(ctx, []*soak.Server{s}, soak.Options{Conns: 64})
//	...
//	s.Quiet(20 * time.Second) // while the load is paused: waits for Outcomes and closed sockets
//
// The package needs Linux.
package soak
