// Command wsecho is a WebSocket server that sends every message back.
//
//	wsecho                            # serves on :8080
//	wsecho --addr=:9000 --log-messages
//	wsecho --help                     # every flag, its default and its variable
//	wsecho bench ws://localhost:9000/ # measures a server, see wsecho bench --help
//	wsecho check ws://localhost:9000/ # asks whether it works, see wsecho check --help
//
// It runs until SIGINT or SIGTERM, tells every peer 1001 and exits with 0. A
// second signal ends it at once, with 128 and the signal's number, as a shell
// counts. Otherwise the exit code is 1 where it failed and 2 where it was used
// wrongly; wsecho check has one more for each step that may fail. Results go to stdout, the log and errors to stderr.
package main

import (
	"os"

	"example.com/wsecho/internal/command"
)

func main() { os.Exit(command.Main(release)) }
