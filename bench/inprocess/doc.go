// Package inprocess measures the Go libraries inside one process, over connections
// without sockets. The result is the time and the allocations of the library alone. A
// library with its own I/O on sockets uses its I/O for TLS connections here.
//
// The package has only benchmarks, for benchstat:
//
//	go test -run '^$' -bench Echo -count 10 ./inprocess
package inprocess
