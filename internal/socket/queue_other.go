//go:build !linux || 386

package socket

import "net"

// HaveQueue is false: the size of the kernel's send queue is unknown. Only Linux has a
// query for it, and on 386 that needs a multiplexed system call.
const HaveQueue = false

// NotSent returns 0, because the number is unknown.
func NotSent(net.Conn) int { return 0 }

// Unread returns 0, because the number is unknown.
func Unread(net.Conn) int { return 0 }

// NotAcked returns a negative number, because the number is unknown.
func NotAcked(net.Conn) int { return -1 }

// Acked returns -1, because the number is unknown.
func Acked(net.Conn) int64 { return -1 }

// Ended returns false, because the answer is unknown.
func Ended(net.Conn) bool { return false }

// Unanswered returns false, because the answer is unknown.
func Unanswered(net.Conn) bool { return false }
