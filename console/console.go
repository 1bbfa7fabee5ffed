// Package console serves a page that talks to a WebSocket server from a browser. The page
// shows round-trip times, and explains how the connection ended.
//
//	options.HTTP = console.New(console.Options{Next: http.HandlerFunc(server.ServePlain)}) // of package server
//	mux.Handle("/", console.New(console.Options{}))                                        // or of another program
//
// The page is plain HTML, CSS and ES modules, which are part of the program. It requests
// nothing from other hosts. The browser opens the WebSocket, not the package.
package console

import (
	"net/http"
	"strings"
)

// Options configure New. The zero value serves the page for a WebSocket server at the
// page's own address.
type Options struct {
	// Endpoint is the URL of the WebSocket server that the page proposes, such as
	// ws://localhost:8080/. In a browser of another machine, the host of the page replaces
	// localhost. "": the address of the page itself, and none with Watch.
	Endpoint string
	// Faults are the query parameters with which the server misbehaves on request, such as
	// those of package fault. None: the page has no form for them.
	Faults []Fault
	// Watch adds the section with the open connections. The page then requests its data
	// from the paths of an admin listener; New does not serve them.
	Watch bool
	// Next answers the requests that are neither for the page nor for its files. It also
	// answers a request for / that does not accept text/html. Nil: they get 404.
	Next http.Handler
}

// A Fault is a query parameter of the server. The fields are those of fault.Parameter.
type Fault struct {
	Name    string // such as drop
	Example string // a valid value, or N, CODE or TEXT
	Valid   string // the valid values, in words
	Effect  string // what the server does, in words
}

// New returns a handler that serves the page at / and its files below /console/. The page
// is for GET and HEAD of clients that accept text/html. The handler can be used
// concurrently. It keeps the files in memory, about 0.3 MB, and compresses each at its
// first request.
func New(o Options) http.Handler {
	if o.Next == nil {
		o.Next = http.NotFoundHandler()
	}
	return &page{next: o.Next, files: files(o)}
}

// Prefix is the path of the page's files.
const Prefix = "/console/"

// A page is the handler that New returns.
type page struct {
	next  http.Handler
	files map[string]*file
}

// ServeHTTP serves the page, one of its files, or the next handler.
func (p *page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		p.next.ServeHTTP(w, r)
		return
	}
	name, ok := strings.CutPrefix(r.URL.Path, Prefix)
	if r.URL.Path == "/" {
		w.Header().Add("Vary", "Accept")
		name, ok = index, acceptsHTML(r.Header)
	}
	f := p.files[name]
	if !ok || f == nil || (name == index) != (r.URL.Path == "/") {
		p.next.ServeHTTP(w, r)
		return
	}
	f.serve(w, r)
}
