package console_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"example.com/wsecho/fault"
	"example.com/wsecho/internal/testfull"
)

// TestFaultForm compares what the form accepts with what package fault accepts.
func TestFaultForm(t *testing.T) {
	t.Parallel()
	node, err := exec.LookPath("node")
	if err != nil {
		testfull.Missing(t, "%v; install Node.js", err)
	}
	accepts := fault.PerConn(nil, fault.Options{MaxHold: time.Minute})
	cases := queries()
	var input, want bytes.Buffer
	lines := json.NewEncoder(&input)
	parameters := make([]map[string]string, 0)
	for _, p := range fault.Parameters() {
		parameters = append(parameters, map[string]string{"name": p.Name, "valid": p.Valid})
	}
	if err := lines.Encode(parameters); err != nil {
		t.Fatal(err)
	}
	for _, query := range cases {
		if err := lines.Encode(query); err != nil {
			t.Fatal(err)
		}
		values := url.Values{}
		for _, pair := range query {
			values.Set(pair[0], pair[1])
		}
		request := httptest.NewRequest("GET", "/?"+values.Encode(), nil)
		_, err := accepts(request)
		// A fault that refuses or holds the handshake is right too.
		right := err == nil || strings.Contains(err.Error(), "was requested") || strings.Contains(err.Error(), "has disconnected")
		fmt.Fprintln(&want, right)
	}
	check := exec.CommandContext(t.Context(), node, "test/check.js")
	check.Stdin, check.Stderr = &input, os.Stderr
	got, err := check.Output()
	if err != nil {
		t.Fatal(err)
	}
	gotLines, wantLines := strings.Fields(string(got)), strings.Fields(want.String())
	if len(gotLines) != len(wantLines) {
		t.Fatalf("got %d verdicts, want %d", len(gotLines), len(wantLines))
	}
	right := 0
	for i, verdict := range wantLines {
		if verdict == "true" {
			right++
		}
		if gotLines[i] != verdict {
			t.Errorf("%v: the form says %s, and package fault %s", cases[i], gotLines[i], verdict)
		}
	}
	if right < 100 || len(cases)-right < 100 {
		t.Errorf("%d of %d queries are right", right, len(cases))
	}
}

// queries returns each parameter with each value, and random pairs.
func queries() [][][2]string {
	values := []string{
		"", "0", "1", "2", "10", "299", "300", "503", "599", "600", "999", "1000", "1003", "1004", "1005", "1006", "1007", "1014", "1015", "2999", "3000", "4999", "5000",
		"1000000", "1000001", "16777216", "16777217", "-1", "+1", "1.5", "1e3", "0x10", " 1", "١",
		"1ms", "9ms", "10ms", "999us", "1s", "1.5s", "1.s", ".5s", "1m30s", "1m", "1h", "1h1ns", "+1s", "-1s", "1", "s", "1 s", "1d", "100µs", "3600s",
		"fin", "rst", "bad", "wrong", "off", "other", "stall", "all", "FIN", "fin or rst", "late", "late:", "late:2s", "late:2", "late:2h", "slow:", "slow:1", "slow:1B/s", "slow:0B/s",
		"slow:1KiB/s", "slow:1GiB/s", "slow:2GiB/s", "slow:1073741825B/s", "slow:1kB/s", "slow:1KB/s", "slow:5MB/s", "slow:1GB/s", "slow:1.5KiB/s", "1KiB/s", "slow:1KiB",
		"bye", strings.Repeat("x", 32), strings.Repeat("1", 33), strings.Repeat("é", 61), strings.Repeat("é", 62), "<b>&=?#",
	}
	var all [][][2]string
	parameters := fault.Parameters()
	for _, p := range parameters {
		for _, v := range values {
			if p.Name == "hold" && slices.Contains([]string{"1s", "1.5s", "1.s", ".5s", "1m30s", "1m", "+1s"}, v) {
				continue // package fault would wait
			}
			query := [][2]string{{p.Name, v}}
			switch _, beside, _ := strings.Cut(p.Valid, "beside "); {
			case strings.HasPrefix(beside, "close"):
				query = append(query, [2]string{"close", "1000"})
			case strings.HasPrefix(beside, "send"):
				query = append(query, [2]string{"send", "2"})
			}
			all = append(all, query)
		}
	}
	right := map[string]string{"close": "4000", "reason": "x", "drop": "fin", "truncate": "1", "garbage": "1", "utf8": "bad", "after": "2", "send": "3", "every": "1s", "delay": "1ms", "pong": "off"}
	random := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		var query [][2]string
		for _, p := range parameters {
			if v, ok := right[p.Name]; ok && random.IntN(4) == 0 {
				query = append(query, [2]string{p.Name, v})
			}
		}
		if query != nil {
			all = append(all, query)
		}
	}
	return all
}

// TestPlotLibrary checks that the plot library is that of the npm package, unchanged.
func TestPlotLibrary(t *testing.T) {
	t.Parallel()
	const installed = "node_modules/uplot"
	if _, err := os.Stat(installed); err != nil {
		testfull.Missing(t, "%v; run npm ci in console/", err)
	}
	for own, theirs := range map[string]string{"LICENSE.txt": "LICENSE", "uPlot.iife.min.js": "dist/uPlot.iife.min.js", "uPlot.min.css": "dist/uPlot.min.css"} {
		got, err := os.ReadFile(filepath.Join("assets/vendor/uplot", own))
		if err != nil {
			t.Fatal(err)
		}
		want, err := os.ReadFile(filepath.Join(installed, theirs))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s differs from %s of the package", own, theirs)
		}
	}
	page, err := os.ReadFile("assets/index.html")
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := os.ReadFile(installed + "/package.json")
	if err != nil {
		t.Fatal(err)
	}
	var version struct{ Version string }
	if err := json.Unmarshal(manifest, &version); err != nil {
		t.Fatal(err)
	}
	if want := "uPlot " + version.Version + ", MIT"; !bytes.Contains(page, []byte(want)) {
		t.Errorf("index.html does not name %s", want)
	}
}
