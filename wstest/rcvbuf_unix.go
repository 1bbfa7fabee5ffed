//go:build unix

package wstest

import "syscall"

// setRcvBuf is a net.Dialer.Control that sets SO_RCVBUF.
func setRcvBuf(bytes int) func(network, address string, c syscall.RawConn) error {
	return func(_, _ string, c syscall.RawConn) error {
		var setErr error
		err := c.Control(func(fd uintptr) {
			setErr = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, bytes)
		})
		if err != nil {
			return err
		}
		return setErr
	}
}
