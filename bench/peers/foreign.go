package peers

import (
	"bytes"
	"cmp"
	"context"
	"crypto/x509"
	_ "embed"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"example.com/wsecho/bench/measure"
	"example.com/wsecho/wstest"
)

var nodePeer = Peer{
	Name: "node-ws", Title: "npm ws", Language: "JavaScript",
	Note: "One process with one thread of JavaScript. It uses bufferutil, which the README recommends for speed. The " +
		"message limit is lowered from 100 MiB to 16 MiB. The heartbeat is the README's: one ticker for all connections " +
		"ends each connection without a pong since the last tick.",
	Needs:   []string{"heartbeat: ping on a ticker and terminate"},
	version: nodeVersion,
	missing: nodeMissing,
	start: func(ctx context.Context, _ Tools, o Options) (*measure.Process, error) {
		return startForeign(ctx, o, func(options string) *exec.Cmd {
			cmd := exec.Command("node", "-e", nodeProgram, options)
			cmd.Dir = nodeDir() // the folder of its modules
			return cmd
		})
	},
}

var bunPeer = Peer{
	Name: "bun", Title: "Bun's WebSocket server: uWebSockets in C++", Language: "JavaScript",
	Note: "One process with one thread. It pings by default and ends connections that are silent for two minutes. With " +
		"another interval it uses the heartbeat of node-ws. A connection may buffer 64 MiB of replies; beyond the " +
		"default of 16 MiB Bun drops messages.",
	Needs:   []string{"backpressure: send drops messages beyond backpressureLimit"},
	Batches: true,
	version: bunVersion,
	missing: bunMissing,
	start: func(ctx context.Context, _ Tools, o Options) (*measure.Process, error) {
		return startForeign(ctx, o, func(options string) *exec.Cmd {
			return exec.Command(bunBinary(), "-e", bunProgram, options)
		})
	},
}

var pythonPeer = Peer{
	Name: "python-websockets", Title: "Python's websockets", Language: "Python",
	Note: "Debian's package, in one process with the event loop of asyncio. The message limit is raised from 1 MiB to 16 MiB. It pings every 20 " +
		"seconds by default. A pong may take as long as the interval, which is the default.",
	Needs:   []string{"read limit for messages over 1 MiB: max_size"},
	version: pythonVersion,
	missing: pythonMissing,
	start: func(ctx context.Context, _ Tools, o Options) (*measure.Process, error) {
		return startForeign(ctx, o, func(options string) *exec.Cmd {
			return exec.Command(python, "-c", pythonProgram, options)
		})
	},
}

//go:embed node/echo.js
var nodeProgram string

//go:embed node/bun.js
var bunProgram string

//go:embed python/echo.py
var pythonProgram string

// python is the interpreter of Debian's packages.
const python = "/usr/bin/python3"

// startForeign starts a server in another language, with its options as JSON.
func startForeign(ctx context.Context, o Options, command func(options string) *exec.Cmd) (*measure.Process, error) {
	options := struct {
		PEM         string  `json:"pem"` // a file with a certificate and its key; "": no TLS
		Compression bool    `json:"compression"`
		Heartbeat   float64 `json:"heartbeat"` // in seconds, like Options.Heartbeat
		Shutdown    float64 `json:"shutdown"`  // the longest time, in seconds
	}{"", o.Compression, o.Heartbeat.Seconds(), shutdownTimeout.Seconds()}
	if o.TLS {
		name, err := writeCertificate()
		if err != nil {
			return nil, err
		}
		defer os.Remove(name) // the server reads it before it listens
		options.PEM = name
	}
	b, err := json.Marshal(options)
	if err != nil {
		return nil, err
	}
	return measure.Start(ctx, command(string(b)))
}

// writeCertificate writes the certificate of wstest and its key to a file.
func writeCertificate() (name string, err error) {
	config, _ := wstest.TLS()
	certificate := config.Certificates[0]
	key, err := x509.MarshalPKCS8PrivateKey(certificate.PrivateKey)
	if err != nil {
		return "", err
	}
	var b bytes.Buffer
	err = errors.Join(
		pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: certificate.Certificate[0]}),
		pem.Encode(&b, &pem.Block{Type: "PRIVATE KEY", Bytes: key}),
	)
	if err != nil {
		return "", err
	}
	f, err := os.CreateTemp("", "peers*.pem")
	if err != nil {
		return "", err
	}
	_, err = f.Write(b.Bytes())
	if err = errors.Join(err, f.Close()); err != nil {
		return "", errors.Join(err, os.Remove(f.Name()))
	}
	return f.Name(), nil
}

// nodeDir returns the folder in which npm ci was run. It is the value of
// WSECHO_BENCH_NODE, or the folder with the program's source.
func nodeDir() string {
	_, source, _, _ := runtime.Caller(0)
	return cmp.Or(os.Getenv("WSECHO_BENCH_NODE"), filepath.Join(filepath.Dir(source), "node"))
}

// wsVersion returns the version of the npm package ws.
func wsVersion() (string, error) {
	b, err := os.ReadFile(filepath.Join(nodeDir(), "node_modules", "ws", "package.json"))
	if err != nil {
		return "", err
	}
	var description struct{ Version string }
	err = json.Unmarshal(b, &description)
	return description.Version, err
}

func nodeMissing() error {
	if _, err := exec.LookPath("node"); err != nil {
		return errors.New("there is no node in PATH")
	}
	if _, err := wsVersion(); err != nil {
		return fmt.Errorf("npm package ws is not installed; run npm ci in bench/peers/node, "+
			"or name a folder where it was run in WSECHO_BENCH_NODE: %w", err)
	}
	return nil
}

func nodeVersion() string {
	ws, err := wsVersion()
	node, errNode := output("node", "--version")
	if err != nil || errNode != nil {
		return "(unknown)"
	}
	return ws + " on Node.js " + node
}

// bunBinary returns the path of the program in the npm package.
func bunBinary() string {
	return filepath.Join(nodeDir(), "node_modules", "@oven", "bun-linux-x64", "bin", "bun")
}

func bunMissing() error {
	if _, err := output(bunBinary(), "--version"); err != nil {
		return fmt.Errorf("npm package @oven/bun-linux-x64 does not run; run npm ci in bench/peers/node on an x86-64 "+
			"processor with AVX2, or name a folder where it was run in WSECHO_BENCH_NODE: %w", err)
	}
	return nil
}

func bunVersion() string {
	v, err := output(bunBinary(), "--version")
	if err != nil {
		return "(unknown)"
	}
	return v
}

func pythonMissing() error {
	if _, err := os.Stat(python); err != nil {
		return fmt.Errorf("there is no %s: %w", python, err)
	}
	if _, err := output(python, "-c", "import websockets"); err != nil {
		return fmt.Errorf("%s has no module websockets (Debian has it in python3-websockets): %w", python, err)
	}
	return nil
}

func pythonVersion() string {
	s, err := output(python, "-c", "import sys, websockets; print(websockets.__version__, 'on Python', sys.version.split()[0])")
	if err != nil {
		return "(unknown)"
	}
	return s
}

// output returns the output of a command.
func output(name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, name, args...).Output()
	return strings.TrimSpace(string(out)), err
}
