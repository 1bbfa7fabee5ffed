//go:build !unix

package server

// maxConns is the default of MaxConns.
func maxConns() int { return DefaultMaxConns }
