package e2e

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"example.com/wsecho/internal/command"
	"example.com/wsecho/internal/hostile"
	"example.com/wsecho/wstest"
)

// patience is how long a test waits for what takes a moment. The machine may be
// busy.
const patience = 30 * time.Second

// TestMain lets the test binary be wsecho, too, where it is called by that name,
// and peers of it that have to be processes of their own.
func TestMain(m *testing.M) {
	// Parallel tests wait for other processes most of the time.
	if err := flag.Set("test.parallel", "8"); err != nil {
		panic(err)
	}
	testscript.Main(wstest.Verified{M: m}, commands)
}

var commands = map[string]func(){"wsecho": func() { os.Exit(command.Main("")) }, "attack": attack}

// attack attacks the server whose address is the second argument in the way that
// the first one names, or in all that leave room for others, from as many
// connections as the third one says each, until stdin ends. When they have all
// been there it says so, and at the end how many there have been.
func attack() {
	conns, err := strconv.Atoi(os.Args[3])
	if err != nil {
		panic(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	var made atomic.Int64
	var want int64
	var attacks sync.WaitGroup
	for _, a := range hostile.Attacks() {
		if name := os.Args[1]; name == a.Name || name == "all" && a.Plain() {
			want += int64(conns)
			attacks.Go(func() { a.Run(ctx, os.Args[2], conns, &made) })
		}
	}
	for want > 0 && made.Load() < want && ctx.Err() == nil {
		time.Sleep(10 * time.Millisecond)
	}
	if want > 0 {
		fmt.Println("begun")
	}
	attacks.Wait()
	fmt.Println(made.Load())
}

// missing is for a test that cannot run here. It fails in CI, where everything
// is to be there.
func missing(t *testing.T, format string, args ...any) {
	t.Helper()
	why := fmt.Sprintf(format, args...)
	if os.Getenv("CI") != "" {
		t.Fatalf("CI is set, and yet this cannot be tested: %s", why)
	}
	t.Skipf("NOT TESTED HERE: %s", why)
}
