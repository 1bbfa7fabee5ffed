//go:build !unix

package wstest

import "syscall"

// setRcvBuf does nothing here.
func setRcvBuf(int) func(network, address string, c syscall.RawConn) error { return nil }
