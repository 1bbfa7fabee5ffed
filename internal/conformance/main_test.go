package conformance_test

import (
	"context"
	"flag"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"example.com/wsecho/echo"
	"example.com/wsecho/internal/testfull"
	"example.com/wsecho/server"
	"example.com/wsecho/wstest"
)

var exhaustive = flag.Bool("exhaustive", false, "send as many messages as the Autobahn suite, and try longer tables, also with the race detector")

// sampled reports whether the tests send fewer and smaller messages and sample the long
// tables. The samples are fixed and contain each kind once.
func sampled() bool { return !*exhaustive && (raced || !testfull.Enabled()) }

func TestMain(m *testing.M) {
	flag.Parse()
	testfull.Parallel(8, 4)
	os.Exit(wstest.VerifyNoLeaks(m))
}

// soon bounds each wait of a test. A test that passes never waits that long.
const soon = time.Minute

// serve runs the echo server on loopback until the end of the test, with the options of
// the binary. It returns the URL.
func serve(tb testing.TB, o server.Options) string {
	tb.Helper()
	o.ParkAfter = 10 * time.Second
	budget, err := echo.NewBudget(256<<20, 16<<20, 0)
	if err != nil {
		tb.Fatal(err)
	}
	e := echo.Echo{Budget: budget}
	s, err := server.New(func(ctx context.Context, c *server.Conn) error { return e.Serve(ctx, c) }, o)
	if err != nil {
		tb.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, l) }()
	tb.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			tb.Errorf("Serve: %v", err)
		}
	})
	return "ws://" + l.Addr().String() + "/"
}

// sweep calls f with each item, four at a time, and reports at most 20 errors. It serves
// tables of thousands of items, for which subtests print too much.
func sweep[T any](t *testing.T, items []T, f func(T) error) {
	t.Helper()
	const workers, most = 4, 20
	var (
		group  sync.WaitGroup
		mu     sync.Mutex
		failed int
		queue  = make(chan T)
	)
	for range workers {
		group.Go(func() {
			for item := range queue {
				if err := f(item); err != nil {
					mu.Lock()
					if failed++; failed <= most {
						t.Error(err)
					}
					mu.Unlock()
				}
			}
		})
	}
	for _, item := range items {
		queue <- item
	}
	close(queue)
	group.Wait()
	if len(items) == 0 {
		t.Error("the table is empty")
	}
	if failed > most {
		t.Errorf("%d of %d items failed", failed, len(items))
	}
}
