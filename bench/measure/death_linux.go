package measure

import "syscall"

// withUs are the attributes of a process that does not outlive this one, however this
// one ends. Ctrl-C at a terminal is for this one alone.
func withUs() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
