package main

// attacks lists the attacks and faults that the server must withstand. The order is
// fixed, because names of subtests contain the numbers. To map another test to a row,
// add its name.
var attacks = []row{
	1: {
		what: "request headers, or TLS, that arrive slowly or never",
		duty: "the handshake timeout ends them; other connections are not delayed",
		tests: []string{
			"server.TestSlowHandshake", "server.TestSlowloris",
			"internal/e2e.TestFullForce/header_slowloris",
			"internal/e2e.TestFullForce/TLS_slowloris",
			"internal/e2e.TestFullForce/frame_slowloris",
			"internal/e2e.TestFullForce/silence",
			"internal/e2e.TestFullForce/bodies_that_never_come",
			"internal/listener.TestHoldsNoSlot",
		},
	},
	2: {
		what: "huge headers, or thousands of them",
		duty: "431 over 16 KiB",
		tests: []string{
			"server.TestHeaderBytes", "server.TestRoutes",
			"internal/e2e.TestFullForce/header_flood",
		},
	},
	3: {
		what: "token lists that are slow to parse",
		duty: "linear time; no panic",
		tests: []string{
			"server.TestHeaderBytes", "server.FuzzHandshake", "internal/conformance.TestNegotiation",
			"server.TestTokens",
		},
	},
	4: {
		what:  "pages of other origins",
		duty:  "403, unless they are listed; \"null\" is always refused",
		tests: []string{"server.TestOrigins", "server.TestAnyOrigin", "server.TestCheckOrigin", "server.TestNormalOrigins", "server.FuzzOriginPattern", "server.TestHosts"},
	},
	5: {
		what: "handshakes with a wrong method, version, key or protocol",
		duty: "405, 426, or 400 that names version 13; no panic",
		tests: []string{
			"server.TestBadHandshakes", "server.TestHandshakeWithBody", "server.FuzzHandshake", "internal/conformance.TestHandshake",
			"server.TestWithoutUpgrade", "server.TestMethods", "server.TestRefusedIsClosed",
		},
	},
	6: {
		what: "a flood of handshakes",
		duty: "connections are counted before they are accepted; 503 over the limit",
		tests: []string{
			"server.TestMaxConns", "server.TestMaxConnsAtOnce",
			"internal/listener.TestEvicts",
			"internal/e2e.TestFullForce/handshake_flood_at_the_cap",
		},
	},
	7: {
		what:  "no file descriptors left",
		duty:  "the server pauses and resumes accepting; one line in the log",
		tests: []string{"internal/e2e.TestFullForce/descriptors_exhausted", "internal/listener.TestOutage"},
	},
	8: {
		what:  "a peer that sends nothing",
		duty:  "the heartbeat or the idle timeout ends it, and the reason names which",
		tests: []string{"server.TestDeadPeer", "server.TestClocks", "server.TestEndings/no_pong/", "server.TestEndings/idle/"},
	},
	9: {
		what:  "a network partition, with no FIN and no RST",
		duty:  "the heartbeat ends it within its interval and timeout; it leaves no resources",
		tests: []string{"server.TestDeadPeer", "bench/endings.TestServer/the_path_is_cut", "bench/endings.TestServer/the_path_is_cut,_in_a_payload", "internal/e2e.TestFullForce/half-open_paths"},
	},
	10: {
		what:  "a peer whose process is frozen while its kernel lives",
		duty:  "as a network partition",
		tests: []string{"internal/e2e.TestFullForce/frozen_processes"},
	},
	11: {
		what: "a peer that does not read, or too slowly",
		duty: "the write timeout ends it; memory is bounded; other connections are not delayed",
		tests: []string{
			"server.TestStalledPeer", "server.TestEndings/write_stalled/", "server.TestCloseWhileStalled", "internal/transport.TestWriteTimeout", "server.TestMinWriteRate",
			"server.TestRowsAlone/tcp/11-never-reads",
			"server.TestRowsAlone/tls/11-never-reads",
			"internal/e2e.TestBudgetPinned",
			"internal/e2e.TestFullForce/messages,_echoes_unread",
			"internal/e2e.TestFullForce/large_messages,_echoes_unread",
		},
	},
	12: {
		what: "a slow link and a large echo",
		duty: "progress at the minimum rate is enough; no live peer is ended as dead",
		tests: []string{
			"internal/transport.TestSlowPeer", "internal/transport.TestWriteTimeout/progress", "heartbeat.TestSlowWrite", "internal/e2e.TestSlowLink",
			"server.TestRows/tcp/12-slow-link",
			"server.TestRows/tls/12-slow-link",
		},
	},
	13: {
		what: "a flood of pings from a peer that reads",
		duty: "1008 over a rate; other connections are served",
		tests: []string{
			"server.TestPingFlood", "internal/transport.TestControlFlood",
			"internal/e2e.TestFullForce/ping_flood",
		},
	},
	14: {
		what: "a flood of pings from a peer that does not read",
		duty: "memory is bounded; the write timeout ends it",
		tests: []string{
			"internal/transport.TestControlUnderWrite", "server.TestPingWhileStalled", "server.TestPingFloodUnread",
			"internal/e2e.TestFullForce/ping_flood,_pongs_unread",
		},
	},
	15: {
		what: "unsolicited pongs, or pongs with a forged payload",
		duty: "they answer no ping and delay no other connection",
		tests: []string{
			"heartbeat.TestRTTUnsolicited", "heartbeat.TestForeignPayload", "server.TestLivingPeers", "internal/conformance.TestControlFrames", "server.TestForgedPongs",
			"internal/e2e.TestFullForce/pong_flood",
		},
	},
	16: {
		what: "messages in tiny or empty fragments",
		duty: "1008 over a number that grows with the bytes in them",
		tests: []string{
			"server.TestEndings/flood/", "internal/transport.TestScan/1025_empty_fragments", "internal/frame.TestHonestFragments",
			"server.TestRows/tcp/16-tiny-fragments",
			"server.TestRows/tls/16-tiny-fragments",
			"internal/e2e.TestFullForce/tiny_fragments",
			"internal/e2e.TestFullForce/empty_fragments",
		},
	},
	17: {
		what: "messages over the limit, and false 64-bit lengths",
		duty: "1009 after the header; no memory for the payload",
		tests: []string{
			"internal/conformance.TestLimit", "server.TestEndings/too_big/", "server.TestEndings/too_big/announced",
			"server.TestRows/tcp/17-oversize",
			"server.TestRows/tls/17-oversize",
			"server.TestRowsAlone/tcp/17-memory",
			"server.TestRowsAlone/tls/17-memory",
			"internal/e2e.TestFullForce/false_lengths",
		},
	},
	18: {
		what: "a closing handshake that the peer delays with a huge frame, then silence",
		duty: "every ending takes at most the close timeout",
		tests: []string{
			"server.TestRefusedInMidFlood", "server.TestEndlessFlood", "server.TestNeverCloses",
			"server.TestRows/tcp/18-closing-held-open",
			"server.TestRows/tls/18-closing-held-open",
			"internal/e2e.TestFullForce/closing_handshakes_held_open",
		},
	},
	19: {
		what: "a deflate bomb",
		duty: "compression is off by default; the limit counts decompressed bytes",
		tests: []string{
			"internal/conformance.TestDeflateLimit", "internal/conformance.TestNotNegotiated",
			"internal/e2e.TestFullForce/deflate_bombs",
		},
	},
	20: {
		what: "a payload that arrives byte by byte",
		duty: "one timeout for the whole message, with or without pings in between",
		tests: []string{
			"server.TestEndings/too_slow/", "server.TestEndings/too_slow/pings_in_between", "internal/transport.TestMessageTimeout",
			"server.TestRows/tcp/20-dripped",
			"server.TestRows/tls/20-dripped",
			"internal/e2e.TestFullForce/dripped_payloads",
		},
	},
	21: {
		what: "texts and close reasons that are not UTF-8",
		duty: "1007 at the first invalid byte; the log quotes the reason",
		tests: []string{
			"internal/conformance.TestUTF8", "internal/conformance.TestFailFast", "internal/conformance.TestCutText",
			"internal/conformance.TestCloseReasons", "server.TestLogQuotes",
			"server.TestRows/tcp/21-not-utf8",
			"server.TestRows/tls/21-not-utf8",
			"server.TestRows/tcp/21-at-once",
			"server.TestRows/tls/21-at-once",
		},
	},
	22: {
		what: "reserved bits and opcodes, unmasked frames, control frames in fragments or over 125 bytes",
		duty: "1002, then the server closes TCP",
		tests: []string{
			"internal/conformance.TestFirstBytes", "internal/conformance.TestMasks",
			"internal/conformance.TestControlFrames", "internal/conformance.TestSequences",
			"server.TestRows/tcp/22-violations",
			"server.TestRows/tls/22-violations",
		},
	},
	23: {
		what: "close frames of one byte, with illegal codes or long reasons, repeated, followed by data, without FIN",
		duty: "1002 or the same code; data after it is ignored; the close timeout bounds the end",
		tests: []string{
			"internal/conformance.TestCloseCodes", "internal/conformance.TestCloseReasons",
			"internal/conformance.TestAfterClose", "server.TestNeverCloses",
			"server.TestCloseFrameAbuse",
			"internal/e2e.TestFullForce/invalid_close_frames",
		},
	},
	24: {
		what: "a truncated message",
		duty: "it is never echoed, and counts as an abnormal closure",
		tests: []string{
			"internal/transport.TestTruncated", "internal/conformance.TestDeflateCorrupt",
			"server.TestRows/tcp/24-truncated",
			"server.TestRows/tls/24-truncated",
			"server.TestRows/tls/24-cut-in-a-record",
		},
	},
	25: {
		what: "RST at any time; TLS that ends without close_notify",
		duty: "a distinct ending; one line in the log",
		tests: []string{
			"server.TestEndings/reset/", "server.TestEndings/reset/TLS", "server.TestEndings/truncated/",
			"internal/transport.TestEnds", "server.TestCloseRaces", "server.TestLogLines",
			"server.TestResetAnytime",
			"server.TestBrokenTLS",
			"internal/e2e.TestFullForce/resets",
		},
	},
	26: {
		what: "shutdown under load",
		duty: "1001 to each peer within the drain timeout, exit code 0; a second signal exits at once",
		tests: []string{
			"internal/e2e.TestDrainMany", "internal/e2e.TestDrainBusy", "internal/e2e.TestScripts/drain", "internal/e2e.TestScripts/second",
			"internal/e2e.TestRepeatedSignal", "internal/e2e.TestHangup",
			"server.TestDrain", "server.TestDrainTimeout", "server.TestDrainUnderLoad",
			"server.TestSilentAtShutdown",
		},
	},
	27: {
		what:  "a handler that panics",
		duty:  "1011 for its connection; the process continues",
		tests: []string{"server.TestEndings/panicked/", "server.TestEndings/panicked/Goexit", "server.TestLogPanic", "server.TestPanickingOptions", "server.TestPanicIsAlone", "server.TestErrorPanics"},
	},
	28: {
		what: "peer data that attacks the log or the terminal",
		duty: "it is quoted, and shortened if it is long; a reader that stops or exits does not stop the server",
		tests: []string{
			"server.TestLogQuotes", "server.TestLogCut", "server.TestLogCutHTTP", "server.TestLogCutRemote", "server.TestLogCutWhere", "internal/e2e.TestScripts/log", "internal/command.TestMessageLine", "internal/command.FuzzMessageLine",
			"internal/command.TestMessagesUnread",
			"internal/e2e.TestStdoutUnread", "internal/e2e.TestReaderExits",
			"internal/e2e.TestFullForce/log_injection",
			"internal/e2e.TestFullForce/log_injection,_JSON",
		},
	},
	29: {
		what: "a probe that hangs or lies",
		duty: "one deadline for the whole probe; an exit code for each step",
		tests: []string{
			"probe.TestStalls", "probe.TestConnectStalls", "probe.TestResolverStalls", "probe.TestWrong", "probe.TestUnreachable",
			"probe.TestCancelled", "probe.TestWorks", "internal/command.TestCheckCodes", "internal/e2e.TestScripts/check",
		},
	},
	30: {
		what: "leaks",
		duty: "the numbers of goroutines, descriptors and connections are those from before",
		tests: []string{
			"internal/command", "internal/e2e", "server", "internal/transport", "internal/fairness", "heartbeat", "echo", "ending", "internal/conformance", "wstest.TestVerify", "wstest.TestVerifyDescriptors", "internal/e2e.TestNothingIsLeft",
			"internal/deflate", "internal/listener", "probe",
		},
	},
	31: {
		what: "several events that end a connection at the same time",
		duty: "one ending with one reason; no data race",
		tests: []string{
			"server.TestCloseRaces", "server.TestDrainRace", "server.TestPeerClosesFirst", "heartbeat.TestConcurrently", "server.TestRaceOrders",
			"server.TestLifecycle",
		},
	},
	32: {
		what:  "the protocol itself",
		duty:  "strict RFC 6455 and RFC 7692",
		tests: []string{"internal/conformance", "internal/conformance.TestAutobahn", "internal/conformance.TestAutobahnIsWhole"},
	},
}[1:]
