package report_test

import (
	"fmt"
	"math/rand/v2"
	"time"

	"example.com/wsecho/bench/result"
)

// synthetic returns a report of invented servers, with every part that a report can have.
// The same rounds give the same report.
func synthetic(rounds int) *result.Report {
	random := rand.New(rand.NewPCG(1, 2))
	r := &result.Report{
		Version: result.Version, Began: time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC), Took: 83 * time.Minute,
		Command: "go run ./cmd/bench -rounds 5", Commit: "0123456789ab", Rounds: rounds, Measured: 2 * time.Second,
		Machine: result.Machine{Processor: "Example 9000", Processors: 2, Memory: 8 << 30, Kernel: "6.1.0", System: "Debian GNU/Linux 12 (bookworm)", Go: "go1.25.0"},
		Notes:   []string{"the machine did other things meanwhile"},
	}
	cost := map[string]float64{}
	for i, p := range []struct {
		name, title, language string
		full                  bool
		cost                  float64
	}{
		{"raw", "a TCP echo without WebSocket", "Go", false, 0.12},
		{"wsecho", "this repository's server", "Go", true, 0.25},
		{"embedded", "its packages in a program", "Go", false, 0.24},
		{"gorilla", "gorilla/websocket", "Go", true, 1},
		{"coder", "coder/websocket", "Go", true, 1.6},
		{"coder-errgroup", "coder/websocket with errgroup", "Go", false, 1.7},
		{"gobwas", "gobwas/ws", "Go", false, 1.0},
		{"gws", "lxzan/gws", "Go", true, 0.8},
		{"fasthttp", "fasthttp/websocket", "Go", false, 0.97},
		{"melody", "olahol/melody", "Go", false, 2.2},
		{"xnet", "golang.org/x/net/websocket", "Go", false, 1.8},
		{"nbio", "lesismal/nbio", "Go", false, 0},
		{"node-ws", "ws of npm", "JavaScript", false, 3.1},
		{"python-websockets", "websockets of Python", "Python", false, 14},
	} {
		q := result.Peer{Name: p.name, Title: p.title, Version: fmt.Sprintf("1.%d.3", i), Language: p.language, Full: p.full, Note: "the echo of its README", Batches: p.name == "wsecho"}
		if p.name == "gorilla" {
			q.Needs = []string{"read limit: SetReadLimit"}
		}
		if p.name == "nbio" {
			q.Skipped = "no version of it can be had"
		}
		r.Peers = append(r.Peers, q)
		cost[p.name] = p.cost
	}
	near := func(v float64) float64 { return v * (1 + 0.03*random.NormFloat64()) }
	cell := func(c result.Cell, figures func(name string, cost float64) map[string]float64) *result.Cell {
		for _, p := range r.Peers {
			if p.Skipped != "" || !p.Full && !c.Chosen {
				continue
			}
			o := &result.Outcome{Peer: p.Name}
			for range rounds {
				o.Rounds = append(o.Rounds, figures(p.Name, cost[p.Name]))
			}
			c.Outcomes = append(c.Outcomes, o)
		}
		r.Cells = append(r.Cells, &c)
		return &c
	}
	for _, size := range []int{5, 125, 4096, 65536, 1 << 20} {
		for _, flight := range []int{1, 16} {
			connections := 64
			if size == 1<<20 {
				connections = 16
			}
			cell(result.Cell{
				ID: fmt.Sprintf("echo-%dB-%dx%d", size, flight, connections), Kind: result.Echo, Title: fmt.Sprintf("%d B text, %d in flight, %d connections", size, flight, connections),
				Size: size, InFlight: flight, Connections: connections, Chosen: (size == 5 || size == 4096),
			}, func(_ string, cost float64) map[string]float64 {
				cpu := near((6/float64(flight) + float64(size)/4000) * (0.4 + 0.6*cost))
				return map[string]float64{"cpu_us": cpu, "rate": 1e6 / cpu, "p50_us": near(50 * cost * float64(flight)), "p99_us": near(420 * cost * float64(flight)),
					"p999_us": near(1900 * cost), "max_us": near(9000), "rss_mib": near(12 + 10*cost), "peak_mib": near(20 + 10*cost), "allocs": 3, "syscalls": near(2.1)}
			})
		}
	}
	for _, connections := range []int{512, 4096} {
		cell(result.Cell{ID: fmt.Sprint("echo-5B-16x", connections), Kind: result.Echo, Title: fmt.Sprintf("5 B text, 16 in flight, %d connections", connections), Size: 5, InFlight: 16, Connections: connections},
			func(_ string, cost float64) map[string]float64 {
				return map[string]float64{"cpu_us": near(3 * cost), "rate": near(1e5), "rss_mib": near(float64(connections) * (0.01 + 0.02*cost))}
			})
	}
	for _, share := range []float64{0.25, 0.5, 0.75} {
		cell(result.Cell{ID: fmt.Sprint("open-", share), Kind: result.Open, Title: fmt.Sprintf("125 B text, open loop at %g of the maximum", share), Size: 125, Connections: 64, Share: share, Chosen: share == 0.5},
			func(_ string, cost float64) map[string]float64 {
				return map[string]float64{"p50_us": near(60 * (1 + share) * (0.5 + cost)), "p99_us": near(600 * (1 + 4*share) * (0.5 + cost)), "p999_us": near(4000 * (1 + 9*share) * (0.5 + cost))}
			})
	}
	cell(result.Cell{ID: "churn", Kind: result.Churn, Title: "connect, one message of 5 B, close", Size: 5, Connections: 16, Chosen: true},
		func(_ string, cost float64) map[string]float64 {
			return map[string]float64{"cpu_us_conn": near(100 * (1 + cost)), "connects": near(9000 / (1 + cost))}
		})
	for _, connections := range []int{1000, 10000} {
		for _, beat := range []time.Duration{0, 20 * time.Second} {
			cell(result.Cell{ID: fmt.Sprint("idle-", connections, beat), Kind: result.Idle, Title: fmt.Sprintf("%d idle connections, heartbeat %v", connections, beat), Connections: connections, Heartbeat: beat, Chosen: connections == 10000},
				func(_ string, cost float64) map[string]float64 {
					return map[string]float64{"idle_kib": near(4 + 6*cost + 2*beat.Seconds()/20), "idle_cpu_ms": near(3), "alive": 1}
				})
		}
	}
	dead := cell(result.Cell{ID: "dead", Kind: result.Dead, Title: "falls silent; heartbeat each 2s", Connections: 1, Heartbeat: 2 * time.Second, Chosen: true},
		func(name string, cost float64) map[string]float64 {
			if name == "wsecho" || name == "gws" && random.IntN(2) == 0 {
				return map[string]float64{"notice_s": near(7)}
			}
			return map[string]float64{}
		})
	dead.Of("wsecho").Said = "1001 \"no pong\""
	drain := cell(result.Cell{ID: "drain", Kind: result.Drain, Title: "SIGTERM with 1000 connections", Connections: 1000, Chosen: true},
		func(name string, cost float64) map[string]float64 {
			if name == "melody" {
				return map[string]float64{"received_close": 0.9996}
			}
			return map[string]float64{"received_close": 1 / (1 + float64(int(cost))), "end_s": near(1)}
		})
	drain.Of("wsecho").Said = "1001"
	for _, p := range r.Peers {
		if p.Skipped != "" || p.Name == "raw" {
			continue
		}
		for i, title := range []string{"text that is not UTF-8", "a frame without a mask", "a close frame of one byte", "a control frame in fragments", "an announced length of 2^62"} {
			c := result.Check{Peer: p.Name, Name: fmt.Sprint("check-", i), Title: title, Rule: []string{"UTF-8", "masking", "closing handshake", "UTF-8", "limit on messages"}[i], Section: []string{"RFC 6455, 8.1", "RFC 6455, 5.1", "RFC 6455, 5.5.1", "RFC 6455, 8.1", ""}[i], Want: "closed with 1002", Got: "closed with 1002", Right: true}
			if p.Name != "wsecho" && (i+len(p.Name))%4 == 0 {
				c.Got, c.Right = "echoed", false
			}
			if p.Name == "xnet" && i == 4 {
				c.Right, c.Got, c.Error = false, "", "the connection could not be made"
			}
			r.Checks = append(r.Checks, c)
		}
	}
	return r
}
