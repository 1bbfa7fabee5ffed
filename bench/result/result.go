// Package result contains the results of a comparison of servers, and stores them in a
// JSON file. Package grid writes the file, and package report reads it.
package result

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"example.com/wsecho/load"
)

// Version is the version of the file format. Read refuses a file of another version.
const Version = 3

// A Report is one run of the comparison.
type Report struct {
	Version     int           `json:"version"`
	Began       time.Time     `json:"began"`
	Took        time.Duration `json:"took_ns"`
	Command     string        `json:"command"` // the command that repeats the run
	Commit      string        `json:"commit"`  // of this repository; "" if not known
	Machine     Machine       `json:"machine"`
	Rounds      int           `json:"rounds"`      // the requested number
	Measured    time.Duration `json:"measured_ns"` // by each measurement
	Interrupted bool          `json:"interrupted"` // by a signal
	Peers       []Peer        `json:"peers"`       // in the order of the tables
	Cells       []*Cell       `json:"cells"`       // in the order in which they were measured
	Checks      []Check       `json:"checks"`      // correctness
	Notes       []string      `json:"notes"`       // sentences on what limits the figures
}

// A Machine describes the machine of the run.
type Machine struct {
	Processor  string `json:"processor"` // the model
	Processors int    `json:"processors"`
	Memory     int64  `json:"memory_bytes"`
	Kernel     string `json:"kernel"`
	System     string `json:"system"` // "Debian GNU/Linux 12 (bookworm)"
	Go         string `json:"go"`
}

// Base is the name of the peer that the ratios compare with.
const Base = "gorilla"

// A Peer is a server of the comparison.
type Peer struct {
	Name     string   `json:"name"`  // short, without spaces: "gws"
	Title    string   `json:"title"` // "lxzan/gws"
	Version  string   `json:"version"`
	Language string   `json:"language"` // "Go"
	Note     string   `json:"note,omitempty"`
	Needs    []string `json:"needs,omitempty"`   // settings and code that a server on the internet needs besides the echo
	Batches  bool     `json:"batches,omitempty"` // one write contains the replies to several messages
	Full     bool     `json:"full"`              // measured in all cells, not only in the chosen ones
	Skipped  string   `json:"skipped,omitempty"` // why it was not measured; "" if it was
}

// The kinds of cells.
const (
	Echo  = "echo"  // closed loop
	Open  = "open"  // open loop, at a share of the server's own maximum
	Churn = "churn" // connect, one message, close
	Idle  = "idle"  // connections without messages
	Dead  = "dead"  // a client that no longer answers
	Drain = "drain" // SIGTERM
)

// A Cell is one workload, and the results of each peer in it.
type Cell struct {
	ID          string        `json:"id"`    // "echo-5B-16x512"
	Kind        string        `json:"kind"`  // Echo, …
	Title       string        `json:"title"` // "5 B text, 16 in flight, 512 connections"
	Size        int           `json:"size,omitempty"`
	InFlight    int           `json:"in_flight,omitempty"`
	Connections int           `json:"connections"`
	Compression bool          `json:"compression,omitempty"`
	TLS         bool          `json:"tls,omitempty"`
	Share       float64       `json:"share,omitempty"`        // with Open: the share of the server's maximum rate
	Heartbeat   time.Duration `json:"heartbeat_ns,omitempty"` // interval of pings; 0: off
	Chosen      bool          `json:"chosen"`                 // measured for all peers
	Outcomes    []*Outcome    `json:"outcomes"`               // of the measured peers
}

// An Outcome is the result of a peer in a cell.
type Outcome struct {
	Peer   string               `json:"peer"`
	Rounds []map[string]float64 `json:"rounds"`          // by figure; an unreadable figure is absent
	Wrong  []string             `json:"wrong,omitempty"` // sentences: replies that differ from the message, …
	Said   string               `json:"said,omitempty"`  // with Dead and Drain: how the connections ended
	Notes  []string             `json:"notes,omitempty"` // the client was the bottleneck, …
}

// A Figure is a measured quantity.
type Figure struct {
	Name  string // in JSON
	Title string
	Unit  string
	More  bool // more is better
}

// Figures contains all figures, in the order of the tables.
var Figures = []Figure{
	{"cpu_us", "server CPU", "µs/message", false},
	{"rate", "rate", "messages/s", true},
	{"p50_us", "p50", "µs", false},
	{"p99_us", "p99", "µs", false},
	{"p999_us", "p99.9", "µs", false},
	{"max_us", "max", "µs", false},
	{"rss_mib", "resident memory", "MiB", false},          // when the measured time ends
	{"peak_mib", "peak of resident memory", "MiB", false}, // of the process until then
	{"allocs", "allocations", "per message", false},
	{"syscalls", "system calls", "per message", false},
	{"client_us", "the client's CPU", "µs/message", false},
	{"client_share", "the client's share of all processors", "", false},
	{"late_share", "share of messages that left late", "", false},                // with Open
	{"cpu_us_conn", "server CPU", "µs/connection", false},                        // with Churn
	{"connects", "connections", "per second", true},                              // with Churn
	{"idle_kib", "resident memory", "KiB/connection", false},                     // with Idle
	{"idle_cpu_ms", "server CPU of all", "ms/s", false},                          // with Idle
	{"pings", "pings", "per second", true},                                       // with Idle
	{"alive", "share of connections alive at the end", "", true},                 // with Idle
	{"notice_s", "time until noticed", "s", false},                               // with Dead; absent: never
	{"received_close", "share of clients that received a close frame", "", true}, // with Drain
	{"end_s", "time until the process ended", "s", false},                        // with Drain
}

// A Check is the result of one correctness check of a peer.
type Check struct {
	Peer  string `json:"peer"`
	Name  string `json:"name"`  // "invalid-utf8"
	Title string `json:"title"` // "text that is not UTF-8"

	// Rule is the rule that the check tests: "UTF-8". A rule has several checks. Section
	// is the section of the RFC that demands it, or empty if no RFC does.
	Rule    string `json:"rule"`
	Section string `json:"section,omitempty"`

	Want  string `json:"want"`            // "closed with 1007"
	Got   string `json:"got"`             // "echoed"
	Right bool   `json:"right"`           //
	Error string `json:"error,omitempty"` // why there is no result; then Right is false
}

// Of returns the outcome of a peer, or nil.
func (c *Cell) Of(peer string) *Outcome {
	for _, o := range c.Outcomes {
		if o.Peer == peer {
			return o
		}
	}
	return nil
}

// Values returns the values of a figure in the rounds that have it. A nil o has none.
func (o *Outcome) Values(figure string) (values []float64) {
	if o == nil {
		return nil
	}
	for _, r := range o.Rounds {
		if v, ok := r[figure]; ok {
			values = append(values, v)
		}
	}
	return values
}

// Over divides a figure of o by the figure of base, in the rounds that have both.
func (o *Outcome) Over(base *Outcome, figure string) (load.Ratio, bool) {
	if o == nil || base == nil {
		return load.Ratio{}, false
	}
	var a, b []float64
	for i := range min(len(o.Rounds), len(base.Rounds)) {
		v, has := o.Rounds[i][figure]
		w, hasToo := base.Rounds[i][figure]
		if has && hasToo && w > 0 {
			a, b = append(a, v), append(b, w)
		}
	}
	return load.Compare(a, b)
}

// Write writes r as JSON.
func (r *Report) Write(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", " ")
	return e.Encode(r)
}

// Read reads a report that Write has written.
func Read(from io.Reader) (*Report, error) {
	var r Report
	in := json.NewDecoder(from)
	switch err := in.Decode(&r); {
	case errors.Is(err, io.EOF):
		return nil, errors.New("this is not a report of the comparison: it is empty")
	case errors.Is(err, io.ErrUnexpectedEOF):
		return nil, errors.New("this is not a report of the comparison: its end is missing")
	case err != nil:
		return nil, fmt.Errorf("this is not a report of the comparison: %w", err)
	}
	if _, err := in.Token(); err != io.EOF {
		return nil, errors.New("this is not a report of the comparison: data follows it")
	}
	if r.Version != Version {
		return nil, fmt.Errorf("the report is of version %d, and this program reads %d", r.Version, Version)
	}
	if err := r.checkComplete(); err != nil {
		return nil, fmt.Errorf("this is not a report of the comparison: %w", err)
	}
	return &r, nil
}

// checkComplete returns an error if a required name is missing.
func (r *Report) checkComplete() error {
	for i, p := range r.Peers {
		if p.Name == "" {
			return fmt.Errorf("peer %d has no name", i+1)
		}
	}
	for i, c := range r.Cells {
		if c == nil {
			return fmt.Errorf("cell %d is null", i+1)
		}
		for j, o := range c.Outcomes {
			if o == nil || o.Peer == "" {
				return fmt.Errorf("outcome %d of cell %d (%s) names no peer", j+1, i+1, c.ID)
			}
		}
	}
	return nil
}

// Peer returns the peer with this name, or nil.
func (r *Report) Peer(name string) *Peer {
	i := slices.IndexFunc(r.Peers, func(p Peer) bool { return p.Name == name })
	if i < 0 {
		return nil
	}
	return &r.Peers[i]
}
