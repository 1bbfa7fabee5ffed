// Package load measures WebSocket echo servers of any kind. It sends messages, compares
// every byte of each echo, and compares several servers.
//
//	r, err := load.Run(ctx, load.Plan{Connections: 64, InFlight: 16}, "ws://localhost:8080/", "ws://localhost:8081/")
//	if err != nil {
//		log.Fatal(err) // the plan or a URL is not valid
//	}
//	fmt.Println(r.OK(), r.Targets[0].Rate.Median, r.Targets[1].Ratios)
//
// Run measures in rounds. In each round it measures the servers one after the other: A B
// C A B C. So other work of the machine affects all of them. It divides the figures round
// by round. For each server and round it opens connections, warms up, measures, and
// performs the closing handshake.
//
// Without a rate the loop is closed. Each connection has a number of messages in flight,
// and each echo allows the next message. That measures the maximum of a server. It does
// not show the latency of a stall, because a stalled server is sent no messages. With a
// rate the loop is open. Each message is due at a fixed time. Its latency counts from that
// time, even if it was sent later.
//
// The client sends frames that it made before the run and compares echoes while they
// arrive, so it costs little. The report has a note if it may still have been the
// bottleneck. It uses one masking key for a run. RFC 6455, section 5.3, demands a new key
// for each frame. So no attacker can choose the bytes on the wire. Here no attacker
// chooses the messages.
//
// The package does not measure the cost of a server. It uses no proxies and does not
// reconnect.
package load
