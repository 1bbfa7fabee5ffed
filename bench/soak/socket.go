package soak

import (
	"net"
	"sync/atomic"
	"time"
)

// A socket can be made to read slowly, and comes from an address of its own: so
// the ports last.
type socket struct {
	*net.TCPConn
	slow atomic.Bool
}

// Read reads at most 4 KiB and pauses, if it is to be slow.
func (s *socket) Read(p []byte) (int, error) {
	if s.slow.Load() {
		time.Sleep(time.Millisecond)
		p = p[:min(len(p), 4<<10)]
	}
	return s.TCPConn.Read(p)
}

// socketFrom dials from 127.0.1.n.
func socketFrom(n, rcvBuf int) (*socket, func(network, addr string) (net.Conn, error)) {
	s := new(socket)
	return s, func(network, addr string) (net.Conn, error) {
		d := net.Dialer{Timeout: patience, LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(n))}}
		c, err := d.Dial(network, addr)
		if err != nil {
			return nil, err
		}
		s.TCPConn = c.(*net.TCPConn)
		if rcvBuf > 0 {
			err = s.SetReadBuffer(rcvBuf)
		}
		return s, err
	}
}
