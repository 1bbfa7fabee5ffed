package listener

const (
	// reservedFiles are the descriptors that WebSockets must not use: those of
	// pending connections and of the process.
	reservedFiles = 64
	// processFiles are those of the process: listener, log, files.
	processFiles = 16
	// maxPending limits pending connections if descriptors do not.
	maxPending = 1000
	// noLimit is more than any process has open.
	noLimit = 1 << 30
)

// MaxConns returns the number of WebSockets that the process has descriptors for: at
// least 1, at most most.
func MaxConns(most int) int { return min(most, max(1, maxOpenFiles()-reservedFiles)) }

// MaxPending returns the number of pending connections that the process has
// descriptors for beside maxConns WebSockets. It is at most 1000. A negative maxConns
// is no limit of WebSockets and reserves no descriptors.
func MaxPending(maxConns int) int {
	return min(maxPending, max(processFiles, maxOpenFiles()-max(0, maxConns)-processFiles))
}
