//go:build !unix

package listener

// maxOpenFiles returns noLimit, since this system has no limit that can be read.
func maxOpenFiles() int { return noLimit }
