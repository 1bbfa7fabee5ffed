package server

const (
	// reserved are the descriptors that are not for WebSockets: of the lobby,
	// and of the process.
	reserved = 64
	// own are those of them that are the process's: listener, log, files.
	own = 16
	// plenty is more descriptors than anybody needs.
	plenty = 1 << 30
)

// maxConns is the default of MaxConns.
func maxConns() int { return min(DefaultMaxConns, max(1, files()-reserved)) }

// lobbySize is how many connections there may be beside MaxConns that are no
// WebSockets.
func (o Options) lobbySize() int {
	return min(lobbySize, max(own, files()-max(0, o.MaxConns)-own))
}
