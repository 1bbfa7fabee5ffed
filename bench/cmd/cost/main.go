// Command cost measures the CPU time of a message and the memory of an idle connection. It
// divides them by the figures of gorilla/websocket with a plain loop:
//
//	go run ./cmd/cost
//
// Each server runs in a separate process on loopback. Each round measures all servers, and
// a ratio compares figures of one round. This command shows the memory that TLS adds to an
// idle connection:
//
//	go run ./cmd/cost -cells idle -servers gorilla,gorilla+tls,embedded-park,embedded-park+tls
package main

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"example.com/wsecho/bench/client"
	"example.com/wsecho/bench/measure"
	"example.com/wsecho/bench/peers"
	"example.com/wsecho/load"
)

func main() {
	if len(os.Args) > 2 && os.Args[1] == "serve" {
		if err := peers.Child(os.Args[2:], os.Stdin, os.Stdout); err != nil {
			fatal(err)
		}
		return
	}
	rounds := flag.Int("rounds", 5, "rounds of each measurement")
	each := flag.Duration("each", 1500*time.Millisecond, "duration of one measurement")
	idle := flag.Int("idle", 10_000, "idle connections of the memory figure; 0: do not measure it")
	idleFor := flag.Duration("idle-for", 22*time.Second, "idle time; longer than the ping interval")
	only := flag.String("cells", "", "only rows whose names contain this")
	names := flag.String("servers", "raw,gorilla,wsecho", "servers, separated by commas; the others are divided by gorilla")
	binary := flag.String("wsecho", "", "the wsecho binary (default: build it)")
	flag.Parse()
	if err := run(*rounds, *each, *idle, *idleFor, *only, strings.Split(*names, ","), *binary); err != nil {
		fatal(err)
	}
}

func fatal(err error) {
	fmt.Fprintln(os.Stderr, "cost:", err)
	os.Exit(1)
}

// A cell is one row of the table.
type cell struct {
	name           string
	size, inFlight int
	text           bool
	conns          int
}

var cells = []cell{
	{"5 B text, 16 in flight", 5, 16, true, 64},
	{"5 B text, 1 in flight", 5, 1, true, 64},
	{"4 KiB text, 1 in flight", 4 << 10, 1, true, 64},
	{"4 KiB text, 16 in flight", 4 << 10, 16, true, 64},
	{"256 KiB binary, 1 in flight", 256 << 10, 1, false, 16},
}

func run(rounds int, each time.Duration, idle int, idleFor time.Duration, only string, names []string, binary string) error {
	if binary == "" {
		dir, err := os.MkdirTemp("", "cost")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		if binary, err = build(dir); err != nil {
			return err
		}
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	tools := peers.Tools{Bench: self, Wsecho: binary}

	cpu := map[string]map[string]measure.Sample{}
	p99 := map[string]map[string]measure.Sample{}
	rate := map[string]map[string]measure.Sample{}
	for _, c := range cells {
		cpu[c.name], p99[c.name], rate[c.name] = map[string]measure.Sample{}, map[string]measure.Sample{}, map[string]measure.Sample{}
	}
	fair := map[string]measure.Sample{}
	memory, memoryAgain := map[string]measure.Sample{}, map[string]measure.Sample{}

	procs := map[string]*measure.Process{}
	for _, name := range names {
		p, err := start(tools, name)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		defer p.Stop()
		procs[name] = p
	}
	for round := range rounds {
		for _, c := range cells {
			if !strings.Contains(c.name, only) {
				continue
			}
			for i := range names {
				name := names[(i+round)%len(names)]
				res, used, err := measureCell(procs[name], c, each, name)
				if err != nil {
					return fmt.Errorf("%s, %s: %w", name, c.name, err)
				}
				add(cpu[c.name], name, used)
				add(p99[c.name], name, micro(res.Latency.P99))
				add(rate[c.name], name, res.Rate)
			}
		}
		if strings.Contains("fairness", only) {
			for i := range names {
				name := names[(i+round)%len(names)]
				v, err := fairness(procs[name], each, name)
				if err != nil {
					return fmt.Errorf("%s, fairness: %w", name, err)
				}
				fair[name] = append(fair[name], v)
			}
		}
		if idle > 0 && strings.Contains("idle", only) {
			for i := range names {
				name := names[(i+round)%len(names)]
				p, err := start(tools, name)
				if err != nil {
					return err
				}
				never, again, err := idleMemory(p, idle, idleFor, name)
				p.Stop()
				if err != nil {
					return fmt.Errorf("%s, idle: %w", name, err)
				}
				add(memory, name, never)
				add(memoryAgain, name, again)
			}
		}
		fmt.Fprintf(os.Stderr, "round %d of %d\n", round+1, rounds)
	}

	w := tabwriter.NewWriter(os.Stdout, 2, 0, 2, ' ', 0)
	fmt.Fprintf(w, "median (min–max) of %d rounds\n\n", rounds)
	fmt.Fprintln(w, "\tserver\t÷ gorilla\tabsolute")
	rows := func(title, unit string, m map[string]measure.Sample) {
		for _, name := range names {
			if len(m[name]) > 0 {
				fmt.Fprintf(w, "%s\t%s\t%s\t%s %s\n", title, name, m[name].Over(m["gorilla"]).Spread(), m[name].Spread(), unit)
			}
		}
	}
	for _, c := range cells {
		rows("CPU, "+c.name, "µs/message", cpu[c.name])
	}
	for _, c := range cells {
		if c.inFlight == 1 {
			rows("p99, "+c.name, "µs", p99[c.name])
		}
	}
	for _, c := range cells {
		rows("rate, "+c.name, "messages/s", rate[c.name])
	}
	rows("p99 of 16 connections during 8 floods", "µs", fair)
	rows("memory of an idle connection", "KiB", memory)
	rows("the same after a message", "KiB", memoryAgain)
	return w.Flush()
}

func add(m map[string]measure.Sample, name string, v float64) { m[name] = append(m[name], v) }

// build builds wsecho with the default flags.
func build(dir string) (string, error) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "example.com/wsecho").Output()
	if err != nil {
		return "", fmt.Errorf("finding the module of wsecho (run this in bench/): %w", err)
	}
	binary := filepath.Join(dir, "wsecho")
	cmd := exec.Command("go", "build", "-o", binary, ".")
	cmd.Dir = strings.TrimSpace(string(out))
	cmd.Stderr = os.Stderr
	return binary, cmd.Run()
}

// start starts a server, with TLS if the name ends in +tls.
func start(tools peers.Tools, server string) (*measure.Process, error) {
	name, tls := strings.CutSuffix(server, "+tls")
	p, ok := peers.Find(name)
	if !ok {
		return nil, fmt.Errorf("there is no server %q", server)
	}
	return p.Start(context.Background(), tools, peers.Options{TLS: tls})
}

// measureCell runs a closed loop against a server. It returns the result, and the server's
// CPU time per message in microseconds.
func measureCell(p *measure.Process, c cell, each time.Duration, server string) (load.Round, float64, error) {
	var used [2]time.Duration
	var failed error
	plan := load.Plan{
		Connections: c.conns, Size: c.size, Binary: !c.text, InFlight: c.inFlight, Duration: each, Warmup: each / 5, Rounds: 1,
		TLS: &tls.Config{InsecureSkipVerify: true}, // the certificate is made for the run
		Measuring: func(begins bool) {
			i := 1
			if begins {
				i = 0
			}
			var err error
			used[i], err = p.CPU()
			failed = errors.Join(failed, err)
		},
	}
	report, err := load.Run(context.Background(), plan, urlOf(p, server))
	if err = errors.Join(err, failed); err != nil {
		return load.Round{}, 0, err
	}
	if !report.OK() {
		return load.Round{}, 0, errors.New(strings.Join(report.Targets[0].Problems(), "; "))
	}
	r := report.Targets[0].Rounds[0]
	return r, float64((used[1] - used[0]).Nanoseconds()) / 1e3 / float64(r.Messages), nil
}

func urlOf(p *measure.Process, server string) string {
	switch {
	case server == "raw":
		return "tcp://" + p.Addr
	case strings.HasSuffix(server, "+tls"):
		return "wss://" + p.Addr + "/"
	}
	return "ws://" + p.Addr + "/"
}

// fairness returns the p99 of 16 connections with one message in flight, during 8 floods.
func fairness(p *measure.Process, each time.Duration, server string) (float64, error) {
	floods, err := client.Open(context.Background(), urlOf(p, server), 8)
	if err != nil {
		return 0, err
	}
	defer floods.Close()
	stop := floods.Flood(5)
	time.Sleep(each / 10) // until the floods have filled all buffers
	res, _, err := measureCell(p, cell{size: 5, inFlight: 1, text: true, conns: 16}, each, server)
	stop()
	return micro(res.Latency.P99), err
}

func micro(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 }

// idleMemory returns the resident memory per connection, in KiB. never is the value after
// the handshake and an idle time. again is that after one message and a second idle time.
// The message shows that the connections are alive.
func idleMemory(p *measure.Process, n int, d time.Duration, server string) (never, again float64, err error) {
	before, err := p.Resident()
	if err != nil {
		return 0, 0, err
	}
	l, err := client.Open(context.Background(), urlOf(p, server), n)
	if err != nil {
		return 0, 0, err
	}
	defer l.Close()
	each := func() (float64, error) {
		pings, err := l.AnswerPings(time.Now().Add(d))
		if err != nil {
			return 0, err
		}
		after, err := p.Resident()
		if err != nil {
			return 0, err
		}
		if alive := l.Alive(); alive != n {
			return 0, fmt.Errorf("%d of %d connections were alive at the end, want all", alive, n)
		}
		fmt.Fprintf(os.Stderr, "  idle: %d pings answered\n", pings)
		return float64(after-before) / 1024 / float64(n), nil
	}
	if never, err = each(); err != nil {
		return 0, 0, err
	}
	again, err = each()
	return never, again, err
}
