package proxies

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// TestFindIdle checks that wsecho probe finds the idle timeouts of nginx and HAProxy within
// 5 %. A busy machine may need a second attempt.
func TestFindIdle(t *testing.T) {
	t.Parallel()
	for _, k := range kinds() {
		if k.name != "nginx" && k.name != "haproxy" {
			continue
		}
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			s := start(t, k.flags("--ping-interval=off")...)
			p := k.serve(t, []*wsecho{s}, k.idle()...)
			var survived, failed float64
			for range 5 {
				survived, failed = findIdle(t, p.addr)
				if low, high := idleSeconds*0.95, idleSeconds*1.05; survived >= low && survived <= high && failed >= low && failed <= high {
					return
				}
			}
			t.Errorf("got %v to %v s, want %v s within 5 %%", survived, failed, idleSeconds)
		})
	}
}

// idleSeconds is the timeout of idle.
const idleSeconds = 3.0

// findIdle runs wsecho probe and returns the silence that a connection survived, and the
// one that ended a connection.
func findIdle(t *testing.T, addr string) (survived, failed float64) {
	t.Helper()
	began := time.Now()
	finder := run(t, t.TempDir(), "wsecho", "probe", "--find-idle-timeout", "--max-idle=6s", "--timeout=20s", "--json", "--quiet", "ws://"+addr+"/")
	finder.await(t, "it has finished", func() bool { return strings.Contains(finder.text(), "idle_summary") })
	t.Logf("measured: %v\n%s", time.Since(began).Round(time.Millisecond), finder.text())
	line, _, _ := strings.Cut(finder.text(), "\n")
	var r struct {
		Silent   string
		Survived float64 `json:"survived_seconds"`
		Failed   float64 `json:"failed_seconds"`
	}
	if err := json.Unmarshal([]byte(line), &r); err != nil || r.Silent != "both" {
		t.Fatalf("%v: %s", err, line)
	}
	return r.Survived, r.Failed
}
