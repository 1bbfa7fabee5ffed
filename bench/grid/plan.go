// Package grid runs the comparison. It measures every server in every workload. Each
// server runs in its own process.
package grid

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"example.com/wsecho/bench/peers"
	"example.com/wsecho/bench/result"
	"example.com/wsecho/internal/number"
)

// A Plan contains the servers and workloads that Run compares.
type Plan struct {
	Peers  []peers.Peer
	Tools  peers.Tools
	Cells  []*result.Cell
	Rounds int

	// Duration is the measured time of each measurement. Warmup is the time before it.
	Duration, Warmup time.Duration

	// IdleFor is the time that idle connections are open.
	IdleFor time.Duration

	// Correctness and SystemCalls are measured once, not in rounds.
	Correctness, SystemCalls bool

	// Run calls Say before each step, with a line of text and the share of finished
	// steps. The calls do not overlap.
	Say func(what string, done float64)
}

// The sizes of the standard run.
const (
	KiB = 1 << 10
	MiB = 1 << 20

	idleConnections  = 5_000 // of each of idleAtOnce servers; a process may open 20,000 files
	drainConnections = 100
	deadHeartbeat    = time.Second
	deadBound        = 10 * time.Second
	idleHeartbeat    = 2 * time.Second

	// mostInFlight is the largest number of bytes in flight. A larger workload would
	// measure how the machine runs out of memory.
	mostInFlight = 256 * MiB
)

// Standard returns the cells of a whole run.
func Standard() []*result.Cell {
	var cells []*result.Cell
	for _, size := range []int{5, 125, 4 * KiB, 64 * KiB, MiB} {
		for _, inFlight := range []int{1, 16} {
			for _, conns := range []int{16, 512, 4096} {
				if size*inFlight*conns <= mostInFlight {
					cells = append(cells, echo(size, inFlight, conns))
				}
			}
		}
	}
	compressed := func(c *result.Cell) *result.Cell {
		c.Compression, c.ID, c.Title = true, c.ID+"-deflate", c.Title+", compressed"
		return c
	}
	overTLS := func(c *result.Cell) *result.Cell {
		c.TLS, c.ID, c.Title = true, c.ID+"-tls", c.Title+", TLS"
		return c
	}
	cells = append(cells,
		compressed(echo(125, 1, 16)), compressed(echo(4*KiB, 1, 16)), compressed(echo(4*KiB, 16, 16)),
		overTLS(echo(125, 1, 16)), overTLS(echo(4*KiB, 1, 16)), overTLS(echo(4*KiB, 16, 16)))
	for _, share := range []float64{0.25, 0.5, 0.75} {
		cells = append(cells, &result.Cell{
			ID: fmt.Sprintf("open-%.0f", 100*share), Kind: result.Open, Size: openSize, Connections: openConnections, Share: share,
			Title: fmt.Sprintf("%s text, %d connections, open loop at %.0f %% of the server's own maximum", number.Bytes(openSize), openConnections, 100*share),
		})
	}
	cells = append(cells, &result.Cell{
		ID: "churn", Kind: result.Churn, Size: 5, Connections: 16,
		Title: "16 clients that connect, echo one message of 5 B and close, repeatedly", Chosen: true,
	})
	for _, heartbeat := range []time.Duration{0, idleHeartbeat} {
		c := &result.Cell{ID: "idle", Kind: result.Idle, Connections: idleConnections, Heartbeat: heartbeat,
			Title: fmt.Sprintf("%d idle connections, no heartbeat", idleConnections), Chosen: true}
		if heartbeat > 0 {
			c.ID, c.Chosen, c.Title = "idle-heartbeat", false, fmt.Sprintf("%d idle connections, a ping every %v", idleConnections, heartbeat)
		}
		cells = append(cells, c)
	}
	return append(cells, endOfLife()...)
}

// The size and the connections of the open loop. A closed loop with the same values
// measures the maximum rate.
const (
	openSize        = 125
	openConnections = 16
)

const deadPath = "dead-path"

// endOfLife returns the cells in which a client or the server ends.
func endOfLife() []*result.Cell {
	return []*result.Cell{
		{ID: "dead", Kind: result.Dead, Connections: 1, Heartbeat: deadHeartbeat, Chosen: true,
			Title: fmt.Sprintf("a client that stops sending, a ping every %v, observed for %v", deadHeartbeat, deadBound)},
		{ID: deadPath, Kind: result.Dead, Connections: 1, Heartbeat: deadHeartbeat, Chosen: true,
			Title: fmt.Sprintf("a client whose path is cut, a ping every %v, until the server has closed the socket, observed for %v", deadHeartbeat, deadBound)},
		{ID: "drain", Kind: result.Drain, Connections: drainConnections, Chosen: true,
			Title: fmt.Sprintf("SIGTERM with %d connections", drainConnections)},
	}
}

// Chosen returns the cells of the main table, which every peer runs.
func Chosen() []*result.Cell {
	return slices.DeleteFunc(Standard(), func(c *result.Cell) bool { return !c.Chosen })
}

// Main returns the chosen cells and eight others: more sizes, an open loop, TLS and
// compression. Peers with Full run the others too.
func Main() []*result.Cell {
	more := []string{
		"echo-5B-16x16", "echo-4KiB-1x16", "echo-4KiB-16x16", "echo-64KiB-16x16",
		"echo-125B-1x16", "open-50", "echo-4KiB-1x16-deflate", "echo-4KiB-1x16-tls",
	}
	return slices.DeleteFunc(Standard(), func(c *result.Cell) bool { return !c.Chosen && !slices.Contains(more, c.ID) })
}

// Select returns the cells that parts name. A part names the cell with this ID. If there
// is none, it names the cells whose IDs contain it. Without parts, Select returns all
// cells.
func Select(cells []*result.Cell, parts []string) (chosen []*result.Cell, err error) {
	if len(parts) == 0 {
		return cells, nil
	}
	found, whole := map[string]bool{}, map[string]bool{}
	for _, c := range cells {
		whole[c.ID] = true
	}
	for _, c := range cells {
		in := false
		for _, part := range parts {
			if c.ID == part || !whole[part] && part != "" && strings.Contains(c.ID, part) {
				in, found[part] = true, true
			}
		}
		if in {
			chosen = append(chosen, c)
		}
	}
	for _, part := range parts {
		if !found[part] {
			var ids []string
			for _, c := range cells {
				ids = append(ids, c.ID)
			}
			return nil, fmt.Errorf("there is no cell %q; the cells are %s", part, strings.Join(ids, ", "))
		}
	}
	return chosen, nil
}

// Lacking returns the ID of a cell that these cells need and do not contain, or "". The
// load of an open loop is a share of the maximum rate that a closed loop measures.
func Lacking(cells []*result.Cell) string {
	open := func(c *result.Cell) bool { return c.Kind == result.Open }
	if !slices.ContainsFunc(cells, open) || slices.ContainsFunc(cells, findsMaximum) {
		return ""
	}
	return echo(openSize, 1, openConnections).ID
}

// findsMaximum reports whether this cell's rate is the maximum for the open loop.
func findsMaximum(c *result.Cell) bool {
	return c.Kind == result.Echo && c.Size == openSize && c.InFlight == 1 && c.Connections == openConnections && !c.TLS && !c.Compression
}

// echo returns a cell with a closed loop. Two of the chosen cells are HttpArena's
// WebSocket profiles, echo and echo-pipeline. The others have few connections.
func echo(size, inFlight, conns int) *result.Cell {
	c := &result.Cell{
		ID: fmt.Sprintf("echo-%s-%dx%d", strings.ReplaceAll(number.Bytes(size), " ", ""), inFlight, conns), Kind: result.Echo,
		Size: size, InFlight: inFlight, Connections: conns,
		Title: fmt.Sprintf("%s text, %d in flight, %d connections", number.Bytes(size), inFlight, conns),
	}
	c.Chosen = size == 5 && conns == 512 || (size == 5 || size >= 64*KiB) && inFlight == 1 && conns == 16
	return c
}
