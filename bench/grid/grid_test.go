package grid

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"example.com/wsecho/bench/measure"
	"example.com/wsecho/bench/peers"
	"example.com/wsecho/bench/result"
)

// TestMain makes the test binary stand in for the bench program and for wsecho. As wsecho
// it changes every message after the eleventh.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "unresponsive" {
		fmt.Println("listening nowhere")
		_, _ = io.Copy(io.Discard, os.Stdin)
		return
	}
	if len(os.Args) > 1 && os.Args[1] == "serve" {
		var err error
		if addr := addrIn(os.Args); addr != "" {
			err = serveWrong(addr)
		} else {
			err = peers.Child(os.Args[2:], os.Stdin, os.Stdout)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// addrIn returns the flag that only wsecho gets, or "".
func addrIn(args []string) string {
	for _, a := range args {
		if addr, ok := strings.CutPrefix(a, "--addr="); ok {
			return addr
		}
	}
	return ""
}

func serveWrong(addr string) error {
	var upgrader websocket.Upgrader
	return http.ListenAndServe(addr, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer c.Close()
		for i := 0; ; i++ {
			typ, p, err := c.ReadMessage()
			if err != nil {
				return
			}
			if i > 10 {
				p[0]++
			}
			if err := c.WriteMessage(typ, p); err != nil {
				return
			}
		}
	}))
}

// small returns a plan that takes little time.
func small(t *testing.T, names ...string) Plan {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := Plan{Tools: peers.Tools{Bench: self, Wsecho: self}, Rounds: 2, Duration: 100 * time.Millisecond, Warmup: 50 * time.Millisecond, IdleFor: 600 * time.Millisecond}
	for _, name := range names {
		peer, ok := peers.Find(name)
		if !ok {
			t.Fatalf("there is no peer %s", name)
		}
		p.Peers = append(p.Peers, peer)
	}
	return p
}

func TestRun(t *testing.T) {
	p := small(t, "raw", "gorilla", "gws", "xnet", "embedded")
	closed, compressed, secret := echo(openSize, 1, openConnections), echo(5, 16, 4), echo(5, 1, 4)
	closed.Chosen = true
	compressed.Compression, compressed.ID = true, "compressed"
	secret.TLS, secret.ID = true, "secret"
	idle := &result.Cell{ID: "idle", Kind: result.Idle, Connections: 20, Heartbeat: 800 * time.Millisecond, Chosen: true}
	p.IdleFor = 2 * time.Second // gorilla's read deadline is two intervals, from the handshake on
	p.Cells = []*result.Cell{
		closed, compressed, secret,
		{ID: "open", Kind: result.Open, Size: openSize, Connections: openConnections, Share: 0.25},
		{ID: "churn", Kind: result.Churn, Size: 5, Connections: 2},
		idle,
	}
	p.Correctness = true
	var last float64
	p.Say = func(what string, done float64) {
		if done < last || done > 1 {
			t.Errorf("at %q %v of it is done, after %v", what, done, last)
		}
		last = done
	}
	r, err := Run(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	if r.Interrupted || r.Machine.Processors < 1 || r.Machine.Memory == 0 || r.Machine.Kernel == "" {
		t.Errorf("%+v", r)
	}
	want := map[string][]string{ // peers of each cell
		closed.ID:    {"raw", "gorilla", "gws", "xnet", "embedded"},
		"compressed": {"gorilla", "gws"},
		"secret":     {"gorilla", "gws"},
		"open":       {"gorilla", "gws"},
		"churn":      {"gorilla", "gws"},
		"idle":       {"gorilla", "gws", "embedded"},
	}
	figures := map[string][]string{
		result.Echo:  {"cpu_us", "rate", "p50_us", "p99_us", "p999_us", "max_us", "rss_mib", "peak_mib", "allocs", "client_us"},
		result.Open:  {"cpu_us", "rate", "p50_us", "p99_us", "p999_us", "max_us", "late_share"},
		result.Churn: {"connects", "cpu_us_conn", "rss_mib"},
		result.Idle:  {"idle_kib", "idle_cpu_ms", "alive", "pings"},
	}
	for _, c := range r.Cells {
		for _, name := range want[c.ID] {
			o := c.Of(name)
			if o == nil {
				t.Errorf("%s: %s was not measured", c.ID, name)
				continue
			}
			if len(o.Rounds) != p.Rounds || len(o.Wrong) > 0 {
				t.Errorf("%s: %s has %d rounds, wrong: %q", c.ID, name, len(o.Rounds), o.Wrong)
			}
			for _, f := range figures[c.Kind] {
				if name == "raw" && f == "late_share" {
					continue
				}
				n := len(o.Values(f))
				if late := f == "cpu_us" || f == "allocs"; late && n > 0 {
					continue // one window may have been too short
				}
				if n != p.Rounds {
					t.Errorf("%s: %s has %v as %s", c.ID, name, o.Values(f), f)
				}
			}
		}
		if len(c.Outcomes) > len(want[c.ID]) {
			t.Errorf("%s: there are outcomes of %d peers, want those of %v", c.ID, len(c.Outcomes), want[c.ID])
		}
	}
	for _, name := range want["idle"] {
		if alive := idle.Of(name).Values("alive"); !slices.Equal(alive, []float64{1, 1}) {
			t.Errorf("%s: the share %v of idle connections was alive", name, alive)
		}
		if pings := idle.Of(name).Values("pings"); len(pings) == 0 || slices.Min(pings) < 5 {
			t.Errorf("%s sent %v pings a second, with 20 connections and an interval of 800 ms", name, pings)
		}
	}
	wrong := map[string]int{}
	for _, c := range r.Checks {
		if !c.Right {
			wrong[c.Peer]++
		}
	}
	if wrong["gorilla"] == 0 || wrong["embedded"] > 0 || wrong["raw"] > 0 {
		t.Errorf("the checks that failed are %v", wrong)
	}
}

// TestUnresponsive: a server that does not report its allocations delays the start of the
// window, but not its marks.
func TestUnresponsive(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	proc, err := measure.Start(t.Context(), exec.Command(self, "unresponsive"))
	if err != nil {
		t.Fatal(err)
	}
	defer proc.Stop()
	w := windowOn(proc)
	began := time.Now()
	w.mark(true)
	w.mark(false)
	if took := time.Since(began); took > time.Second || w.err != nil {
		t.Errorf("the marks took %v: %v", took, w.err)
	}
	if n, err := proc.Allocs(); err == nil || time.Since(began) > time.Second {
		t.Errorf("%d allocations, after %v: %v", n, time.Since(began), err)
	}
	if _, has := w.figures(1, 0)["allocs"]; has {
		t.Error("the figures contain allocations")
	}
}

// TestWrong: Run reports changed replies, and stops measuring the server after two rounds.
func TestWrong(t *testing.T) {
	p := small(t, "gorilla", "wsecho")
	p.Rounds, p.Duration = 4, 300*time.Millisecond
	p.Cells = []*result.Cell{echo(5, 1, 2)}
	r, err := Run(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	if o := r.Cells[0].Of("wsecho"); len(o.Wrong) == 0 || !strings.Contains(strings.Join(o.Wrong, " "), "instead of") {
		t.Errorf("wrong: %q", o.Wrong)
	}
	if o := r.Cells[0].Of("wsecho"); len(o.Rounds) != giveUp || len(o.Notes) != 1 {
		t.Errorf("it was measured %d times: %q", len(o.Rounds), o.Notes)
	}
	if o := r.Cells[0].Of("gorilla"); len(o.Values("rate")) != 4 || len(o.Wrong) > 0 {
		t.Errorf("gorilla: %+v", o)
	}
}

// TestNoServer: Run lists a server that does not start with the reason, and measures the
// others.
func TestNoServer(t *testing.T) {
	p := small(t, "gorilla", "wsecho")
	p.Tools.Wsecho = filepath.Join(t.TempDir(), "nothing")
	p.Cells = []*result.Cell{echo(5, 1, 2)}
	r, err := Run(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	if s := r.Peer("wsecho").Skipped; !strings.Contains(s, "no such file") {
		t.Errorf("the reason for skipping is %q", s)
	}
	if got := r.Cells[0].Of("gorilla").Values("rate"); len(got) != 2 || r.Cells[0].Of("wsecho") != nil {
		t.Errorf("%v", got)
	}
}

// TestInterrupted: the report contains the finished rounds only.
func TestInterrupted(t *testing.T) {
	p := small(t, "gorilla")
	p.Rounds, p.Duration = 1000, 500*time.Millisecond
	p.Cells = []*result.Cell{echo(5, 1, 2)}
	ctx, cancel := context.WithCancel(t.Context())
	steps := 0
	p.Say = func(string, float64) {
		if steps++; steps == 4 {
			time.AfterFunc(70*time.Millisecond, cancel)
		}
	}
	r, err := Run(ctx, p)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(r.Cells[0].Of("gorilla").Rounds); !r.Interrupted || n != 3 {
		t.Errorf("interrupted in the fourth round: %v, %d rounds", r.Interrupted, n)
	}
	if err := r.Write(io.Discard); err != nil {
		t.Error(err)
	}
}

// TestInterruptedIdle: an interrupted run does not wait until the idle time is over.
func TestInterruptedIdle(t *testing.T) {
	p := small(t, "gorilla")
	p.IdleFor = time.Minute
	p.Cells = []*result.Cell{{ID: "idle", Kind: result.Idle, Connections: 10, Chosen: true}}
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	began := time.Now()
	r, err := Run(ctx, p)
	if err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); !r.Interrupted || took > 10*time.Second {
		t.Errorf("interrupted: %v, after %v", r.Interrupted, took)
	}
	if o := r.Cells[0].Of("gorilla"); o != nil && (len(o.Rounds) > 0 || len(o.Wrong) > 0) {
		t.Errorf("the report contains an interrupted round: %+v", o)
	}
}

// TestInterruptedChecks: the report does not count an interrupted check as failed.
func TestInterruptedChecks(t *testing.T) {
	p := small(t, "gorilla", "xnet")
	p.Correctness = true
	for _, after := range []time.Duration{time.Nanosecond, 300 * time.Millisecond} {
		ctx, cancel := context.WithTimeout(t.Context(), after)
		r, err := Run(ctx, p)
		cancel()
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range r.Checks {
			if c.Error != "" {
				t.Errorf("after %v: %s: %s: %s", after, c.Peer, c.Title, c.Error)
			}
		}
	}
}

func TestStandard(t *testing.T) {
	ids := map[string]bool{}
	chosen := 0
	for _, c := range Standard() {
		if ids[c.ID] {
			t.Errorf("there are two cells %s", c.ID)
		}
		ids[c.ID] = true
		if c.Size*c.InFlight*c.Connections > mostInFlight {
			t.Errorf("%s has too many bytes in flight", c.ID)
		}
		if c.Chosen && c.Kind == result.Echo {
			chosen++
		}
	}
	if chosen != 5 {
		t.Errorf("got %d chosen cells of echoes, want 5", chosen)
	}
	// The main table shows where wsecho is behind: many connections, churn, large messages.
	for _, id := range []string{"echo-5B-1x512", "echo-1MiB-1x16", "churn", "idle"} {
		if !slices.ContainsFunc(Chosen(), func(c *result.Cell) bool { return c.ID == id }) {
			t.Errorf("%s is not in the main table", id)
		}
	}
	if n := len(Main()); n != len(Chosen())+8 {
		t.Errorf("got %d cells of the main run, want %d", n, len(Chosen())+8)
	}
	if cells, err := Select(Standard(), []string{"churn", "open"}); err != nil || len(cells) != 4 {
		t.Errorf("%d cells, %v", len(cells), err)
	}
	if cells, err := Select(Standard(), []string{"echo-125B-1x16", "idle"}); err != nil || len(cells) != 2 {
		t.Errorf("two cells by their names: %d cells, %v", len(cells), err)
	}
	if cells, err := Select(Standard(), []string{"125B-1x16", "idle-"}); err != nil || len(cells) != 4 {
		t.Errorf("by parts of names: %d cells, %v", len(cells), err)
	}
	if cells, err := Select(Standard(), []string{"churn", ""}); err == nil {
		t.Errorf("an empty name selects %d cells", len(cells))
	}
	for parts, want := range map[string]string{"open-25": "echo-125B-1x16", "echo-125B-1x16-tls,open": "echo-125B-1x16", "echo-125B-1x16,open": "", "churn": ""} {
		cells, err := Select(Standard(), strings.Split(parts, ","))
		if got := Lacking(cells); err != nil || got != want {
			t.Errorf("%s lacks %q, want %q: %v", parts, got, want, err)
		}
	}
	if _, err := Select(Standard(), []string{"churn", "no such"}); err == nil || !strings.Contains(err.Error(), "idle-heartbeat") {
		t.Errorf("an unknown cell: %v", err)
	}
}

// TestCommandOverTLS: the command runs every workload with TLS.
func TestCommandOverTLS(t *testing.T) {
	command, ok := peers.Find("wsecho")
	if !ok {
		t.Fatal("there is no peer wsecho")
	}
	n := 0
	for _, c := range Standard() {
		if c.TLS {
			n++
			if !takesPart(c, command) {
				t.Errorf("%s: without wsecho", c.ID)
			}
		}
	}
	if n < 3 {
		t.Errorf("got %d workloads with TLS, want at least 3", n)
	}
}
