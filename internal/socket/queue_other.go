//go:build !linux || 386

package socket

import "net"

// HaveQueue says that what the kernel holds is not known here. That is so but for
// Linux, where it can be asked without a multiplexed call.
const HaveQueue = false

// NotSent returns 0, since it is not known how much the kernel has not sent.
func NotSent(net.Conn) int { return 0 }

// Unread returns 0, since it is not known how much nobody has read.
func Unread(net.Conn) int { return 0 }

// NotAcked is negative, since it is not known how much the peer has not confirmed.
func NotAcked(net.Conn) int { return -1 }

// Unanswered reports that the peer is not known to be gone.
func Unanswered(net.Conn) bool { return false }
