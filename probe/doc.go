// Package probe asks a WebSocket server whether it works: it connects, opens a
// WebSocket, has a message sent back, and closes.
//
//	r, err := probe.Run(ctx, "wss://example.com/socket", probe.Options{})
//	if err != nil {
//		log.Fatal(err) // a *probe.Error says which step failed, and why
//	}
//	fmt.Println(r.Remote, r.Took)
//
// All of it has one deadline, which nothing that the server does can move: it is
// set on the socket once, before the first byte. A server that stalls or drips
// bytes at any step fails at that step and at that time.
//
// What counts as working is strict. The message is random, and has to come back
// byte for byte and as text; the handshake and each frame have to be as RFC 6455
// says; and the goodbye has to be one, with a close frame. The package has its own
// reading of the RFC and not that of the library that servers here are built on:
// what both misread in the same way, neither would notice. Only what other
// messages say is not looked at.
//
// A server that echoes nothing can be asked for a pong instead.
//
// The package does not use proxies, not those of the environment either, does not
// follow redirects, and asks for no extensions: it says what the address itself
// answers. It does not try again.
package probe
