//go:build !unix

package command

// watchTerminal does nothing: no signal reports the size of the terminal.
func watchTerminal(*terminal) (stop func()) { return func() {} }
