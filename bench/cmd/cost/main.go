// Command cost measures what a message and an idle connection cost a server, in
// relation to gorilla/websocket's plain loop:
//
//	go run ./cmd/cost
//
// Each server is a process of its own on loopback. All are measured in turn, in
// several rounds, and the ratios are taken round by round. What TLS adds to an idle
// connection is seen with
//
//	go run ./cmd/cost -cells idle -servers gorilla,gorilla+tls,embedded,embedded+tls
package main

import (
	"context"
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
)

func main() {
	if len(os.Args) > 2 && os.Args[1] == "serve" {
		if err := peers.Child(os.Args[2:], os.Stdin, os.Stdout); err != nil {
			fatal(err)
		}
		return
	}
	rounds := flag.Int("rounds", 5, "rounds of each measurement")
	each := flag.Duration("each", 1500*time.Millisecond, "how long one measurement takes")
	idle := flag.Int("idle", 10_000, "idle connections for the memory figure; 0: leave it out")
	idleFor := flag.Duration("idle-for", 22*time.Second, "how long they idle: more than the interval of pings")
	only := flag.String("cells", "", "only the rows whose name contains this")
	names := flag.String("servers", "raw,gorilla,wsecho", "servers, with commas; gorilla is what the others are divided by")
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
				add(cpu[c.name], name, float64(used.Nanoseconds())/1e3/float64(res.Messages))
				add(p99[c.name], name, float64(res.Latency.ValueAtQuantile(99))/1e3)
				add(rate[c.name], name, float64(res.Messages)/res.Elapsed.Seconds())
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
	rows("p99 of 16 beside 8 floods", "µs", fair)
	rows("memory of an idle connection", "KiB", memory)
	rows("the same after a message", "KiB", memoryAgain)
	return w.Flush()
}

func add(m map[string]measure.Sample, name string, v float64) { m[name] = append(m[name], v) }

// build makes the server's binary as anyone would.
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

// start starts a server, with TLS where its name says so.
func start(tools peers.Tools, server string) (*measure.Process, error) {
	name, tls := strings.CutSuffix(server, "+tls")
	p, ok := peers.Find(name)
	if !ok {
		return nil, fmt.Errorf("there is no server %q", server)
	}
	return p.Start(context.Background(), tools, peers.Options{TLS: tls})
}

// open makes connections to a server, over TLS where its name says so.
func open(p *measure.Process, n int, server string) (*client.Load, error) {
	if strings.HasSuffix(server, "+tls") {
		return client.OpenTLS(context.Background(), p.Addr, n)
	}
	return client.Open(context.Background(), p.Addr, n, server == "raw")
}

func measureCell(p *measure.Process, c cell, each time.Duration, server string) (client.Result, time.Duration, error) {
	l, err := open(p, c.conns, server)
	if err != nil {
		return client.Result{}, 0, err
	}
	defer l.Close()
	if _, err := l.Run(each/5, c.size, c.inFlight, c.text); err != nil { // warm up
		return client.Result{}, 0, err
	}
	before, err := p.CPU()
	if err != nil {
		return client.Result{}, 0, err
	}
	res, err := l.Run(each, c.size, c.inFlight, c.text)
	if err != nil {
		return client.Result{}, 0, err
	}
	after, err := p.CPU()
	return res, after - before, err
}

// fairness is the p99 of 16 connections that are polite while 8 others flood.
func fairness(p *measure.Process, each time.Duration, server string) (float64, error) {
	floods, err := open(p, 8, server)
	if err != nil {
		return 0, err
	}
	defer floods.Close()
	polite, err := open(p, 16, server)
	if err != nil {
		return 0, err
	}
	defer polite.Close()
	stop := floods.Flood(5)
	time.Sleep(each / 10) // until the floods have filled what there is to fill
	res, err := polite.Run(each, 5, 1, true)
	stop()
	if err != nil {
		return 0, err
	}
	return float64(res.Latency.ValueAtQuantile(99)) / 1e3, nil
}

// idleMemory is what a connection adds to the resident memory of a server, in
// KiB, when it has been idle since it was made; and when it has been again, after
// one message, by which all are shown to be alive.
func idleMemory(p *measure.Process, n int, d time.Duration, server string) (never, again float64, err error) {
	before, err := p.Resident()
	if err != nil {
		return 0, 0, err
	}
	l, err := open(p, n, server)
	if err != nil {
		return 0, 0, err
	}
	defer l.Close()
	each := func() (float64, error) {
		pings, err := l.Attend(time.Now().Add(d))
		if err != nil {
			return 0, err
		}
		after, err := p.Resident()
		if err != nil {
			return 0, err
		}
		if alive := l.Alive(); alive != n {
			return 0, fmt.Errorf("only %d of %d connections were alive at the end", alive, n)
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
