package main

// attacks are the attacks and faults that the server is made to withstand, in an
// order that does not change: their numbers are used elsewhere. To say that
// another test shows one, add its name.
var attacks = []row{
	1: {
		what: "request headers, or TLS, that come slowly or not at all",
		duty: "the handshake's time ends them; others are not held up",
		tests: []string{
			"server.TestSlowHandshake", "server.TestSlowloris",
			"internal/e2e.TestFullForce/header_slowloris",
			"internal/e2e.TestFullForce/TLS_slowloris",
			"internal/e2e.TestFullForce/frame_slowloris",
			"internal/e2e.TestFullForce/silence",
		},
	},
	2: {
		what: "headers that are huge, or thousands of them",
		duty: "431 over 16 KiB",
		tests: []string{
			"server.TestHeaderBytes", "server.TestRoutes",
			"internal/e2e.TestFullForce/header_flood",
		},
	},
	3: {
		what: "lists of tokens made to be slow to parse",
		duty: "linear time; no panic",
		tests: []string{
			"server.TestHeaderBytes", "server.FuzzHandshake", "internal/conformance.TestNegotiation",
			"server.TestTokens",
		},
	},
	4: {
		what:  "pages of other origins",
		duty:  "403, unless they are listed; \"null\" never gets in",
		tests: []string{"server.TestOrigins", "server.TestAnyOrigin", "server.TestCheckOrigin", "server.TestHosts"},
	},
	5: {
		what:  "handshakes with a wrong method, version, key or protocol",
		duty:  "405, 426 or 400 that says version 13; no panic",
		tests: []string{"server.TestBadHandshakes", "server.TestHandshakeWithBody", "server.FuzzHandshake", "internal/conformance.TestHandshake"},
	},
	6: {
		what: "a flood of handshakes",
		duty: "a cap on connections, counted before they are accepted; 503 beyond it",
		tests: []string{
			"server.TestMaxConns", "server.TestMaxConnsAtOnce",
			"server.TestLobbyShowsOut",
			"internal/e2e.TestFullForce/handshake_flood_at_the_cap",
		},
	},
	7: {
		what:  "no file descriptors left",
		duty:  "accepting pauses and goes on; one line in the log",
		tests: []string{"internal/e2e.TestFullForce/descriptors_exhausted", "server.TestLobbyExhausted"},
	},
	8: {
		what:  "a peer that says nothing",
		duty:  "the heartbeat or the idle timeout ends it, and says why",
		tests: []string{"server.TestDeadPeer", "server.TestClocks", "server.TestEndings/no_pong/", "server.TestEndings/idle/"},
	},
	9: {
		what:  "a path that is cut, with no FIN and no RST",
		duty:  "noticed within the heartbeat's budget; nothing is left of it",
		tests: []string{"server.TestDeadPeer", "bench/endings.TestServer/the_path_is_cut", "bench/endings.TestServer/the_path_is_cut,_in_a_payload", "internal/e2e.TestFullForce/half-open_paths"},
	},
	10: {
		what:  "a peer whose process is frozen while its kernel lives",
		duty:  "as a path that is cut",
		tests: []string{"internal/e2e.TestFullForce/frozen_processes"},
	},
	11: {
		what: "a peer that does not read",
		duty: "the write timeout ends it; memory is bounded; others do not notice",
		tests: []string{
			"server.TestStalledPeer", "server.TestEndings/write_stalled/", "server.TestCloseWhileStalled", "internal/transport.TestWriteTimeout",
			"server.TestRowsAlone/tcp/11-never-reads",
			"server.TestRowsAlone/tls/11-never-reads",
			"internal/e2e.TestBudgetPinned",
			"internal/e2e.TestFullForce/messages,_echoes_unread",
			"internal/e2e.TestFullForce/large_messages,_echoes_unread",
		},
	},
	12: {
		what: "a slow link and a large echo",
		duty: "progress is enough; nobody who lives is called dead",
		tests: []string{
			"internal/transport.TestSlowPeer", "internal/transport.TestWriteTimeout/progress", "heartbeat.TestSlowWrite", "internal/e2e.TestSlowLink",
			"server.TestRows/tcp/12-slow-link",
			"server.TestRows/tls/12-slow-link",
		},
	},
	13: {
		what: "a flood of pings from a peer that reads",
		duty: "a bound, then 1008; others are served",
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
		what: "pongs that nobody asked for, or with a forged payload",
		duty: "they answer no ping and hold nobody up",
		tests: []string{
			"heartbeat.TestRTTUnsolicited", "heartbeat.TestForeignPayload", "server.TestLivingPeers", "internal/conformance.TestControlFrames", "server.TestForgedPongs",
			"internal/e2e.TestFullForce/pong_flood",
		},
	},
	16: {
		what: "messages in tiny or empty fragments",
		duty: "1008, beyond a number that grows with the bytes in them",
		tests: []string{
			"server.TestEndings/flood/", "internal/transport.TestScan/1025_empty_fragments", "internal/frame.TestHonestFragments",
			"server.TestRows/tcp/16-tiny-fragments",
			"server.TestRows/tls/16-tiny-fragments",
			"internal/e2e.TestFullForce/tiny_fragments",
			"internal/e2e.TestFullForce/empty_fragments",
		},
	},
	17: {
		what: "messages too large, and lengths of 64 bits that lie",
		duty: "1009 as soon as it is announced; no memory for it",
		tests: []string{
			"internal/conformance.TestLimit", "server.TestEndings/too_big/", "server.TestEndings/too_big/announced",
			"server.TestRows/tcp/17-oversize",
			"server.TestRows/tls/17-oversize",
			"server.TestRowsAlone/tcp/17-memory",
			"server.TestRowsAlone/tls/17-memory",
			"internal/e2e.TestFullForce/lies_about_lengths",
		},
	},
	18: {
		what: "a goodbye held open: a huge frame, and then silence, while we close",
		duty: "every ending takes the close timeout at most",
		tests: []string{
			"server.TestRefusedInMidFlood", "server.TestEndlessFlood", "server.TestNeverCloses",
			"server.TestRows/tcp/18-goodbye-held-open",
			"server.TestRows/tls/18-goodbye-held-open",
			"internal/e2e.TestFullForce/goodbyes_held_open",
		},
	},
	19: {
		what: "a deflate bomb",
		duty: "compression is off by default; the limit counts what comes out",
		tests: []string{
			"internal/conformance.TestDeflateLimit", "internal/conformance.TestNotNegotiated",
			"internal/e2e.TestFullForce/deflate_bombs",
		},
	},
	20: {
		what: "a payload that drips",
		duty: "a time for the whole message, pings in between or not",
		tests: []string{
			"server.TestEndings/too_slow/", "server.TestEndings/too_slow/pings_in_between", "internal/transport.TestMessageTimeout",
			"server.TestRows/tcp/20-dripped",
			"server.TestRows/tls/20-dripped",
			"internal/e2e.TestFullForce/dripped_payloads",
		},
	},
	21: {
		what: "texts and close reasons that are not UTF-8",
		duty: "1007, as soon as it shows; the log quotes",
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
		what: "reserved bits and opcodes, no mask, control frames in fragments or over 125 bytes",
		duty: "1002, and TCP ends",
		tests: []string{
			"internal/conformance.TestFirstBytes", "internal/conformance.TestMasks",
			"internal/conformance.TestControlFrames", "internal/conformance.TestSequences",
			"server.TestRows/tcp/22-violations",
			"server.TestRows/tls/22-violations",
		},
	},
	23: {
		what: "close frames of one byte, with illegal codes or long reasons, two of them, data behind them, no FIN",
		duty: "1002 or the same code; what comes behind does not count; the end is bounded",
		tests: []string{
			"internal/conformance.TestCloseCodes", "internal/conformance.TestCloseReasons",
			"internal/conformance.TestAfterClose", "server.TestNeverCloses",
			"server.TestCloseFrameAbuse",
			"internal/e2e.TestFullForce/close_frames_that_may_not_be",
		},
	},
	24: {
		what: "a message that is cut short",
		duty: "it is never echoed, and counts as abnormal",
		tests: []string{
			"internal/transport.TestTruncated", "internal/conformance.TestDeflateCorrupt",
			"server.TestRows/tcp/24-truncated",
			"server.TestRows/tls/24-truncated",
			"server.TestRows/tls/24-cut-in-a-record",
		},
	},
	25: {
		what: "RST at any moment; TLS that ends without close_notify",
		duty: "an ending of its own; one line in the log",
		tests: []string{
			"server.TestEndings/reset/", "server.TestEndings/reset/TLS", "server.TestEndings/cut/",
			"internal/transport.TestEnds", "server.TestCloseRaces", "server.TestLogLines",
			"server.TestResetAnytime",
			"server.TestBrokenTLS",
			"internal/e2e.TestFullForce/resets",
		},
	},
	26: {
		what: "shutdown under load",
		duty: "1001 to each, a bound, exit code 0; the second signal ends at once",
		tests: []string{
			"internal/e2e.TestDrainMany", "internal/e2e.TestDrainBusy", "internal/e2e.TestScripts/drain", "internal/e2e.TestScripts/second",
			"server.TestDrain", "server.TestDrainTimeout", "server.TestDrainUnderLoad",
			"server.TestSilentAtShutdown",
		},
	},
	27: {
		what:  "a handler that panics",
		duty:  "1011 for its connection; the process lives",
		tests: []string{"server.TestEndings/panicked/", "server.TestEndings/panicked/Goexit", "server.TestLogPanic", "server.TestPanickingOptions", "server.TestPanicIsAlone"},
	},
	28: {
		what: "what a peer sends turned against the log or the terminal",
		duty: "it is quoted, and cut where it is long",
		tests: []string{
			"server.TestLogQuotes", "server.TestLogCut", "server.TestLogCutHTTP", "server.TestLogCutRemote", "server.TestLogCutWhere", "internal/e2e.TestScripts/log", "internal/command.TestMessageLine", "internal/command.FuzzMessageLine",
			"internal/command.TestMessagesUnread",
			"internal/e2e.TestStdoutUnread",
			"internal/e2e.TestFullForce/log_injection",
			"internal/e2e.TestFullForce/log_injection,_JSON",
		},
	},
	29: {
		what: "a probe that hangs or lies",
		duty: "one deadline for all that a probe does; an exit code for each step",
		tests: []string{
			"probe.TestStalls", "probe.TestConnectStalls", "probe.TestResolverStalls", "probe.TestWrong", "probe.TestUnreachable",
			"probe.TestCancelled", "probe.TestWorks", "internal/command.TestCheckCodes", "internal/e2e.TestScripts/check",
		},
	},
	30: {
		what: "leaks",
		duty: "goroutines, descriptors and connections are what they were before",
		tests: []string{
			"internal/command", "internal/e2e", "server", "internal/transport", "internal/fairness", "heartbeat", "echo", "ending", "internal/conformance", "wstest.TestVerify", "wstest.TestVerifyDescriptors", "internal/e2e.TestNothingIsLeft",
			"internal/deflate", "probe",
		},
	},
	31: {
		what: "things that end a connection at the same time",
		duty: "one ending, with one reason; no data race",
		tests: []string{
			"server.TestCloseRaces", "server.TestDrainRace", "server.TestPeerClosesFirst", "heartbeat.TestConcurrently", "server.TestRaceOrders",
			"server.TestLifecycle",
		},
	},
	32: {
		what:  "the protocol itself",
		duty:  "RFC 6455 and RFC 7692, strictly",
		tests: []string{"internal/conformance", "internal/conformance.TestAutobahn", "internal/conformance.TestAutobahnIsWhole"},
	},
}[1:]
