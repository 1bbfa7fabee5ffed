// Package peers contains the echo servers of the comparison. Each echoes whole messages
// as its library documents it, in a process of its own.
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
	Needs    []string // settings and code that a server on the internet needs beside the echo; empty: none
	Batches  bool     // it collects the replies to messages that have arrived, and sends them in one write
	Full     bool     // it is one of the few that are measured in every workload

	modules       []string      // the library, and what it builds on
	version       func() string // nil: that of the modules
	missing       func() error  // nil: it is there with the program itself
	noTLS         string        // why it has none; "": it has
	noCompression string
	noHeartbeat   string

	program func(Options) (*program, error)                                 // in the program itself
	start   func(context.Context, Tools, Options) (*measure.Process, error) // else
}

// Options are what a server is to do besides echoing.
type Options struct {
	TLS         bool
	Compression bool          // permessage-deflate, without context takeover where that can be chosen
	Strict      bool          // with the library's options for what RFC 6455 demands, where they are off by default
	Heartbeat   time.Duration // interval of pings; 0: as the server does by itself, negative: none
}

// Tools are what peers are started with.
type Tools struct {
	Bench  string // path of a program that calls Child for its command serve
	Wsecho string // path of the wsecho binary
}

// A program is a server that is about to run.
type program struct {
	serve    func(net.Listener) error    // until the listener is closed, or shutdown
	shutdown func(context.Context) error // as the users of the library do it; nil: the listener is closed
}

// overHTTP is a program whose connections net/http has accepted.
func overHTTP(h http.HandlerFunc) *program {
	s := &http.Server{Handler: h}
	return &program{s.Serve, s.Shutdown}
}

// All are the peers in the order of the tables.
func All() []Peer {
	return []Peer{
		rawPeer, wsechoPeer, embeddedPeer, parkPeer, gorillaPeer, gorillaCopyPeer, coderPeer, coderCopyPeer, errgroupPeer, gwsPeer,
		gobwasPeer, gobwasCopyPeer, fasthttpPeer, melodyPeer, xnetPeer, nbioPeer, nbioMixedPeer, nodePeer, bunPeer, pythonPeer,
	}
}

// Find returns the peer of a name.
func Find(name string) (Peer, bool) {
	all := All()
	i := slices.IndexFunc(all, func(p Peer) bool { return p.Name == name })
	if i < 0 {
		return Peer{}, false
	}
	return all[i], true
}

// Version is that of the library, and of what it builds on; for libraries in Go, that
// which this program is built with. It is "(unknown)" where that is.
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

// Missing says why the peer cannot be started on this machine; nil if it can.
func (p Peer) Missing() error {
	if p.missing == nil {
		return nil
	}
	return p.missing()
}

// Supports returns nil, or why the peer cannot do all of o.
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

// Start starts the peer in a process of its own. ctx is for the start alone.
func (p Peer) Start(ctx context.Context, t Tools, o Options) (*measure.Process, error) {
	if err := errors.Join(p.Supports(o), p.Missing()); err != nil {
		return nil, err
	}
	if p.start != nil {
		return p.start(ctx, t, o)
	}
	return startChild(ctx, t, p.Name, o)
}

// InProcess returns a function that runs a server on a listener until that is closed:
// for benchmarks in one process. Not all can be run so.
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

// arguments are o as parse reads it.
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
		args = append(args, "--heartbeat="+o.Heartbeat.String()) // one word, for it may begin with a minus
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
		return "", o, fmt.Errorf("serve %s: %w; there are -tls, -compression, -strict and -heartbeat INTERVAL", args[0], err)
	}
	if f.NArg() > 0 {
		return "", o, fmt.Errorf("serve %s: %q is no flag; there are -tls, -compression, -strict and -heartbeat INTERVAL", args[0], f.Arg(0))
	}
	return args[0], o, nil
}
