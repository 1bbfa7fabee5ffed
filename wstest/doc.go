// Package wstest helps to test WebSocket clients and servers. To test a client, there is a
// server that misbehaves. To test a server, there is a raw peer, which can send everything
// that a correct client must not send.
//
// # A server for tests of clients
//
// [NewServer] starts an echo server with faults. It runs until the end of the test:
//
//	func TestNoticesDeadServer(t *testing.T) {
//		s := wstest.NewServer(t, wstest.PongsThenNone(3))
//		err := myclient.Run(t.Context(), s.URL)
//		// err should say that the server is dead
//		r, _ := s.Next(t.Context())
//		// r says how the client has ended the connection: r.End.Code, r.End.FIN, r.Pings
//	}
//
// The faults:
//
//   - The connection ends: [CloseWith], [DropFIN], [DropRST], [Truncate].
//   - Invalid frames: [Garbage], [BadUTF8], [Mask]. Valid but unusual ones: [Fragment].
//   - Pings: [NoPong], [PongsThenNone], [LatePong], [WrongPong], [PingEvery].
//   - The server is slow: [Delay], [Jitter], [SlowRead], [SlowWrite], [StallRead].
//   - The handshake: [Status], [Hold], [WrongAccept].
//   - Messages that are no echo: [Hello], [Send].
//
// An end or an invalid frame can come after some messages: DropRST().After(3). It can come
// after a time: Garbage().AfterTime(time.Minute). Faults can be combined, and
// [EchoServer.SetFaults] changes them for later connections. So the first connection of a
// client can fail and the second one work. The effects are those of the query parameters in
// docs/faults.md. The command wsecho has these for tests from outside.
//
// [EchoServer.Next] returns a report of each connection. The report contains how the
// client ended the connection and what it sent. It also names the first rule of RFC 6455
// that the client broke.
//
// # Without waiting
//
// [NewPipeServer] is the same server over a connection in memory. It works in a bubble of
// testing/synctest, where an hour takes no time:
//
//	synctest.Test(t, func(t *testing.T) {
//		s := wstest.NewPipeServer(t, wstest.LatePong(2*time.Second))
//		c, _, err := websocket.Dial(ctx, s.URL, &websocket.DialOptions{HTTPClient: s.HTTPClient()})
//		...
//	})
//
// A client reaches it through [EchoServer.HTTPClient], or through [EchoServer.DialContext],
// which is gorilla's NetDialContext. [Pipe] is that connection, and [PipeListener] a
// net.Listener for it, for any other server.
//
// # A raw peer
//
// A [Peer] reads and writes single frames:
//
//	p, err := wstest.Dial(url, wstest.DialOptions{})
//	p.Send(wstest.TextFrame("half a message").Open(), wstest.PingFrame("ok?"))
//	p.SendRaw(wstest.Header(0x80|wstest.Close, true, [4]byte{}, 126, 16))
//	end, err := p.End(time.Second) // reads until the stream ends
//	log.Println(end.Code, end.FIN, end.After, err)
//
// To test a server, [Dial] returns a client after a correct opening handshake, and
// [RawDial] one without a handshake. For behaviour that no fault has, [Serve], [ServeTLS]
// and [ServeRaw] call a function of the test with a server's Peer. [Client] and [Server]
// return a Peer for any net.Conn, such as an end of a Pipe.
//
// The names are those of RFC 6455. A section in parentheses is a section of that RFC.
//
// A Peer reports what it receives and does not judge it. It checks neither UTF-8 nor
// masks, reserved bits and the order of frames. It supports no extension. It answers only
// in [Peer.Answer].
//
// # Leaks
//
// [VerifyNoLeaks] fails if goroutines or file descriptors are left after the tests of a
// package.
package wstest
