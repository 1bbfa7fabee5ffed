//go:build !linux || 386

package transport

import "net"

// What the kernel holds is known on Linux only, where it can be asked without a
// multiplexed call.
const haveQueue = false

func notSent(net.Conn) int     { return 0 }
func notAcked(net.Conn) int    { return -1 }
func unanswered(net.Conn) bool { return false }
