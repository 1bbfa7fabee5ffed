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

const nbioNote = "The engine with the default number of pollers, in a separate program, because it allocates 1 MiB " +
	"at the start. By default it ends connections that are silent for two minutes. The message limit is raised from " +
	"4 MiB to 16 MiB. Over TLS it uses a copy of crypto/tls that does not block. It drops empty messages."

var nbioPeer = nbio("nbio", "lesismal/nbio", "By default every connection belongs to a poller. ")

var nbioMixedPeer = nbio("nbio-mixed", "lesismal/nbio, IOModMixed", "In this mode, each of up to 10,000 connections has a "+
	"goroutine. The README recommends it for speed. ")

// nbio returns a peer that the program nbio runs.
func nbio(name, title, mode string) Peer {
	return Peer{
		Name: name, Title: title, Language: "Go",
		Note:        mode + nbioNote,
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
				return fmt.Errorf("lesismal/nbio is a separate program and is not built; run go build -o bin/nbio ./peers/nbio "+
					"in bench, or name the program in %s: %w", NbioVariable, err)
			}
			return nil
		},
		start: func(ctx context.Context, _ Tools, o Options) (*measure.Process, error) {
			return startChild(ctx, Tools{Bench: nbioBinary()}, name, o)
		},
	}
}

// NbioVariable is the environment variable with the path of the program nbio.
const NbioVariable = "WSECHO_BENCH_NBIO"

// IsNbio reports whether a peer needs the program nbio.
func (p Peer) IsNbio() bool { return p.Name == nbioPeer.Name || p.Name == nbioMixedPeer.Name }

// nbioBinary returns the path of the program: the value of NbioVariable, or bench/bin/nbio.
func nbioBinary() string {
	_, source, _, _ := runtime.Caller(0)
	return cmp.Or(os.Getenv(NbioVariable), filepath.Join(filepath.Dir(source), "..", "bin", "nbio"))
}

// Provide sets the server of the peer with this name, for a program that runs only this
// peer. The server accepts from a TCP listener, does its own TLS, and runs until shutdown.
func Provide(name string, prepare func(Options) (serve func(net.Listener) error, shutdown func(context.Context) error, err error)) {
	provided[name] = func(o Options) (*program, error) {
		serve, shutdown, err := prepare(o)
		return &program{serve, shutdown}, err
	}
}

var provided = map[string]func(Options) (*program, error){}
