// Command wsecho is a WebSocket echo server, and a client that tests WebSocket servers.
//
//	wsecho                              # serves on :8080
//	wsecho --addr=:9000 --log-messages
//	wsecho --help                       # lists the commands and flags; also after a command
//	wsecho check ws://localhost:9000/   # checks that a server works
//	wsecho connect ws://localhost:9000/ # sends what you type
//	wsecho probe ws://localhost:9000/   # sends pings
//	wsecho bench ws://localhost:9000/   # measures a server
//	wsecho explain 1006                 # explains a close code
//
// The server runs until SIGINT, SIGTERM or SIGHUP. It then sends the close code 1001 to
// every peer, waits for the answers and exits with 0. A second signal within half a
// second counts as the first. A later one exits at once with 128 plus the number of the
// signal, like a shell. The other exit codes are 1 for a failure and 2 for a mistake in
// the arguments. check, probe and connect have more: see their help. Results go to
// stdout, and the log and errors to stderr.
package main

import (
	"os"

	"example.com/wsecho/internal/command"
)

func main() { os.Exit(command.Main(release)) }
