// Package soak keeps an echo server busy with every kind of peer at once, good
// ones and bad, and holds it to account: every echo must be what was sent, every
// connection must have the one Outcome in the log that what its peer did leads
// to, and when all are gone nothing of them may be left.
//
//	s, err := soak.Start(exec.Command(binary, soak.Flags()...), "ws")
//	l := soak.NewLoad(ctx, []*soak.Server{s}, soak.Options{Conns: 64})
//	...
//	s.Quiet(20 * time.Second) // with the load paused: all accounted for, all sockets closed
//
// It works on Linux.
package soak
