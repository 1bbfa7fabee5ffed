//go:build !unix

package socket

import "errors"

// haveRaw says that sockets cannot be read and written by hand here.
const haveRaw = false

// ErrAgain is the error of a call that would have to wait.
var ErrAgain = errors.New("socket: nothing yet")

// ReadsAll says that it is not known how much a read of TCP takes.
const ReadsAll = false

// Who asks Raw does not come to call these.

func Read(uintptr, []byte) (int, error)  { panic("socket: no raw reads here") }
func Peek(uintptr, []byte) (int, error)  { panic("socket: no raw reads here") }
func Drop(uintptr, []byte) (int, error)  { panic("socket: no raw reads here") }
func Write(uintptr, []byte) (int, error) { panic("socket: no raw writes here") }
func Shutdown(uintptr)                   { panic("socket: no raw sockets here") }
