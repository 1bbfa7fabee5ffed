package main

import (
	"os/exec"
	"syscall"
)

// endWithParent lets the kernel end the process if this one is killed.
func endWithParent(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM} }
