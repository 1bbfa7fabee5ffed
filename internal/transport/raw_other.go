//go:build !unix

package transport

import "errors"

// haveRaw says that sockets cannot be read and written by hand here: the plain
// path does everything.
const haveRaw = false

const readsAll = false

var errAgain = errors.New("transport: no input yet")

func sysRead(uintptr, []byte) (int, error) { panic("transport: no raw reads here") }
func sysPeek(uintptr, []byte) (int, error) { panic("transport: no raw reads here") }
func sysShutdown(uintptr)                  { panic("transport: no raw sockets here") }

func sysDrop(uintptr, []byte) (int, error)  { panic("transport: no raw reads here") }
func sysWrite(uintptr, []byte) (int, error) { panic("transport: no raw writes here") }
