package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"example.com/wsecho/internal/hostile"
	"example.com/wsecho/wstest"
)

// patience is how long a test waits for what takes a moment. The machine may be
// busy.
const patience = 30 * time.Second

// TestMain lets the test binary be wsecho, too, where it is called by that name,
// and peers of it that have to be processes of their own.
func TestMain(m *testing.M) {
	testscript.Main(wstest.Verified{M: m}, map[string]func(){"wsecho": main, "attack": attack, "answer": answer})
}

// attack attacks the server whose address is the second argument in the way that
// the first one names, or in all that leave room for others, from as many
// connections as the third one says each, until stdin ends. When they have all
// been there it says so.
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
		if name := os.Args[1]; name == a.Name || name == "all" && !a.Full {
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
}

// answer is a good client of the server whose URL is the argument, until either
// ends. When it is there it says so.
func answer() {
	p, err := wstest.Dial(os.Args[1], wstest.DialOptions{Timeout: patience})
	if err != nil {
		panic(err)
	}
	fmt.Println("connected")
	_, _ = p.Answer(context.Background(), wstest.AnswerOptions{})
	_ = p.Close()
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
