package command

import (
	"context"
	"encoding/json"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"example.com/wsecho/probe"
	"example.com/wsecho/wstest"
)

// idleFor is a server that closes a connection when no ping was received for a time.
func idleFor(limit time.Duration) func(*wstest.Peer) {
	return func(p *wstest.Peer) {
		timer := time.AfterFunc(limit, func() { p.Close() })
		defer timer.Stop()
		_, _ = p.Answer(context.Background(), wstest.AnswerOptions{Each: func(f wstest.Frame) {
			if f.Opcode == wstest.Ping {
				timer.Reset(limit)
			}
		}})
	}
}

// TestProbeIdle checks both forms of the result, in synthetic time.
func TestProbeIdle(t *testing.T) {
	synctest.Test(t, testProbeIdle)
}

func testProbeIdle(t *testing.T) {
	found := func(args ...string) (stdout, stderr string, err error) {
		args = append([]string{"probe", "--proxy=none", "--find-idle-timeout", "--max-idle=5s"}, args...)
		f := parse(t, append(args, "ws://a.example/")...).Probe
		jobs, err := f.jobs()
		if err != nil {
			t.Fatal(err)
		}
		jobs[0].options.Connect.DialContext = dialBuffered(idleFor(2 * time.Second))
		var out, errs strings.Builder
		err = f.findIdle(t.Context(), streams{&out, &errs}, jobs[0])
		return out.String(), errs.String(), err
	}
	stdout, stderr, err := found()
	for _, line := range []string{`(?m)^both silent +survived .*, ended after .* when the connection was closed$`, `(?m)^server silent survived .*, ended after .* when the connection was closed$`, `(?m)^recommended ping interval: \S+s or less$`} {
		if !regexp.MustCompile(line).MatchString(stdout) {
			t.Errorf("no %s in\n%s", line, stdout)
		}
	}
	if err != nil || !strings.Contains(stderr, ": both silent: survived ") || !strings.Contains(stderr, ": server silent: survived ") {
		t.Errorf("got %v\n%s", err, stderr)
	}
	stdout, stderr, err = found("--json", "--quiet")
	lines := strings.Split(strings.TrimSpace(stdout), "\n")
	if err != nil || len(lines) != 3 || stderr != "" {
		t.Fatalf("got %v\n%s%s", err, stdout, stderr)
	}
	for i, silent := range []string{"both", "server"} {
		var l idleLine
		if err := json.Unmarshal([]byte(lines[i]), &l); err != nil || l.Event != "idle" || l.Silent != silent || l.Survived <= 0 || l.Failed <= l.Survived || !l.Seen {
			t.Errorf("%v: %s", err, lines[i])
		}
	}
	var s idleSummary
	if err := json.Unmarshal([]byte(lines[2]), &s); err != nil || s.Event != "idle_summary" || s.Interval <= 0 {
		t.Errorf("%v: %s", err, lines[2])
	}
}

// TestIdleProgress: a search that learns nothing for a long time prints lines too. The first
// silence that survives may last for minutes.
func TestIdleProgress(t *testing.T) {
	t.Parallel()
	silent := wstest.ServeRaw(t, nil, func(p *wstest.Peer) { _, _ = p.End(waitLimit) }) // so no silence begins
	for _, form := range []string{"--json=false", "--json", "--quiet"} {
		ctx, cancel := context.WithCancel(t.Context())
		lines := &lineCounter{most: 4, full: cancel}
		if form == "--quiet" {
			time.AfterFunc(200*time.Millisecond, cancel)
		}
		f := parse(t, "probe", "--find-idle-timeout", "--timeout=30s", form, silent).Probe
		f.idleTick = 10 * time.Millisecond
		var stdout strings.Builder
		err := f.Run(ctx, streams{&stdout, lines}, nil)
		want := "both silent: nothing is known yet\n"
		if form == "--quiet" {
			want = ""
		}
		if got := lines.String(); err == nil || !strings.Contains(got, want) || (want == "") != (got == "") || (stdout.Len() == 0) != (form != "--json") {
			t.Errorf("%s: %v\n%s%s", form, err, got, &stdout)
		}
	}
}

// TestIdleTicks: a search gets a line if it had none for a whole tick and has not ended.
func TestIdleTicks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var out strings.Builder
		p := newIdleProgress(&out, 0, []probe.IdleResult{{}, {Silent: probe.ServerSilent}})
		var running sync.WaitGroup
		running.Go(func() { p.run(ctx) })
		time.Sleep(20 * time.Second)
		p.changed(0, probe.IdleResult{Survived: 20 * time.Second})
		p.changed(0, probe.IdleResult{Survived: 20 * time.Second, Trials: 2})
		time.Sleep(26 * time.Second)
		p.end(1)
		time.Sleep(15 * time.Second)
		cancel()
		running.Wait()
		const want = `after 20.0 s: both silent: survived 20.0 s, and nothing has ended
after 30.0 s: server silent: nothing is known yet
after 45.0 s: both silent: survived 20.0 s, and nothing has ended
after 45.0 s: server silent: nothing is known yet
after 60.0 s: both silent: survived 20.0 s, and nothing has ended
`
		if out.String() != want {
			t.Errorf("got\n%swant\n%s", &out, want)
		}
	})
}

// A lineCounter keeps what is written, and calls full when it has most lines.
type lineCounter struct {
	most int
	full func()

	mu   sync.Mutex
	text strings.Builder
}

func (c *lineCounter) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.text.Write(b)
	if strings.Count(c.text.String(), "\n") >= c.most {
		c.full()
	}
	return len(b), nil
}

func (c *lineCounter) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.text.String()
}

// TestProbeIdleFails checks the exit codes.
func TestProbeIdleFails(t *testing.T) {
	t.Parallel()
	echo := wstest.Serve(t, wstest.Echo)
	for name, test := range map[string]struct {
		args   []string
		code   int
		stderr string
	}{
		"no server": {[]string{"ws://127.0.0.1:1/"}, 3, "cannot connect"},
		"deadline":  {[]string{"--deadline=3s", echo}, 1, "not finished"},
		"two URLs":  {[]string{echo, echo}, 2, "--find-idle-timeout: there must be one URL"},
		"short":     {[]string{"--max-idle=10ms", echo}, 2, "--max-idle: 10ms is not from 1s"},
	} {
		if code, stdout, stderr := ran(t, append([]string{"probe", "--find-idle-timeout"}, test.args...)...); code != test.code || !strings.Contains(stderr, test.stderr) || strings.Contains(stdout, "--max-idle") || (stdout == "") != (name != "deadline") {
			t.Errorf("%s: exit code %d, want %d\n%s%s", name, code, test.code, stdout, stderr)
		}
	}
}

// TestSuspects checks which timeouts have a usual suspect, and the recommended interval.
func TestSuspects(t *testing.T) {
	second := time.Second
	for _, test := range []struct {
		survived, failed time.Duration
		suspects         string
		interval         time.Duration
	}{
		{59 * second, 60 * second, "60.0 s: nginx (proxy_read_timeout) or an AWS Application Load Balancer", 29 * second},
		{99 * second, 101 * second, "100 s: Cloudflare", 49 * second},
		{345 * second, 351 * second, "350 s: an AWS Network Load Balancer or NAT gateway", 172 * second},
		{75 * second, 76 * second, "", 37 * second},
		{600 * second, 0, "", 0},
		{11 * second, 221 * second, "", 5 * second}, // interrupted
		{3 * second, 3100 * time.Millisecond, "", 1500 * time.Millisecond},
	} {
		r := probe.IdleResult{Survived: test.survived, Failed: test.failed}
		if got := strings.Join(suspectsFor(r), ", "); got != test.suspects {
			t.Errorf("%v: got %q, want %q", test.failed, got, test.suspects)
		}
		if got := probe.PingInterval(r, probe.IdleResult{Survived: time.Hour}); got != test.interval {
			t.Errorf("%v: got the interval %v, want %v", test.failed, got, test.interval)
		}
	}
	if got := probe.PingInterval(); got != 0 {
		t.Errorf("got %v", got)
	}
}

// TestIdleSummary checks the sentence for a result without a recommendation.
func TestIdleSummary(t *testing.T) {
	for want, r := range map[string]probe.IdleResult{
		"no silence was survived": {Failed: 100 * time.Millisecond},
		"no idle timeout":         {Survived: time.Minute},
	} {
		if got := new(probeCommand).idleSummaryText(&probeJob{}, []probe.IdleResult{r}); !strings.HasPrefix(got, want) {
			t.Errorf("got %q, want %s", got, want)
		}
	}
}
