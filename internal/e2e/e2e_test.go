package e2e

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

	"example.com/wsecho/internal/command"
	"example.com/wsecho/internal/hostile"
	"example.com/wsecho/internal/testfull"
	"example.com/wsecho/wstest"
)

// waitLimit bounds each wait of a test. A busy machine may need seconds for an event.
const waitLimit = 30 * time.Second

// TestMain runs wsecho, or a peer in another process, if the test binary is called by that
// name.
func TestMain(m *testing.M) {
	testfull.Parallel(12, 2)
	// The default address is in use if two servers run.
	if err := os.Setenv("WSECHO_ADMIN_ADDR", "off"); err != nil {
		panic(err)
	}
	testscript.Main(wstest.Verified{M: m}, commands)
}

var commands = map[string]func(){"wsecho": func() { os.Exit(command.Main("")) }, "attack": attack}

// attack attacks a server until stdin ends. Its arguments are the attack's name, the
// server's address, and the number of connections for each attack. The name "all" means
// all attacks that leave room for other clients. It prints a line when all connections
// have been opened, and at the end their total number.
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
