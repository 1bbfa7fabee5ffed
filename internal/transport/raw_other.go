//go:build !unix

package transport

import "errors"

// haveRaw says that sockets cannot be read and written by hand here: the plain
// path does everything.
const haveRaw = false

var errAgain = errors.New("transport: no input yet")

func sysRead(uintptr, []byte) (int, error)               { panic("transport: no raw reads here") }
func sysPeek(uintptr, []byte) (int, error)               { panic("transport: no raw reads here") }
func sysShutdown(uintptr)                                { panic("transport: no raw sockets here") }
func sysTellLeft(uintptr)                                { panic("transport: no raw sockets here") }
func sysReceive(uintptr, *block, int) (int, bool, error) { panic("transport: no raw reads here") }

type received struct{}

func sysDrop(uintptr, []byte) (int, error)  { panic("transport: no raw reads here") }
func sysWrite(uintptr, []byte) (int, error) { panic("transport: no raw writes here") }
