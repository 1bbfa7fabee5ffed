package measure

import "syscall"

// endsWithParent returns the attributes of a process that the kernel kills when this
// process ends. Ctrl-C at a terminal reaches only this process.
func endsWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
