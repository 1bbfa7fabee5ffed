package main

// own returns the names of tests of package conformance.
func own(tests ...string) []string {
	for i, t := range tests {
		tests[i] = "internal/conformance." + t
	}
	return tests
}

// A standard is an RFC. Its rows are the sections that bind a server.
type standard struct {
	title string
	rows  []row // the field what holds the number and the title
}

var standards = []standard{
	{"RFC 6455, the WebSocket protocol", []row{
		{what: "1.9 subprotocols", duty: "one that the client offered and the server supports, or none", tests: append(own("TestSubprotocol"), "server.TestSubprotocols")},
		{what: "4.2.1 the client's handshake", duty: "legal and illegal forms", tests: append(own("TestHandshake"), "server.TestBadHandshakes", "server.TestHandshakeWithBody")},
		{what: "4.2.2 the server's handshake", duty: "the answer, its key, and no header that the client did not ask for", tests: append(own("TestHandshake"), "server.TestOrigins")},
		{what: "4.4 versions", duty: "400 or 426 with Sec-WebSocket-Version: 13", tests: append(own("TestHandshake"), "server.TestBadHandshakes")},
		{what: "5.1 masks", duty: "an unmasked frame is refused; the server masks nothing", tests: own("TestMasks")},
		{what: "5.2 frames", duty: "every first byte; every form of a length, of which only the shortest is legal", tests: own("TestFirstBytes", "TestLengths")},
		{what: "5.3 masking", duty: "all keys, all positions", tests: own("TestMasks")},
		{what: "5.4 fragments", duty: "all sequences of up to four frames; cuts at every byte", tests: own("TestSequences", "TestFragments")},
		{what: "5.5 control frames", duty: "every length; never in fragments; between fragments", tests: own("TestControlFrames", "TestFragments")},
		{what: "5.5.1 close", duty: "answered once; data after it is ignored", tests: own("TestAfterClose", "TestCloseReasons")},
		{what: "5.5.2 ping", duty: "answered with its payload, also inside a message", tests: own("TestControlFrames", "TestFragments")},
		{what: "5.5.3 pong", duty: "an unsolicited pong is ignored", tests: own("TestControlFrames", "TestFragments")},
		{what: "5.6 data frames", duty: "text as text, binary as binary, up to 16 MiB", tests: own("TestLengths", "TestLarge")},
		{what: "5.8 extensibility", duty: "bits and opcodes that were not negotiated are refused", tests: own("TestFirstBytes", "TestNotNegotiated")},
		{what: "6.1 sending", duty: "all of these tests check each frame from the server; a write that fails", tests: append(own("TestAutobahn"), "internal/frame.TestTracker", "server.TestWriteFails")},
		{what: "6.2 receiving", duty: "whole messages only", tests: append(own("TestFragments"), "server.TestRows/tcp/24-truncated", "server.TestRows/tls/24-truncated")},
		{what: "7.1.1 closing TCP", duty: "the server sends FIN first, whatever the peer does", tests: append(own("TestAfterClose"), "server.TestNeverCloses", "internal/transport.TestHangupFIN")},
		{what: "7.1.5 the close code", duty: "reported as received", tests: []string{"server.TestEndings", "ending.TestClientEndings"}},
		{what: "7.1.7 failing a connection", duty: "a close frame, incoming data discarded, FIN", tests: append(own("TestFirstBytes"), "server.TestRefusedInMidFlood")},
		{what: "7.2.2 abnormal closure", duty: "each has a distinct kind", tests: []string{"server.TestEndings", "internal/transport.TestEnds"}},
		{what: "7.3 normal closure", duty: "a server that shuts down sends 1001", tests: []string{"server.TestDrain"}},
		{what: "7.4 close codes", duty: "every code from 0 to 5000, and some above", tests: own("TestCloseCodes")},
		{what: "8.1 UTF-8", duty: "every boundary, cut everywhere; refused at the first invalid byte", tests: own("TestUTF8", "TestFailFast", "TestCutText", "TestGrammar")},
		{what: "9.1 negotiating extensions", duty: "the grammar; unknown extensions; none that the client did not offer", tests: own("TestNegotiation", "TestNotNegotiated")},
		{what: "10.2 origins", duty: "pages of other hosts are refused", tests: []string{"server.TestOrigins", "server.TestCheckOrigin"}},
		{what: "10.4 limits", duty: "1009 before the payload; 16 MiB, and 4 MiB in 64-byte fragments, pass", tests: own("TestLimit", "TestLarge")},
	}},
	{"RFC 7692, permessage-deflate", []row{
		{what: "5.1 negotiating", duty: "the first acceptable offer", tests: own("TestNegotiation")},
		{what: "6 framing", duty: "RSV1 only on the first frame of a compressed message; uncompressed messages in between", tests: own("TestDeflateMessages", "TestDeflateCorrupt", "TestNotNegotiated")},
		{what: "7.1.1 context takeover", duty: "both parameters are respected; windows over many messages", tests: own("TestNegotiation", "TestDeflateMessages", "TestDeflateExamples")},
		{what: "7.1.2.1 server_max_window_bits", duty: "answered as offered; no reference beyond the window", tests: own("TestNegotiation", "TestWindows")},
		{what: "7.1.2.2 client_max_window_bits", duty: "answered only if offered, and never with a larger value", tests: own("TestNegotiation", "TestDeflateMessages")},
		{what: "7.2.1 compressing", duty: "messages of 0 to 128 KiB; the tail is removed", tests: own("TestDeflateMessages", "TestWindows")},
		{what: "7.2.2 decompressing", duty: "in fragments cut anywhere; truncated or corrupt data is refused with 1007", tests: append(own("TestDeflateExamples", "TestDeflateCorrupt", "TestTables"), "internal/deflate.TestWhole", "server.TestRows/tcp/24-truncated")},
		{what: "7.2.3 examples", duty: "all of them, also stored and final blocks, and the next message", tests: own("TestDeflateExamples")},
		{what: "8 security", duty: "the limit and UTF-8 apply to decompressed data", tests: own("TestDeflateLimit", "TestDeflateText")},
	}},
}
