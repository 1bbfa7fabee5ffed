package main

// own is a name of a test of package conformance.
func own(tests ...string) []string {
	for i, t := range tests {
		tests[i] = "internal/conformance." + t
	}
	return tests
}

// A standard is an RFC. The sections that only bind a client, or nobody, are not
// there.
type standard struct {
	title string
	rows  []row // what is its number and title
}

var standards = []standard{
	{"RFC 6455, the WebSocket protocol", []row{
		{what: "1.9 subprotocols", duty: "one of the server's that was asked for, or none", tests: append(own("TestSubprotocol"), "server.TestSubprotocols")},
		{what: "4.2.1 the client's handshake", duty: "the forms that are legal, and those that are not", tests: append(own("TestHandshake"), "server.TestBadHandshakes", "server.TestHandshakeWithBody")},
		{what: "4.2.2 the server's handshake", duty: "the answer, its key, and nothing that was not asked for", tests: append(own("TestHandshake"), "server.TestOrigins")},
		{what: "4.4 versions", duty: "400 or 426 with Sec-WebSocket-Version: 13", tests: append(own("TestHandshake"), "server.TestBadHandshakes")},
		{what: "5.1 masks", duty: "a frame without one is refused; ours have none", tests: own("TestMasks")},
		{what: "5.2 frames", duty: "every first byte; every form of a length, the shortest alone legal", tests: own("TestFirstBytes", "TestLengths")},
		{what: "5.3 masking", duty: "all keys, all positions", tests: own("TestMasks")},
		{what: "5.4 fragments", duty: "all sequences of up to four frames; cuts at every place", tests: own("TestSequences", "TestFragments")},
		{what: "5.5 control frames", duty: "every length; in fragments never; between fragments", tests: own("TestControlFrames", "TestFragments")},
		{what: "5.5.1 close", duty: "answered once; nothing behind it counts", tests: own("TestAfterClose", "TestCloseReasons")},
		{what: "5.5.2 ping", duty: "answered with its payload, in the middle of a message too", tests: own("TestControlFrames", "TestFragments")},
		{what: "5.5.3 pong", duty: "unasked for, it means nothing", tests: own("TestControlFrames", "TestFragments")},
		{what: "5.6 data frames", duty: "text as text, binary as binary, up to 16 MiB", tests: own("TestLengths", "TestLarge")},
		{what: "5.8 extensibility", duty: "bits and opcodes that nobody has agreed on are refused", tests: own("TestFirstBytes", "TestNotNegotiated")},
		{what: "6.1 sending", duty: "each frame of the server's is looked at in all of these tests; a write that fails", tests: append(own("TestAutobahn"), "internal/frame.TestFollower", "server.TestWriteFails")},
		{what: "6.2 receiving", duty: "whole messages only", tests: append(own("TestFragments"), "server.TestRows/tcp/24-truncated", "server.TestRows/tls/24-truncated")},
		{what: "7.1.1 closing TCP", duty: "the server's FIN comes first, and comes, whatever the peer does", tests: append(own("TestAfterClose"), "server.TestNeverCloses", "internal/transport.TestHangupFIN")},
		{what: "7.1.5 the close code", duty: "reported as it came", tests: []string{"server.TestEndings", "ending.TestClientEndings"}},
		{what: "7.1.7 failing a connection", duty: "a close frame, what comes read off, FIN", tests: append(own("TestFirstBytes"), "server.TestRefusedInMidFlood")},
		{what: "7.2.2 abnormal closure", duty: "each has a kind of its own", tests: []string{"server.TestEndings", "internal/transport.TestEnds"}},
		{what: "7.3 normal closure", duty: "a server that goes says 1001", tests: []string{"server.TestDrain"}},
		{what: "7.4 close codes", duty: "every code from 0 to 5000, and some above", tests: own("TestCloseCodes")},
		{what: "8.1 UTF-8", duty: "every edge of it, cut everywhere; refused at the first byte that is wrong", tests: own("TestUTF8", "TestFailFast", "TestCutText", "TestGrammar")},
		{what: "9.1 negotiating extensions", duty: "the grammar; unknown ones; none unasked for", tests: own("TestNegotiation", "TestNotNegotiated")},
		{what: "10.2 origins", duty: "other hosts' pages are refused", tests: []string{"server.TestOrigins", "server.TestCheckOrigin"}},
		{what: "10.4 limits", duty: "1009 before it has come; 16 MiB, and 4 MiB in 64-byte fragments, pass", tests: own("TestLimit", "TestLarge")},
	}},
	{"RFC 7692, permessage-deflate", []row{
		{what: "5.1 negotiating", duty: "the first offer that can be accepted", tests: own("TestNegotiation")},
		{what: "6 framing", duty: "RSV1 on the first frame of a compressed message alone; plain ones in between", tests: own("TestDeflateMessages", "TestDeflateCorrupt", "TestNotNegotiated")},
		{what: "7.1.1 context takeover", duty: "both parameters, kept; windows over many messages", tests: own("TestNegotiation", "TestDeflateMessages", "TestDeflateExamples")},
		{what: "7.1.2.1 server_max_window_bits", duty: "answered as offered; no reference from farther away", tests: own("TestNegotiation", "TestWindows")},
		{what: "7.1.2.2 client_max_window_bits", duty: "answered only if offered, and never with more", tests: own("TestNegotiation", "TestDeflateMessages")},
		{what: "7.2.1 compressing", duty: "messages of 0 to 128 KiB; the tail taken off", tests: own("TestDeflateMessages", "TestWindows")},
		{what: "7.2.2 decompressing", duty: "in fragments cut anywhere; what is cut short or wrong is refused with 1007", tests: append(own("TestDeflateExamples", "TestDeflateCorrupt", "TestTables"), "internal/deflate.TestWhole", "server.TestRows/tcp/24-truncated")},
		{what: "7.2.3 examples", duty: "all of them, stored and final blocks too, and what comes behind", tests: own("TestDeflateExamples")},
		{what: "8 security", duty: "the limit and UTF-8 hold for what comes out", tests: own("TestDeflateLimit", "TestDeflateText")},
	}},
}
