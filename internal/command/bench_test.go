package command

import (
	"encoding/pem"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"example.com/wsecho/load"
	"example.com/wsecho/wstest"
)

// parsedBench returns the flags of wsecho bench for one URL.
func parsedBench(t *testing.T, args ...string) *benchCommand {
	t.Helper()
	return &parse(t, append(append([]string{"bench"}, args...), "ws://127.0.0.1/")...).Bench
}

func planOf(t *testing.T, args ...string) load.Plan {
	t.Helper()
	p, err := parsedBench(t, args...).plan()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestBenchDefaults compares the defaults in the help with those of package load.
func TestBenchDefaults(t *testing.T) {
	got := planOf(t)
	want := load.Plan{
		Connections: load.DefaultConnections,
		Size:        load.DefaultSize,
		Duration:    load.DefaultDuration,
		Warmup:      load.DefaultWarmup,
		Rounds:      load.DefaultRounds,
		Timeout:     load.DefaultTimeout,
		Header:      got.Header,
		TLS:         got.TLS,
	}
	if !reflect.DeepEqual(got, want) || len(got.Header) != 0 || got.TLS.InsecureSkipVerify || got.TLS.RootCAs != nil {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if got := planOf(t, "--size=0", "--warmup=off"); got.Size >= 0 || got.Warmup >= 0 {
		t.Errorf("--size=0 and --warmup=off set %d and %v, want negative numbers, because 0 is the default", got.Size, got.Warmup)
	}
}

// TestBenchOptions checks that each flag sets one field of the plan. Each field has a flag
// or is listed without one.
func TestBenchOptions(t *testing.T) {
	set := map[string]string{
		"--connections": "7", "--size": "7", "--in-flight": "7", "--rate": "7", "--skip-greeting": "2", "--binary": "true", "--compression": "true",
		"--duration": "7s", "--warmup": "7s", "--rounds": "7", "--timeout": "7s", "--subprotocol": "chat", "--header": "A: b, c",
		"--insecure": "true",
	}
	without := []string{"Progress", "Measuring"} // for Go programs only
	defaults := reflect.ValueOf(planOf(t))
	for i := range defaults.NumField() {
		option := defaults.Type().Field(i).Name
		flag := benchFlags[option]
		if slices.Contains(without, option) {
			continue
		}
		if set[flag] == "" {
			t.Errorf("%s has no flag", option)
			continue
		}
		got := reflect.ValueOf(planOf(t, flag+"="+set[flag]))
		for j := range got.NumField() {
			changed := !reflect.DeepEqual(got.Field(j).Interface(), defaults.Field(j).Interface())
			if changed != (j == i) {
				t.Errorf("%s: %s changed: %v", flag, got.Type().Field(j).Name, changed)
			}
		}
		delete(set, flag)
	}
	for flag := range set {
		t.Errorf("the flag %s sets nothing", flag)
	}
	header := planOf(t, "--header=A: b, c", "--header=a:d", "--origin=https://example.com").Header
	if want := (map[string][]string{"A": {"b, c", "d"}, "Origin": {"https://example.com"}}); !reflect.DeepEqual(map[string][]string(header), want) {
		t.Errorf("the header is %v, want %v", header, want)
	}
}

// TestCommandVariables checks that each flag of the other commands has a variable of its
// own.
func TestCommandVariables(t *testing.T) {
	var line commandLine
	parser, err := kong.New(&line, kong.DefaultEnvars("WSECHO"))
	if err != nil {
		t.Fatal(err)
	}
	commands := 0
	for _, command := range parser.Model.Children {
		if command == parser.Model.DefaultCmd || len(command.Flags) == 0 {
			continue
		}
		commands++
		for _, flag := range command.Flags {
			want := "WSECHO_" + strings.ToUpper(command.Name) + "_" + strings.ToUpper(strings.ReplaceAll(flag.Name, "-", "_"))
			if !slices.Equal(flag.Envs, []string{want}) {
				t.Errorf("--%s has the variables %q, want %s", flag.Name, flag.Envs, want)
			}
		}
	}
	if commands != 5 {
		t.Errorf("got %d further subcommands, want 5", commands)
	}
}

// TestBenchTLS checks that bench verifies certificates, and that --insecure and --ca change the check.
func TestBenchTLS(t *testing.T) {
	url := wstest.ServeTLS(t, wstest.Echo)
	config, _ := wstest.TLS()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: config.Certificates[0].Certificate[0]})
	if err := os.WriteFile(ca, block, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		flag string
		code int
		want string
	}{
		{"--quiet", 1, "TLS failed: .*certificate"},
		{"--insecure", 0, "every byte correct"},
		{"--ca=" + ca, 0, "every byte correct"},
	} {
		var out strings.Builder
		args := []string{"bench", "--rounds=1", "--warmup=off", "--duration=50ms", "--timeout=1m", "--connections=2", test.flag, url}
		if code := Run(t.Context(), "", args, &out, &out); code != test.code || !regexp.MustCompile(test.want).MatchString(out.String()) {
			t.Errorf("%s: exit code %d, want %d and %q: %s", test.flag, code, test.code, test.want, &out)
		}
	}
}
