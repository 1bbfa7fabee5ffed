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

// MaxPending returns how many connections may be pending beside open WebSockets, of which
// there may be maxConns. It is at most 1000. There are always descriptors for maxConns
// WebSockets. As long as there are fewer, half of the free descriptors are for pending
// connections. A negative maxConns is no limit of WebSockets and reserves no descriptors.
func MaxPending(maxConns, open int) int {
	files := maxOpenFiles() - processFiles
	return min(maxPending, max(processFiles, files-max(0, maxConns), (files-open)/2))
}
