package soak

import (
	"net"
	"sync/atomic"
	"time"
)

// A socket is a connection that can read slowly. Groups of sockets have different source
// addresses, so that there are enough ports.
type socket struct {
	*net.TCPConn
	slow atomic.Bool
}

// Read reads from the connection. If slow is set, it pauses and reads at most 4 KiB.
func (s *socket) Read(p []byte) (int, error) {
	if s.slow.Load() {
		time.Sleep(time.Millisecond)
		p = p[:min(len(p), 4<<10)]
	}
	return s.TCPConn.Read(p)
}

// socketFrom returns a socket and a function that connects it from 127.0.1.n.
func socketFrom(n, rcvBuf int) (*socket, func(network, addr string) (net.Conn, error)) {
	s := new(socket)
	return s, func(network, addr string) (net.Conn, error) {
		d := net.Dialer{Timeout: stepTimeout, LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(n))}}
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
