package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"example.com/wsecho/bench/grid"
	"example.com/wsecho/bench/peers"
	"example.com/wsecho/bench/report"
	"example.com/wsecho/bench/result"
)

type runCommand struct {
	Whole    bool           `xor:"extent" help:"All workloads, in about 35 minutes. Default: the workloads of the main table for all servers, and a few more for some, in about 22 minutes."`
	Quick    bool           `xor:"extent" help:"The workloads of the main table, measured for a short time, in about 8 minutes."`
	Smoke    bool           `xor:"extent" help:"The echoes of the main table in one round, and the checks of correctness, in about 30 seconds. It verifies payloads. Do not use its figures."`
	Peers    []string       `placeholder:"NAME" help:"Only these servers. Without gorilla there are no ratios."`
	Cells    []string       `placeholder:"NAME" help:"Only these workloads, or workloads whose names contain this. All servers run them. The checks of correctness do not run."`
	Rounds   *int           `placeholder:"N" help:"Number of rounds; default 5. Fewer cannot show a significant difference."`
	Duration *time.Duration `placeholder:"DURATION" help:"Measured time of each measurement; default 600ms. The kernel counts processor time in steps of 10ms."`
	Out      string         `default:"results.json" help:"The file to write."`
	Wsecho   string         `placeholder:"FILE" help:"The binary of wsecho. Unless set, run builds it."`
}

// Run measures, writes the results and prints the main table.
func (f *runCommand) Run(ctx context.Context) error {
	ctx, stop := untilTerminated(ctx)
	defer stop()
	plan, err := f.plan()
	if err != nil {
		return usage{err}
	}
	// Check the output file before the run. An earlier file stays until this run has
	// results.
	if info, err := os.Stat(f.Out); err == nil && info.IsDir() {
		return usage{fmt.Errorf("--out: %s is a folder, want a file", f.Out)}
	}
	out, err := os.CreateTemp(filepath.Dir(f.Out), ".results-*")
	if err != nil {
		return usage{fmt.Errorf("--out: %w", err)}
	}
	written := false
	defer func() {
		if !written {
			_ = os.Remove(out.Name())
		}
	}()
	defer out.Close()
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	self, err := os.Executable()
	if err != nil {
		return err
	}
	plan.Tools = peers.Tools{Bench: self, Wsecho: f.Wsecho}
	if f.Wsecho == "" {
		if plan.Tools.Wsecho, err = build(ctx, dir); err != nil {
			if ctx.Err() != nil {
				return fmt.Errorf("interrupted while wsecho was built; nothing was written to %s", f.Out)
			}
			return err
		}
	}
	if os.Getenv(peers.NbioVariable) == "" && slices.ContainsFunc(plan.Peers, func(p peers.Peer) bool { return p.IsNbio() }) {
		if err := buildNbio(ctx, filepath.Join(dir, "nbio")); err != nil {
			fmt.Fprintf(os.Stderr, "bench: building nbio: %v\n", err) // the report lists nbio as skipped
		}
	}
	at := commit() // before the run, because the working tree may change meanwhile
	p := newProgress(os.Stderr)
	plan.Say = p.say
	found, err := grid.Run(ctx, plan)
	p.end()
	if err != nil {
		return err
	}
	found.Command = "go run . " + strings.Join(os.Args[1:], " ")
	found.Commit = at
	for i, p := range found.Peers {
		if p.Version == peers.Unreleased && at != "" {
			found.Peers[i].Version = "commit " + at
		}
	}
	if found.Interrupted && isEmpty(found) {
		return fmt.Errorf("interrupted before the first result; nothing was written to %s", f.Out)
	}
	if err := errors.Join(found.Write(out), out.Chmod(0o644), out.Close()); err != nil {
		return err
	}
	written = true
	if err := os.Rename(out.Name(), f.Out); err != nil {
		return fmt.Errorf("the results are in %s: %w", out.Name(), err)
	}
	if err := report.Text(os.Stdout, found); err != nil {
		return err
	}
	fmt.Printf("\nAll results are in %s. go run . report %s writes pages of them.\n", f.Out, f.Out)
	return checkPayloads(found)
}

// isEmpty reports whether there is no result.
func isEmpty(r *result.Report) bool {
	return len(r.Checks) == 0 && !slices.ContainsFunc(r.Cells, func(c *result.Cell) bool {
		return slices.ContainsFunc(c.Outcomes, func(o *result.Outcome) bool { return len(o.Rounds) > 0 || len(o.Wrong) > 0 })
	})
}

// checkPayloads returns an error if an outcome has a fault, or if there is no outcome.
func checkPayloads(r *result.Report) error {
	n, last, outcomes := 0, "", 0
	for _, c := range r.Cells {
		for _, o := range c.Outcomes {
			outcomes++
			if len(o.Wrong) > 0 {
				n++
				last = fmt.Sprintf("%s in %s: %s", o.Peer, c.ID, o.Wrong[0])
			}
		}
	}
	switch {
	case n > 0:
		return fmt.Errorf("%d of %d outcomes have faults, the last one: %s", n, outcomes, last)
	case outcomes == 0 && !r.Interrupted:
		return errors.New("nothing was measured")
	}
	return nil
}

// shortest is the shortest measurement: one clock tick of the kernel.
const shortest = 10 * time.Millisecond

func (f *runCommand) plan() (grid.Plan, error) {
	p := grid.Plan{
		Peers: peers.All(), Cells: grid.Main(), Rounds: 5, Duration: 600 * time.Millisecond, Warmup: 200 * time.Millisecond,
		IdleFor: 10 * time.Second, Correctness: true, SystemCalls: true,
	}
	switch {
	case f.Whole || len(f.Cells) > 0:
		p.Cells = grid.Standard()
	case f.Quick:
		p.Cells, p.Duration, p.Warmup, p.SystemCalls = grid.Chosen(), 160*time.Millisecond, 80*time.Millisecond, false
		p.IdleFor = 4 * time.Second
	case f.Smoke:
		p.Cells = slices.DeleteFunc(p.Cells, func(c *result.Cell) bool { return !c.Chosen || c.Kind != result.Echo })
		p.Rounds, p.Duration, p.Warmup, p.SystemCalls = 1, 100*time.Millisecond, 50*time.Millisecond, false
	}
	if f.Peers != nil && len(f.Peers) == 0 || f.Cells != nil && len(f.Cells) == 0 {
		return p, errors.New("--peers and --cells need a name; without these flags, all are measured")
	}
	if f.Rounds != nil {
		if p.Rounds = *f.Rounds; p.Rounds < 1 {
			return p, errors.New("--rounds must be more than 0")
		}
	}
	if f.Duration != nil {
		if p.Duration = *f.Duration; p.Duration < shortest {
			return p, fmt.Errorf("--duration must be %v or more: the kernel counts processor time in these steps", shortest)
		}
	}
	if len(f.Peers) > 0 {
		p.Peers = nil
		for _, name := range f.Peers {
			peer, ok := peers.Find(name)
			if !ok {
				return p, fmt.Errorf("--peers: there is no server %q; bench list lists them", name)
			}
			if slices.ContainsFunc(p.Peers, func(p peers.Peer) bool { return p.Name == name }) {
				return p, fmt.Errorf("--peers: %s is named twice", name)
			}
			p.Peers = append(p.Peers, peer)
		}
	}
	if f.Wsecho != "" && slices.ContainsFunc(p.Peers, func(p peers.Peer) bool { return p.Name == "wsecho" }) {
		if _, err := exec.LookPath(f.Wsecho); err != nil {
			return p, fmt.Errorf("--wsecho: %w", err)
		}
	}
	if len(f.Cells) > 0 {
		var err error
		if p.Cells, err = grid.Select(p.Cells, f.Cells); err != nil {
			return p, fmt.Errorf("--cells: %w", err)
		}
		if lacking := grid.Lacking(p.Cells); lacking != "" {
			return p, fmt.Errorf("--cells: the loads of the open loop are shares of the maximum rate of %s; add that workload", lacking)
		}
		for _, c := range p.Cells {
			c.Chosen = true
		}
		p.Correctness = false
	}
	return p, nil
}

// build builds the binary of wsecho with the default flags.
func build(ctx context.Context, dir string) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "example.com/wsecho").Output()
	if err != nil {
		return "", fmt.Errorf("finding the module of wsecho (run this in bench/): %w", err)
	}
	binary := filepath.Join(dir, "wsecho")
	cmd := exec.CommandContext(ctx, "go", "build", "-o", binary, ".")
	cmd.Dir = strings.TrimSpace(string(out))
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("building wsecho: %w", err)
	}
	return binary, nil
}

func buildNbio(ctx context.Context, binary string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-o", binary, "example.com/wsecho/bench/peers/nbio")
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return err
	}
	return os.Setenv(peers.NbioVariable, binary)
}

// commit returns the commit of the working tree, or "" if there is none.
func commit() string {
	out, err := exec.Command("git", "describe", "--always", "--dirty", "--abbrev=12").Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}

type listCommand struct{}

func (*listCommand) Run() error {
	w := tabwriter.NewWriter(os.Stdout, 2, 0, 2, ' ', 0)
	fmt.Fprintln(w, "server\tlibrary\tversion\tlanguage\tworkloads\t")
	for _, p := range peers.All() {
		extent, version := "chosen", p.Version()
		if p.Full {
			extent = "all"
		}
		missing := ""
		if p.IsNbio() && p.Missing() != nil {
			missing = "run builds it"
		} else if err := p.Missing(); err != nil {
			missing = "skipped: " + err.Error()
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", p.Name, p.Title, version, p.Language, extent, missing)
	}
	fmt.Fprintln(w, "\t\t\t\t\t\nworkload\tchosen\t\t\t\t")
	for _, c := range grid.Standard() {
		chosen := ""
		if c.Chosen {
			chosen = "for all"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\n", c.ID, chosen, c.Title)
	}
	return w.Flush()
}

type reportCommand struct {
	Results string `arg:"" help:"A file that run has written."`
	Out     string `default:"pages" help:"Folder for the pages and plots. report creates it."`
	Readme  string `placeholder:"FILE" help:"A README. report replaces its table of the comparison."`
}

// Run writes README.md, report.html, results.json and the plots.
func (f *reportCommand) Run() error {
	in, err := os.Open(f.Results)
	if err != nil {
		return usage{err}
	}
	defer in.Close()
	found, err := result.Read(in)
	if err != nil {
		return usage{fmt.Errorf("%s: %w", f.Results, err)}
	}
	if err := f.summarize(found); err != nil {
		return usage{fmt.Errorf("--readme: %w", err)}
	}
	if err := os.MkdirAll(f.Out, 0o777); err != nil {
		return usage{fmt.Errorf("--out: %w", err)}
	}
	plots, err := report.Plots(found)
	if err != nil {
		return err
	}
	for _, p := range plots {
		if err := os.WriteFile(filepath.Join(f.Out, p.Name+".svg"), p.SVG, 0o666); err != nil {
			return err
		}
	}
	for name, write := range map[string]func(io.Writer) error{
		"README.md": func(w io.Writer) error {
			return report.Markdown(w, found, func(name string) string { return name + ".svg" })
		},
		"report.html":  func(w io.Writer) error { return report.HTML(w, found) },
		"results.json": found.Write,
	} {
		if err := writeFile(filepath.Join(f.Out, name), write); err != nil {
			return err
		}
	}
	fmt.Printf("wrote the report to %s and, as one page, to %s\n", filepath.Join(f.Out, "README.md"), filepath.Join(f.Out, "report.html"))
	return nil
}

// summarize replaces the table in the file of --readme.
func (f *reportCommand) summarize(found *result.Report) error {
	if f.Readme == "" {
		return nil
	}
	page, err := os.ReadFile(f.Readme)
	if err != nil {
		return err
	}
	if page, err = report.Summary(page, found); err != nil {
		return err
	}
	return os.WriteFile(f.Readme, page, 0o666)
}

func writeFile(name string, write func(io.Writer) error) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	return errors.Join(write(f), f.Close())
}
