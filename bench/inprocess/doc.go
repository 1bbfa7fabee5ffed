// Package inprocess measures the libraries in Go within one process, over
// connections that the kernel knows nothing of: what is left is the time and the
// allocations of the library itself. One that reads and writes its sockets in a way
// of its own has no socket here, and does as it does with TLS.
//
// The package has benchmarks alone, for benchstat:
//
//	go test -run '^$' -bench Echo -count 10 ./inprocess
package inprocess
