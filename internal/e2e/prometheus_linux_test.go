package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"example.com/wsecho/internal/testfull"
	"example.com/wsecho/wstest"
)

const deployed = "../../deploy/"

// tool returns the path of a program of Debian's package prometheus.
func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		testfull.Missing(t, "%s is not installed: apt-get install prometheus", name)
	}
	return path
}

// fetch returns the body of a GET.
func fetch(url string) ([]byte, error) {
	r, err := http.Get(url)
	if err != nil {
		return nil, err
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err == nil && r.StatusCode != http.StatusOK {
		err = fmt.Errorf("GET %s: %s: %s", url, r.Status, b)
	}
	return b, err
}

// adminAddr returns the address of the metrics of p.
func (p *process) adminAddr(t testing.TB) string {
	t.Helper()
	match, err := waitFor(p.log, `msg="serving metrics" addr=(\S+)`)
	if err != nil {
		t.Fatal(err)
	}
	return match[1]
}

// TestPromtool checks the files in deploy/prometheus and the format of the metrics.
func TestPromtool(t *testing.T) {
	t.Parallel()
	promtool := tool(t, "promtool")
	for _, args := range []string{"check config prometheus.yml", "check rules alerts.yaml", "test rules alerts_test.yaml"} {
		cmd := exec.Command(promtool, strings.Fields(args)...)
		cmd.Dir = deployed + "prometheus"
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", args, err, out)
		}
	}
	p := startFor(t, "wsecho", "--admin-addr=127.0.0.1:0", "--probe-target=127.0.0.1:*")
	for _, path := range []string{"/metrics", "/probe?target=" + p.url(), "/probe?target=" + p.url() + "%3Fstatus=503", "/probe?target=wss" + strings.TrimPrefix(p.url(), "ws")} {
		metrics, err := fetch("http://" + p.adminAddr(t) + path)
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(promtool, "check", "metrics")
		cmd.Stdin = bytes.NewReader(metrics)
		if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("promtool check metrics, %s: %v\n%s", path, err, out)
		}
	}
	p.stop(t)
}

// TestAdminInUse: a second server on the same address warns and serves.
func TestAdminInUse(t *testing.T) {
	t.Parallel()
	first := startFor(t, "wsecho", "--admin-addr=127.0.0.1:0")
	addr := first.adminAddr(t)
	second := startFor(t, "wsecho", "--admin-addr="+addr)
	second.logged(t, `level=WARN msg="there are no metrics, because the address is in use[^\n]*value=`+addr)
	peer, err := wstest.Dial(second.url(), wstest.DialOptions{})
	if err != nil {
		t.Fatal(err)
	}
	_ = peer.Close()
	second.stop(t)
	if _, err := fetch("http://" + addr + "/metrics"); err != nil {
		t.Error(err)
	}
	first.stop(t)
}

// TestDrainWatched: the metrics are there until the end of the drain, and count it down.
func TestDrainWatched(t *testing.T) {
	t.Parallel()
	const peers = 20
	p := startFor(t, "wsecho", "--admin-addr=127.0.0.1:0", "--drain-delay=3s", "--drain-spread=4s")
	admin := "http://" + p.adminAddr(t)
	for range peers {
		peer, err := wstest.Dial(p.url(), wstest.DialOptions{})
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			_, _ = peer.Answer(context.Background(), wstest.AnswerOptions{})
			_ = peer.Close()
		}()
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	var seen []string
	left := map[string]bool{} // numbers of connections during the drain
	for end := time.Now().Add(waitLimit); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		b, err := fetch(admin + "/metrics")
		if err != nil {
			break // the process has ended
		}
		state := regexp.MustCompile(`wsecho_drain_state\{state="(\w+)"\} 1\n`).FindSubmatch(b)
		open := regexp.MustCompile(`(?m)^wsecho_connections (\d+)$`).FindSubmatch(b)
		if state == nil || open == nil {
			t.Fatalf("got %s", b)
		}
		if s := string(state[1]); !slices.Contains(seen, s) {
			seen = append(seen, s)
		}
		if string(state[1]) == "draining" {
			left[string(open[1])] = true
		}
		_, readyErr := fetch(admin + "/readyz")
		if string(state[1]) != "serving" && readyErr == nil {
			t.Error("/readyz is 200 after the signal")
		}
	}
	if code, err := p.wait(); code != 0 || err != nil {
		t.Errorf("exit code %d, %v", code, err)
	}
	if !slices.Contains(seen, "announced") || !slices.Contains(seen, "draining") || len(left) < 2 {
		t.Errorf("states %v, and %d numbers of connections, want several", seen, len(left))
	}
	p.logged(t, `msg=draining connections=20 timeout_seconds=15 spread_seconds=4`)
}

// A prometheus is a running Prometheus.
type prometheus struct{ url string }

// startPrometheus starts a Prometheus that scrapes target twice a second.
func startPrometheus(t *testing.T, target string, flags ...string) prometheus {
	t.Helper()
	return runPrometheus(t, "500ms", fmt.Sprintf("scrape_configs: [{job_name: wsecho, static_configs: [{targets: [%q]}]}]\n", target), flags...)
}

// runPrometheus starts a Prometheus with the alerts. scrapes is the part of its
// configuration about scrapes, and interval that between them.
func runPrometheus(t *testing.T, interval, scrapes string, flags ...string) prometheus {
	t.Helper()
	dir := t.TempDir()
	rules, err := filepath.Abs(deployed + "prometheus/alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	config := fmt.Sprintf("global: {scrape_interval: %[1]s, scrape_timeout: %[1]s, evaluation_interval: %[1]s}\nrule_files: [%[2]q]\n", interval, rules) + scrapes
	file := filepath.Join(dir, "prometheus.yml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command(tool(t, "prometheus"), append(flags, "--config.file="+file, "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address=127.0.0.1:0")...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	match, err := waitFor(log.Name(), `msg="Listening on" address=(\S+)`)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := waitFor(log.Name(), `Server is ready`); err != nil {
		t.Fatal(err)
	}
	return prometheus{"http://" + match[1] + "/api/v1/"}
}

// query returns the values of an instant query. An error is also one of the query itself.
func (p prometheus) query(expr string) ([]string, error) {
	b, err := fetch(p.url + "query?query=" + url.QueryEscape(expr))
	if err != nil {
		return nil, err
	}
	var answer struct {
		Status string
		Data   struct {
			Result []struct {
				Value     []any
				Histogram []any
			}
		}
	}
	if err := json.Unmarshal(b, &answer); err != nil || answer.Status != "success" {
		return nil, fmt.Errorf("%v: %s", err, b)
	}
	var values []string
	for _, r := range answer.Data.Result {
		if len(r.Value) == 2 {
			values = append(values, fmt.Sprint(r.Value[1]))
		} else {
			values = append(values, fmt.Sprint(r.Histogram...))
		}
	}
	return values, nil
}

// want waits until a query has one value, which is want.
func (p prometheus) want(t *testing.T, expr, want string) {
	t.Helper()
	for end := time.Now().Add(waitLimit); ; time.Sleep(200 * time.Millisecond) {
		values, err := p.query(expr)
		if err == nil && slices.Equal(values, []string{want}) {
			return
		}
		if err != nil || time.Now().After(end) {
			t.Errorf("%s: got %v, %v, want %s", expr, values, err, want)
			return
		}
	}
}

// dashboardQueries returns the queries of the dashboard, with its variables replaced.
func dashboardQueries(t *testing.T) []string {
	t.Helper()
	b, err := os.ReadFile(deployed + "grafana/dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
		Templating struct {
			List []struct {
				Name, Type string
				Query      any
			}
		}
	}
	if err := json.Unmarshal(b, &dashboard); err != nil {
		t.Fatal(err)
	}
	var all []string
	replace := strings.NewReplacer("$__rate_interval", "10s", "$instance", ".*", "$job", "wsecho")
	for _, v := range dashboard.Templating.List {
		if v.Type == "query" {
			match := regexp.MustCompile(`label_values\((.*), (\w+)\)`).FindStringSubmatch(fmt.Sprint(v.Query))
			if match == nil {
				t.Fatalf("variable %s: %v", v.Name, v.Query)
			}
			all = append(all, fmt.Sprintf("count by (%s) (%s)", match[2], replace.Replace(match[1])))
		}
	}
	for _, p := range dashboard.Panels {
		for _, target := range p.Targets {
			all = append(all, replace.Replace(target.Expr))
		}
	}
	for _, expr := range all {
		if strings.Contains(expr, "$") {
			t.Errorf("a variable is not replaced in %s", expr)
		}
	}
	return all
}

// traffic opens connections that stay, and others that end or are refused, until ctx ends.
func (p *process) traffic(t *testing.T, ctx context.Context, stay int) (wait func()) {
	t.Helper()
	var all sync.WaitGroup
	for range stay {
		peer, err := wstest.Dial(p.url(), wstest.DialOptions{})
		if err != nil {
			t.Fatal(err)
		}
		all.Go(func() {
			_, _ = peer.Answer(ctx, wstest.AnswerOptions{})
			_ = peer.Close()
		})
		all.Go(func() {
			for ctx.Err() == nil && peer.Send(wstest.TextFrame("text"), wstest.BinaryFrame(make([]byte, 20<<10))) == nil {
				time.Sleep(50 * time.Millisecond)
			}
		})
	}
	all.Go(func() {
		for n := 0; ctx.Err() == nil; n++ {
			if _, err := wstest.Dial(p.url(), wstest.DialOptions{Header: http.Header{"Origin": {"http://evil.example"}}}); err == nil {
				t.Error("a page of another origin was accepted")
			}
			peer, err := wstest.Dial(p.url(), wstest.DialOptions{})
			if err != nil {
				t.Error(err)
				return
			}
			if c, err := wstest.Dial(p.url()+"?close=4001", wstest.DialOptions{}); err != nil {
				t.Error(err)
			} else {
				_, _ = c.End(waitLimit)
				_ = c.Close()
			}
			if n%2 == 0 {
				_ = peer.Send(wstest.CloseFrame(1000, ""))
				_, _ = peer.End(waitLimit)
			}
			_ = peer.Close()
			time.Sleep(50 * time.Millisecond)
		}
	})
	return all.Wait
}

// TestPrometheus lets a Prometheus scrape a server with connections. Each query of the
// dashboard and each alert must be right, and each query must have data. A second
// Prometheus negotiates native histograms.
func TestPrometheus(t *testing.T) {
	testfull.Only(t, "two Prometheus scrape for some seconds")
	t.Parallel()
	const stay = 7
	p := startFor(t, "wsecho", "--admin-addr=127.0.0.1:0", "--ping-interval=500ms", "--ping-timeout=500ms", "--max-missed=1000000")
	ctx, cancel := context.WithCancel(context.Background())
	wait := p.traffic(t, ctx, stay)
	classic := startPrometheus(t, p.adminAddr(t))
	native := startPrometheus(t, p.adminAddr(t), "--enable-feature=native-histograms")

	// Each loop below ends when all queries have data.
	pending := dashboardQueries(t)
	if len(pending) < 30 {
		t.Errorf("the dashboard has only %d queries", len(pending))
	}
	last := map[string][]string{}
	for end := time.Now().Add(3 * waitLimit); len(pending) > 0; time.Sleep(500 * time.Millisecond) {
		pending = slices.DeleteFunc(pending, func(expr string) bool {
			values, err := classic.query(expr)
			if err != nil {
				t.Errorf("%s: %v", expr, err)
				return true
			}
			last[expr] = values
			return len(values) > 0 && !slices.Contains(values, "NaN")
		})
		if time.Now().After(end) {
			for _, expr := range pending {
				t.Errorf("no data: %s: %v", expr, last[expr])
			}
			break
		}
	}
	for expr, want := range map[string]string{
		"min_over_time(sum(wsecho_connections)[5s:500ms]) >= bool 7":                                               "1",
		"sum(rate(wsecho_endings_total[5s])) > bool 0":                                                             "1",
		`sum(rate(wsecho_handshakes_total{result="origin"}[5s])) > bool 0`:                                         "1",
		"histogram_quantile(0.5, sum by (le) (rate(wsecho_ping_rtt_seconds_bucket[5s]))) < bool 0.5":               "1",
		`sum(wsecho_messages_total{type="text"}) == bool 0`:                                                        "0",
		`count(wsecho_ping_rtt_seconds_bucket) > bool 5 and on() absent(histogram_count(wsecho_ping_rtt_seconds))`: "1",
	} {
		classic.want(t, expr, want)
	}

	native.want(t, "histogram_count(rate(wsecho_ping_rtt_seconds[5s])) > bool 0", "1")

	for end := time.Now().Add(waitLimit); !classic.alertsEvaluated(t); time.Sleep(200 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the alerts were not evaluated")
		}
	}
	cancel()
	wait()
	p.stop(t)
}

// TestProbePrometheus lets a Prometheus run the job of docs/probe.md. One target works, one
// refuses, one goes away, and no pattern allows another one.
func TestProbePrometheus(t *testing.T) {
	testfull.Only(t, "a Prometheus scrapes for some seconds")
	t.Parallel()
	page, err := os.ReadFile("../../docs/probe.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindSubmatch(page)
	if block == nil {
		t.Fatal("docs/probe.md has no job")
	}
	p := startFor(t, "wsecho", "--admin-addr=127.0.0.1:0", "--probe-target=127.0.0.1:*")
	works, refuses, leaves, other := p.url(), p.url()+"?status=503", p.url()+"?close=1001&after=100ms", strings.Replace(p.url(), "127.0.0.1", "127.0.0.2", 1)
	targets := ""
	for _, address := range []string{works, refuses, leaves, other} {
		targets += fmt.Sprintf("          - %q\n", address)
	}
	job := string(block[1])
	for _, change := range []struct{ old, new string }{
		{"          - wss://echo.example.com/\n          - wss://chat.example.com/socket\n", targets},
		{"127.0.0.1:9091", p.adminAddr(t)},
	} {
		if strings.Count(job, change.old) != 1 {
			t.Fatalf("the job of docs/probe.md does not have once: %q", change.old)
		}
		job = strings.Replace(job, change.old, change.new, 1)
	}
	scraping := runPrometheus(t, "2s", job)
	for expr, want := range map[string]string{
		fmt.Sprintf("probe_success{instance=%q}", works):                                              "1",
		fmt.Sprintf("probe_websocket_pongs_received{instance=%q}", works):                             "3",
		fmt.Sprintf("probe_success{instance=%q}", refuses):                                            "0",
		fmt.Sprintf("probe_websocket_status_code{instance=%q}", refuses):                              "503",
		fmt.Sprintf("probe_success{instance=%q}", leaves):                                             "0",
		fmt.Sprintf(`probe_websocket_ending_info{instance=%q,kind="going away",side="peer"}`, leaves): "1",
		fmt.Sprintf("up{instance=%q}", other):                                                         "0",
		`count(up{job="websockets"})`:                                                                 "4",
		`count(ALERTS{alertname="WebsocketDown"})`:                                                    "2",
	} {
		scraping.want(t, expr, want)
	}
	p.stop(t)
}

// alertsEvaluated reports whether each alert was evaluated. None may be wrong, and none may
// fire for a server that works.
func (p prometheus) alertsEvaluated(t *testing.T) bool {
	t.Helper()
	b, err := fetch(p.url + "rules")
	if err != nil {
		t.Fatal(err)
	}
	var answer struct {
		Data struct {
			Groups []struct {
				Rules []struct{ Name, Health, State, LastError string }
			}
		}
	}
	if err := json.Unmarshal(b, &answer); err != nil {
		t.Fatal(err)
	}
	evaluated, all := 0, 0
	for _, g := range answer.Data.Groups {
		for _, r := range g.Rules {
			if r.LastError != "" || r.Health == "err" || r.State == "firing" {
				t.Fatalf("%+v", r)
			}
			if all++; r.Health == "ok" {
				evaluated++
			}
		}
	}
	return evaluated == all && all > 0
}
