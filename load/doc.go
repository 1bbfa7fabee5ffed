// Package load measures WebSocket echo servers, whoever wrote them: it sends them
// messages, checks every byte of what comes back, and compares several.
//
//	r, err := load.Run(ctx, load.Plan{Connections: 64, InFlight: 16}, "ws://localhost:8080/", "ws://localhost:8081/")
//	if err != nil {
//		log.Fatal(err) // the plan or a URL makes no sense
//	}
//	fmt.Println(r.OK(), r.Targets[0].Rate.Median, r.Targets[1].Ratios)
//
// The work is done in rounds. In each round the servers are measured one after the other:
// A B C A B C. So other work of the machine affects all of them, and the figures
// are divided round by round. A run opens its connections, warms up, measures, and
// performs the closing handshake.
//
// Without a rate the loop is closed: each connection has a number of messages in
// flight, and one that has come back makes room for the next. That measures what a
// server can do. It does not measure how long others would have waited: a server that
// stalls is sent nothing meanwhile. With a rate the loop is open: each message has
// its time, whatever became of those before it, and its latency counts from that
// time and not from when it could be sent.
//
// The client writes frames that were made beforehand, compares what comes back as
// it comes, and so costs little. Where it still may have been what was measured, the
// report says so. It masks with keys that are random for a run and not for each
// frame: RFC 6455, section 5.3, wants keys that nobody can foresee for the sake of
// proxies and of what others make a browser send, and here nobody else chooses the
// messages.
//
// The package does not know what a server's side costs, does not use proxies, and
// does not reconnect.
package load
