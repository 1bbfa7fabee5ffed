package peers

import (
	"cmp"
	"context"
	"debug/buildinfo"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"

	"example.com/wsecho/bench/measure"
)

var nbioPeer = Peer{
	Name: "nbio", Title: "lesismal/nbio", Language: "Go",
	Note: "Its engine with the default number of pollers, in a program of its own, because it allocates 1 MiB at the start. " +
		"It ends connections that are silent for two minutes, as by default. The message limit is raised from 4 MiB to " +
		"16 MiB. Over TLS it uses a copy of crypto/tls that does not block. It drops empty messages.",
	Needs:       []string{"heartbeat for clients that may be silent for two minutes", "read limit for messages over 4 MiB: Upgrader.MessageLengthLimit"},
	noHeartbeat: "lesismal/nbio does not ping; it ends connections that are silent for two minutes",
	version: func() string {
		info, err := buildinfo.ReadFile(nbioBinary())
		if err != nil {
			return "(unknown)"
		}
		return moduleVersions(info, []string{"github.com/lesismal/nbio"})
	},
	missing: func() error {
		if _, err := buildinfo.ReadFile(nbioBinary()); err != nil {
			return fmt.Errorf("lesismal/nbio is a program of its own, and is not built: run go build -o bin/nbio ./peers/nbio "+
				"in bench, or name the program in WSECHO_BENCH_NBIO: %w", err)
		}
		return nil
	},
	start: func(ctx context.Context, _ Tools, o Options) (*measure.Process, error) {
		return startChild(ctx, Tools{Bench: nbioBinary()}, "nbio", o)
	},
}

// nbioBinary is where bench/peers/nbio was built: the file that the variable
// WSECHO_BENCH_NBIO names, or bench/bin/nbio.
func nbioBinary() string {
	_, source, _, _ := runtime.Caller(0)
	return cmp.Or(os.Getenv("WSECHO_BENCH_NBIO"), filepath.Join(filepath.Dir(source), "..", "bin", "nbio"))
}

// Provide gives the peer of a name its server, for a program that is that peer alone. The
// server accepts from a TCP listener, whose TLS is its own, until it is shut down.
func Provide(name string, prepare func(Options) (serve func(net.Listener) error, shutdown func(context.Context) error, err error)) {
	provided[name] = func(o Options) (*program, error) {
		serve, shutdown, err := prepare(o)
		return &program{serve, shutdown}, err
	}
}

var provided = map[string]func(Options) (*program, error){}
