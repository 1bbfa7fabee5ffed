// Package conformance tests the server against RFC 6455 and RFC 7692.
//
// The tests start the echo server on loopback and write raw frames, including illegal
// ones. They compare every reply, the close code and the end of the TCP connection.
//
//	go test ./internal/conformance                                # a sample of the long tables
//	WSECHO_TEST_FULL=1 go test ./internal/conformance             # all of them
//	go test ./internal/conformance -run TestAutobahn/6.4          # one section of the suite
//	go test ./internal/conformance -run TestAutobahn -exhaustive  # with the suite's own numbers of messages
//
// TestAutobahn has a subtest for each case of the Autobahn test suite, named after the
// case's number. It requires the answer that the suite calls strict. The other tests cover
// more. They try all opcodes with all reserved bits, short sequences of frames, close
// codes and forms of a length.
//
// In sections 12 and 13 the suite sends a thousand messages. For messages over 2 KiB,
// the full tests send 2 MiB in total. By default, and under the race detector, the tests
// send fewer and sample the long tables. -exhaustive sends all.
//
// The command in table creates docs/conformance.md from the results of go test.
//
// The package has no code for servers. Package server tests floods, stalls and dead
// peers.
package conformance
