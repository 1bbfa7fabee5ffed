package measure

import "syscall"

// withUs are the attributes of a process that ends with this one, even if this one is
// killed. Ctrl-C at a terminal reaches only this one.
func withUs() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
