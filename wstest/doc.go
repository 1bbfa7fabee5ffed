// Package wstest is a raw WebSocket peer for tests. It reads and writes frame
// by frame over a real socket, and it does on purpose everything that a correct
// implementation must never do.
//
//	p, err := wstest.Dial(url, wstest.DialOptions{})
//	p.Send(wstest.TextFrame("half a message").Open(), wstest.PingFrame("ok?"))
//	p.SendRaw(wstest.Header(0x80|wstest.Close, true, [4]byte{}, 126, 16))
//	end, err := p.End(time.Second) // reads until the stream ends
//	log.Println(end.Code, end.FIN, end.After, err)
//
// A client for testing servers comes from [Dial], which makes an honest opening
// handshake, or from [RawDial], which makes none. A server for testing clients
// comes from [Serve], [ServeTLS] or [ServeRaw]. Either is a [Peer]. [Client]
// and [Server] put one over any net.Conn, such as a net.Pipe.
//
// The names are those of RFC 6455; a section in parentheses is one of its own.
//
// The package does not judge: it validates no UTF-8, checks no masking, no
// reserved bit and no order of frames, it answers nothing unless [Peer.Answer]
// runs, and it knows no extension. It reports what came.
package wstest
