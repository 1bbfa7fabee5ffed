// Command wsecho is a WebSocket echo server. It also measures and checks WebSocket
// servers.
//
//	wsecho                            # serves on :8080
//	wsecho --addr=:9000 --log-messages
//	wsecho --help                     # lists the flags, their defaults and variables
//	wsecho bench ws://localhost:9000/ # measures a server; see wsecho bench --help
//	wsecho check ws://localhost:9000/ # checks that a server works; see wsecho check --help
//
// The server runs until SIGINT, SIGTERM or SIGHUP. It then sends the close code 1001 to
// every peer, waits for the answers and exits with 0. A second signal within half a
// second counts as the first. A later one exits at once with 128 plus the number of the
// signal, like a shell. The other exit codes are 1 for a failure and 2 for a mistake in
// the arguments. wsecho check has one more for each step that can fail. Results go to
// stdout, and the log and errors to stderr.
package main

import (
	"os"

	"example.com/wsecho/internal/command"
)

func main() { os.Exit(command.Main(release)) }
