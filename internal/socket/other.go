//go:build !unix

package socket

import "errors"

// haveRaw is false, because Raw does not support this system.
const haveRaw = false

// ErrAgain is the error of a call that would block.
var ErrAgain = errors.New("socket: nothing yet")

// ReadsAll is false, because Read is not supported.
const ReadsAll = false

// A caller needs a descriptor from Raw for these functions, and Raw returns nil.

func Read(uintptr, []byte) (int, error)  { panic("socket: no raw reads here") }
func Peek(uintptr, []byte) (int, error)  { panic("socket: no raw reads here") }
func Drop(uintptr, []byte) (int, error)  { panic("socket: no raw reads here") }
func Write(uintptr, []byte) (int, error) { panic("socket: no raw writes here") }
func Shutdown(uintptr)                   { panic("socket: no raw sockets here") }
