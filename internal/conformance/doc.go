// Package conformance holds the server to RFC 6455 and RFC 7692, from outside:
// its tests start the echo on loopback, write frames byte by byte as no library
// would, and compare every frame that comes back, the close code, and how TCP
// ends.
//
//	go test ./internal/conformance                                # a sample of the long tables
//	WSECHO_TEST_FULL=1 go test ./internal/conformance             # all of them
//	go test ./internal/conformance -run TestAutobahn/6.4          # one section of the suite
//	go test ./internal/conformance -run TestAutobahn -exhaustive  # with the suite's own numbers of messages
//
// TestAutobahn has a counterpart of each case of the Autobahn test suite, under
// the case's own number, and demands the answer that the suite calls strict. The
// other tests go beyond the suite: all opcodes with all reserved bits, all short
// sequences of frames, all close codes, all forms of a length.
//
// Of messages over 2 KiB in sections 12 and 13, the full tests send as many as make
// 2 MiB, where the suite sends a thousand. By default, and under the race detector,
// the tests send fewer and try a sample of the long tables. -exhaustive sends all.
//
// The command in table makes docs/conformance.md from the results of go test.
//
// The package has no code that a server could use, and does not test what takes
// time or hostility: floods, stalls and dead peers are tested in package server.
package conformance
