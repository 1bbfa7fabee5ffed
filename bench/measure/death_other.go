//go:build !linux

package measure

import "syscall"

func withUs() *syscall.SysProcAttr { return nil }
