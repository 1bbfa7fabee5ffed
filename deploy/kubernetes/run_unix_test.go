//go:build unix

package kubernetes

import (
	"bytes"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// waitLimit bounds each wait of a test.
const waitLimit = 60 * time.Second

// A running is a wsecho with the arguments and variables of the container.
type running struct {
	cmd   *exec.Cmd
	log   *output
	addr  string
	ended chan error
}

// An output collects stderr while the test reads it.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// run starts the container's command. Only its ports and the drain delay differ.
func run(t *testing.T, c corev1.Container, replace ...string) *running {
	t.Helper()
	program := filepath.Join(t.TempDir(), "wsecho")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-C", "../..", "-pgo=off", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	args, used := strings.Split(strings.NewReplacer(replace...).Replace(strings.Join(c.Args, "\x00")), "\x00"), 0
	for i, arg := range args {
		if arg != c.Args[i] {
			used++
		}
	}
	if used != len(replace)/2 {
		t.Fatalf("got %q, want %d replacements in it", args, len(replace)/2)
	}
	r := &running{cmd: exec.Command(program, args...), log: new(output), ended: make(chan error, 1)}
	for _, e := range c.Env {
		r.cmd.Env = append(r.cmd.Env, e.Name+"="+e.Value)
	}
	if r.cmd.Env == nil {
		t.Fatal("the container has no variables")
	}
	r.cmd.Stderr = r.log
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { r.ended <- r.cmd.Wait() }()
	t.Cleanup(func() {
		_ = r.cmd.Process.Kill() // an error means that it has ended
		r.ended <- <-r.ended
		if t.Failed() {
			t.Logf("the log:\n%s", r.log)
		}
	})
	listening := regexp.MustCompile(`"msg":"listening","addr":"([^"]+)"`)
	r.await(t, "the server listens", func() bool {
		if m := listening.FindStringSubmatch(r.log.String()); m != nil {
			r.addr = m[1]
		}
		return r.addr != ""
	})
	return r
}

// await waits for a condition while the process runs.
func (r *running) await(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for end := time.Now().Add(waitLimit); !condition(); time.Sleep(10 * time.Millisecond) {
		select {
		case err := <-r.ended:
			r.ended <- err
			t.Fatalf("the process ended before %s: %v", what, err)
		default:
		}
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", waitLimit, what)
		}
	}
}

// get returns the status of a GET.
func get(t *testing.T, url string) (status int, body string) {
	t.Helper()
	client := http.Client{Timeout: waitLimit, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// TestRun starts the program with the container's arguments and variables. It sends the
// requests of the probes, and stops the program as Kubernetes does.
func TestRun(t *testing.T) {
	o := build(t, base)
	c := o.container(t)
	r := run(t, c, "--addr=:8080", "--addr=127.0.0.1:0", "--admin-addr=:9090", "--admin-addr=127.0.0.1:0", "--drain-delay=10s", "--drain-delay=6s")
	for _, probe := range []*corev1.Probe{c.StartupProbe, c.LivenessProbe, c.ReadinessProbe} {
		if status, body := get(t, "http://"+r.addr+probe.HTTPGet.Path); status != http.StatusOK {
			t.Errorf("%s: got %d %s, want 200", probe.HTTPGet.Path, status, body)
		}
	}
	// The HorizontalPodAutoscaler's metric is a gauge on the page that the ServiceMonitor names.
	var admin []string
	r.await(t, "the admin port is served", func() bool {
		admin = regexp.MustCompile(`"msg":"serving metrics","addr":"([^"]+)"`).FindStringSubmatch(r.log.String())
		return admin != nil
	})
	gauge := "# TYPE " + o.scaler.Spec.Metrics[0].Pods.Metric.Name + " gauge\n"
	if status, body := get(t, "http://"+admin[1]+o.monitor.Spec.Endpoints[0].Path); status != http.StatusOK || !strings.Contains(body, gauge) {
		t.Errorf("got %d without %q from the admin port:\n%s", status, gauge, body)
	}
	if err := r.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	r.await(t, "the drain delay begins", func() bool { return strings.Contains(r.log.String(), "draining soon") })
	if status, _ := get(t, "http://"+r.addr+c.ReadinessProbe.HTTPGet.Path); status != http.StatusServiceUnavailable {
		t.Errorf("got %d from the readiness probe in the drain delay, want 503", status)
	}
	if status, _ := get(t, "http://"+r.addr+c.LivenessProbe.HTTPGet.Path); status != http.StatusOK {
		t.Errorf("got %d from the liveness probe in the drain delay, want 200", status)
	}
	select {
	case err := <-r.ended:
		r.ended <- err
		if err != nil {
			t.Error(err)
		}
	case <-time.After(waitLimit):
		t.Error("the process did not end")
	}
	if regexp.MustCompile(`"level":"(WARN|ERROR)"`).MatchString(r.log.String()) {
		t.Errorf("got a warning in the log:\n%s", r.log)
	}
}
