package wstest

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// tests is an M.
type tests func() int

func (t tests) Run() int { return t() }

func leakyGoroutine(c chan bool) {
	c <- true // its stack has its name from now on
	<-c
}

func TestVerify(t *testing.T) {
	var leaked []chan bool
	defer func() {
		for _, c := range leaked {
			close(c)
		}
	}()
	late := func() int {
		go time.Sleep(20 * time.Millisecond)
		return 0
	}
	leaky := func(code int) func() int {
		return func() int {
			c := make(chan bool)
			go leakyGoroutine(c)
			<-c
			leaked = append(leaked, c)
			return code
		}
	}
	const short = 100 * time.Millisecond
	for _, test := range []struct {
		name  string
		run   tests
		grace time.Duration
		code  int
		want  string
	}{
		{"nothing", func() int { return 0 }, leakGrace, 0, ""},
		{"gone in time", late, leakGrace, 0, ""},
		{"goroutine", leaky(0), short, 1, "leakyGoroutine"},
		{"tests have failed", leaky(3), short, 3, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			var stderr bytes.Buffer
			if got := verify(test.run, test.grace, &stderr); got != test.code {
				t.Errorf("got exit code %d, want %d", got, test.code)
			}
			if got := stderr.String(); !strings.Contains(got, test.want) || test.want == "" && got != "" {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestIsOutput(t *testing.T) {
	name := flag.Lookup("test.cpuprofile").Value.String()
	if name == "" {
		if err := flag.Set("test.cpuprofile", "some.pgo"); err != nil {
			t.Fatal(err)
		}
		defer flag.Set("test.cpuprofile", "")
		name = "some.pgo"
	}
	for file, want := range map[string]bool{"/somewhere/" + filepath.Base(name): true, "/somewhere/else": false, "pipe:[1]": false} {
		if got := isOutput("test.cpuprofile", file); got != want {
			t.Errorf("%s: got %v", file, got)
		}
	}
	if isOutput("test.no-such-flag", "/") {
		t.Error("got true for an unknown flag")
	}
}

func TestVerifyDescriptors(t *testing.T) {
	if len(openDescriptors()) == 0 {
		t.Skip("no /proc/self/fd here")
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	var leak *os.File
	var stderr bytes.Buffer
	code := verify(tests(func() int {
		r.Close()
		leak, _ = os.Open(os.DevNull)
		return 0
	}), 20*time.Millisecond, &stderr)
	defer leak.Close()
	if code != 1 || !strings.Contains(stderr.String(), os.DevNull) {
		t.Errorf("got %d, %q, want 1 and %s", code, &stderr, os.DevNull)
	}
}
