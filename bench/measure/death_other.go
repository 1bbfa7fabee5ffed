//go:build !linux

package measure

import "syscall"

func endsWithParent() *syscall.SysProcAttr { return nil }
