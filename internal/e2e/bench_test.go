//go:build unix

package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"example.com/wsecho/load"
)

// TestBenchInterrupted: on Ctrl-C bench prints the results so far, without a failure.
func TestBenchInterrupted(t *testing.T) {
	t.Parallel()
	server := startFor(t, "wsecho")
	cmd := exec.Command("wsecho", "bench", "--duration=1h", "--connections=4", "--json", server.url())
	var stdout bytes.Buffer
	cmd.Stdout = &stdout
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stuck := time.AfterFunc(2*waitLimit, func() { _ = cmd.Process.Kill() })
	defer stuck.Stop()
	// The first progress line is printed after one or two seconds.
	lines := bufio.NewScanner(stderr)
	if !lines.Scan() || !strings.HasPrefix(lines.Text(), "round 1 of 5  ws://") {
		t.Errorf("%q and no progress: %v", lines.Text(), lines.Err())
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	for lines.Scan() {
		if !strings.HasPrefix(lines.Text(), "round 1 of 5  ws://") {
			t.Errorf("got the line %q, want progress", lines.Text())
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	var r load.Report
	if err := json.Unmarshal(stdout.Bytes(), &r); err != nil {
		t.Fatalf("%v in %s", err, &stdout)
	}
	if !r.Interrupted || !r.OK() || len(r.Targets[0].Rounds) != 1 || r.Targets[0].Rounds[0].Messages == 0 {
		t.Errorf("%s", &stdout)
	}
	server.stop(t)
	server.logged(t, "msg=ended kind=normal by=peer gone=false code=1000")
}
