// Package inprocess measures the Go libraries inside one process, over connections
// without sockets. The result is the time and the allocations of the library alone. A
// library that has its own way to read and write sockets uses the way here that it
// uses with TLS.
//
// The package has only benchmarks, for benchstat:
//
//	go test -run '^$' -bench Echo -count 10 ./inprocess
package inprocess
