// Package wstest is a raw WebSocket peer for tests. It reads and writes single frames over
// a real socket. A test can send everything that a correct peer must not send.
//
//	p, err := wstest.Dial(url, wstest.DialOptions{})
//	p.Send(wstest.TextFrame("half a message").Open(), wstest.PingFrame("ok?"))
//	p.SendRaw(wstest.Header(0x80|wstest.Close, true, [4]byte{}, 126, 16))
//	end, err := p.End(time.Second) // reads until the stream ends
//	log.Println(end.Code, end.FIN, end.After, err)
//
// To test a server, [Dial] returns a client after a correct opening handshake, and
// [RawDial] one without a handshake. To test a client, [Serve], [ServeTLS] and [ServeRaw]
// are servers. Client and server are a [Peer]. [Client] and [Server] return one for any
// net.Conn, such as a net.Pipe.
//
// The names are those of RFC 6455. A section in parentheses is a section of that RFC.
//
// The package reports what it receives and does not judge it. It checks neither UTF-8 nor
// masks, reserved bits and the order of frames. It supports no extension. It answers only
// in [Peer.Answer].
package wstest
