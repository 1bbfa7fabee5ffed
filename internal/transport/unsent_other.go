//go:build !linux

package transport

import "net"

// What the kernel holds is known on Linux only.
const haveQueue = false

func notSent(net.Conn) int     { return 0 }
func notAcked(net.Conn) int    { return -1 }
func unanswered(net.Conn) bool { return false }
