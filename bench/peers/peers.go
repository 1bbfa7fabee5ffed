// Package peers contains the echo servers of the comparison. Each server echoes whole
// messages as its library documents it, in its own process.
package peers

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime/debug"
	"slices"
	"time"

	"example.com/wsecho/bench/measure"
)

// A Peer is an echo server.
type Peer struct {
	Name     string   // short, without spaces: "gws"
	Title    string   // "lxzan/gws"
	Language string   // "Go"
	Note     string   // sentences on its program and its differences from the library's example; may be ""
	Needs    []string // settings and code that a server on the internet needs besides the echo; empty: none
	Batches  bool     // one write contains the replies to several messages
	Full     bool     // measured in every workload

	modules       []string      // the library, and the modules that it builds on
	version       func() string // nil: the versions of modules
	missing       func() error  // nil: never missing
	noTLS         string        // the reason why it has no TLS; "": it has TLS
	noCompression string
	noHeartbeat   string

	program func(Options) (*program, error)                                 // runs in this program; nil: start
	start   func(context.Context, Tools, Options) (*measure.Process, error) // starts another program
}

// Options configures a server.
type Options struct {
	TLS         bool
	Compression bool          // permessage-deflate, without context takeover if the library has that option
	Strict      bool          // enables options of the library that RFC 6455 demands
	Heartbeat   time.Duration // interval of pings; 0: the server's default, negative: none
}

// Tools contains the programs that start peers.
type Tools struct {
	Bench  string // path of a program whose command serve calls Child
	Wsecho string // path of the wsecho binary
}

// A program is a server that has not started.
type program struct {
	serve    func(net.Listener) error    // blocks until the listener is closed or shutdown is called
	shutdown func(context.Context) error // as users of the library shut down; nil: closes the listener
}

// overHTTP returns a program that accepts connections with net/http.
func overHTTP(h http.HandlerFunc) *program {
	s := &http.Server{Handler: h}
	return &program{s.Serve, s.Shutdown}
}

// All returns the peers in the order of the tables.
func All() []Peer {
	return []Peer{
		rawPeer, wsechoPeer, embeddedPeer, parkPeer, gorillaPeer, gorillaCopyPeer, coderPeer, coderCopyPeer, errgroupPeer, gwsPeer,
		gobwasPeer, gobwasCopyPeer, fasthttpPeer, melodyPeer, xnetPeer, nbioPeer, nbioMixedPeer, nodePeer, bunPeer, pythonPeer,
	}
}

// Find returns the peer with this name.
func Find(name string) (Peer, bool) {
	all := All()
	i := slices.IndexFunc(all, func(p Peer) bool { return p.Name == name })
	if i < 0 {
		return Peer{}, false
	}
	return all[i], true
}

// Version returns the version of the library and of the modules that it builds on. For Go
// libraries, these are the versions in this program. "(unknown)" means unknown.
func (p Peer) Version() string {
	if p.version != nil {
		return p.version()
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "(unknown)"
	}
	return moduleVersions(info, p.modules)
}

// Missing returns the reason why this machine cannot start the peer, or nil.
func (p Peer) Missing() error {
	if p.missing == nil {
		return nil
	}
	return p.missing()
}

// Supports returns nil, or the reason why the peer does not support o.
func (p Peer) Supports(o Options) error {
	switch {
	case o.TLS && p.noTLS != "":
		return errors.New(p.noTLS)
	case o.Compression && p.noCompression != "":
		return errors.New(p.noCompression)
	case o.Heartbeat > 0 && p.noHeartbeat != "":
		return errors.New(p.noHeartbeat)
	}
	return nil
}

// Start starts the peer in its own process. ctx limits only the start.
func (p Peer) Start(ctx context.Context, t Tools, o Options) (*measure.Process, error) {
	if err := errors.Join(p.Supports(o), p.Missing()); err != nil {
		return nil, err
	}
	if p.start != nil {
		return p.start(ctx, t, o)
	}
	return startChild(ctx, t, p.Name, o)
}

// InProcess returns a function that runs a server in this process until its listener is
// closed. ok is false if the peer cannot run in this process.
func InProcess(name string) (serve func(net.Listener, Options) error, ok bool) {
	p, ok := Find(name)
	if !ok || p.program == nil {
		return nil, false
	}
	return func(l net.Listener, o Options) error {
		program, err := p.prepare(o)
		if err != nil {
			return err
		}
		return program.serve(l)
	}, true
}

// arguments returns o as arguments for parse.
func (o Options) arguments() (args []string) {
	if o.TLS {
		args = append(args, "--tls")
	}
	if o.Compression {
		args = append(args, "--compression")
	}
	if o.Strict {
		args = append(args, "--strict")
	}
	if o.Heartbeat != 0 {
		args = append(args, "--heartbeat="+o.Heartbeat.String()) // one argument, because the value may begin with a minus
	}
	return args
}

// parse reads the arguments of the command serve.
func parse(args []string) (name string, o Options, err error) {
	if len(args) == 0 {
		return "", o, errors.New("serve needs the name of a server")
	}
	f := flag.NewFlagSet("serve", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.BoolVar(&o.TLS, "tls", false, "")
	f.BoolVar(&o.Compression, "compression", false, "")
	f.BoolVar(&o.Strict, "strict", false, "")
	f.DurationVar(&o.Heartbeat, "heartbeat", 0, "")
	if err := f.Parse(args[1:]); err != nil {
		return "", o, fmt.Errorf("serve %s: %w; the flags are -tls, -compression, -strict and -heartbeat INTERVAL", args[0], err)
	}
	if f.NArg() > 0 {
		return "", o, fmt.Errorf("serve %s: %q is not a flag; the flags are -tls, -compression, -strict and -heartbeat INTERVAL", args[0], f.Arg(0))
	}
	return args[0], o, nil
}
