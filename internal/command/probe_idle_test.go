package command

import (
	"context"
	"encoding/json"
	"regexp"
	"strings"
	"testing"
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

// TestProbeIdle checks both forms of the result.
func TestProbeIdle(t *testing.T) {
	t.Parallel()
	url := wstest.Serve(t, idleFor(2*time.Second))
	code, stdout, stderr := ran(t, "probe", "--find-idle-timeout", "--max-idle=5s", "--timeout=30s", url)
	for _, line := range []string{`(?m)^both silent +survived .*, ended after .* when the connection was closed$`, `(?m)^server silent survived .*, ended after .* when the connection was closed$`, `(?m)^recommended ping interval: \S+s or less$`} {
		if !regexp.MustCompile(line).MatchString(stdout) {
			t.Errorf("no %s in\n%s", line, stdout)
		}
	}
	if code != 0 || !strings.Contains(stderr, ": both silent: survived ") || !strings.Contains(stderr, ": server silent: survived ") {
		t.Errorf("exit code %d\n%s", code, stderr)
	}
	code, stdout, stderr = ran(t, "probe", "--find-idle-timeout", "--max-idle=5s", "--json", "--quiet", "--timeout=30s", url)
	lines := strings.Split(strings.TrimSpace(stdout), "\n")
	if code != 0 || len(lines) != 3 || stderr != "" {
		t.Fatalf("exit code %d\n%s%s", code, stdout, stderr)
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
		"deadline":  {[]string{"--deadline=1s", echo}, 1, "not finished"},
		"two URLs":  {[]string{echo, echo}, 2, "--find-idle-timeout: there must be one URL"},
		"short":     {[]string{"--max-idle=10ms", echo}, 2, "--max-idle: 10ms is not from 1s"},
	} {
		if code, stdout, stderr := ran(t, append([]string{"probe", "--find-idle-timeout"}, test.args...)...); code != test.code || !strings.Contains(stderr, test.stderr) {
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
