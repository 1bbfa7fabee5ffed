package systemd

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-systemd/v22/unit"

	"example.com/wsecho/internal/testfull"
	"example.com/wsecho/server"
)

// needs skips a test without a tool: see testfull.Missing.
func needs(t *testing.T, tools ...string) {
	t.Helper()
	for _, tool := range tools {
		if _, err := exec.LookPath(tool); err != nil {
			testfull.Missing(t, "%v", err)
		}
	}
}

// installed returns a root folder with this machine's units of systemd. The units of
// wsecho are where a package puts them. The replacements change their text.
func installed(t *testing.T, replacements ...string) string {
	t.Helper()
	root := t.TempDir()
	units := filepath.Join(root, "usr/lib/systemd/system")
	if err := os.CopyFS(units, os.DirFS("/usr/lib/systemd/system")); err != nil {
		t.Fatal(err)
	}
	for source, target := range map[string]string{
		"wsecho.socket": filepath.Join(units, "wsecho.socket"), "wsecho.service": filepath.Join(units, "wsecho.service"),
		"tls.conf": filepath.Join(root, "etc/systemd/system/wsecho.service.d/tls.conf"),
	} {
		text, err := os.ReadFile(source)
		if err != nil {
			t.Fatal(err)
		}
		write(t, target, strings.NewReplacer(replacements...).Replace(string(text)), 0o644)
	}
	for _, program := range []string{"usr/bin/wsecho", "usr/bin/kill"} {
		write(t, filepath.Join(root, program), "", 0o755) // its contents do not matter
	}
	return root
}

func write(t *testing.T, file, text string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

// TestVerify checks the units with systemd-analyze verify. It reports an unknown key only
// on its output.
func TestVerify(t *testing.T) {
	needs(t, "systemd-analyze")
	verify := func(root string) string {
		out, err := exec.CommandContext(t.Context(), "systemd-analyze", "verify", "--man=no", "--root="+root, "wsecho.socket", "wsecho.service").CombinedOutput()
		if err != nil {
			return string(out) + err.Error()
		}
		return string(out)
	}
	if out := verify(installed(t)); out != "" {
		t.Errorf("systemd-analyze verify: %s", out)
	}
	if out := verify(installed(t, "WatchdogSec", "WatchdogSecs")); !strings.Contains(out, "WatchdogSecs") {
		t.Errorf("systemd-analyze verify accepts a wrong key: %q", out)
	}
}

// TestSecurity checks that systemd rates the exposure of the service as at most 1.5 of 10.
func TestSecurity(t *testing.T) {
	needs(t, "systemd-analyze")
	rate := func(root string) ([]byte, error) {
		return exec.CommandContext(t.Context(), "systemd-analyze", "security", "--no-pager", "--offline=yes", "--threshold=15", "--root="+root, "wsecho.service").CombinedOutput()
	}
	if out, err := rate(installed(t)); err != nil {
		t.Errorf("%v:\n%s", err, out)
	}
	if out, err := rate(installed(t, "CapabilityBoundingSet=\n", "")); err == nil {
		t.Errorf("the rating does not depend on the capabilities:\n%s", out)
	}
}

// option returns the last value of an option of the service.
func option(t *testing.T, name string) (value string) {
	t.Helper()
	f, err := os.Open("wsecho.service")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	options, err := unit.DeserializeOptions(io.Reader(f))
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range options {
		if o.Section == "Service" && o.Name == name {
			value = o.Value
		}
	}
	if value == "" {
		t.Fatalf("the service has no %s", name)
	}
	return value
}

// TestLimits compares the limits of the unit with the defaults of the server.
func TestLimits(t *testing.T) {
	stop, err := time.ParseDuration(option(t, "TimeoutStopSec"))
	if err != nil {
		t.Fatal(err)
	}
	if least := server.DefaultDrainTimeout + 5*time.Second; stop < least {
		t.Errorf("TimeoutStopSec is %v, want at least the drain and some more, %v", stop, least)
	}
	files, err := strconv.Atoi(option(t, "LimitNOFILE"))
	if err != nil {
		t.Fatal(err)
	}
	if least := server.DefaultMaxConns + 1064; files < least { // connections that have not upgraded, and the reserve
		t.Errorf("LimitNOFILE is %d, want at least %d", files, least)
	}
}
