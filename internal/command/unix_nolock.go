//go:build !unix || solaris || aix

package command

func setMode(uintptr, uint32) {}

func lockDirectoryOf(string) (unlock func()) { return func() {} }
