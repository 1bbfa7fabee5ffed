package command

import (
	"errors"
	"log/slog"
	"math"
	"os"
	"runtime"
	"runtime/debug"

	"github.com/KimMachineGun/automemlimit/memlimit"

	"example.com/wsecho/internal/listener"
	"example.com/wsecho/server"
)

// plainMemory and tlsMemory are the bytes that an idle connection takes. They include the
// kernel's part, and garbage that is not collected yet. docs/limits.md has the measurements.
const (
	plainMemory = 16 << 10
	tlsMemory   = 40 << 10
)

// A container has the limits of the cgroup that the process runs in. The zero value has no
// limit. GOMAXPROCS needs nothing here: Go's runtime follows the limit of processor time.
type container struct {
	memory int64 // in bytes; 0 is no limit
	each   int64 // of an idle connection, in bytes
}

// readContainer reads the limits at start. Later changes have no effect. With withTLS the
// connections take more.
func readContainer(log *slog.Logger, withTLS bool) container {
	limit, err := memlimit.FromCgroup()
	switch {
	case errors.Is(err, memlimit.ErrNoLimit), errors.Is(err, memlimit.ErrNoCgroup), errors.Is(err, memlimit.ErrCgroupsNotSupported):
		return container{}
	case err != nil:
		log.Warn("the memory limit of the container cannot be read, so the server does not follow it", "error", err)
		return container{}
	case limit > math.MaxInt64/2: // the kernel's "unlimited" of version 1
		return container{}
	}
	if withTLS {
		return container{int64(limit), tlsMemory}
	}
	return container{int64(limit), plainMemory}
}

// goMemory returns the limit for Go's runtime: 80 % of the container. The rest is for the
// kernel: sockets, their buffers, and pages of the binary.
func (c container) goMemory() int64 { return c.memory / 10 * 8 }

// maxConns returns how many connections fit into half of the memory, but at least 1. The
// other half is for messages, buffers and bursts of handshakes.
func (c container) maxConns() int {
	if c.memory == 0 {
		return math.MaxInt
	}
	return max(1, int(c.memory/2/c.each))
}

// defaultMaxConns returns the limit of connections unless the flag sets one.
func (c container) defaultMaxConns() int {
	return min(listener.MaxConns(server.DefaultMaxConns), c.maxConns())
}

// setMemoryLimit gives Go's runtime its limit, unless GOMEMLIMIT has done so.
func (c container) setMemoryLimit() {
	if c.memory > 0 && os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(c.goMemory() + int64(len(ballast))) // the ballast counts there and takes no memory
	}
}

// report logs the limits, and which flags ask for more than they allow.
func (c container) report(log *slog.Logger, f *serveCommand, maxConns int) {
	if c.memory == 0 {
		return
	}
	log.Info("memory of the container is limited", "limit_bytes", c.memory,
		"go_limit_bytes", debug.SetMemoryLimit(-1)-int64(len(ballast)), "max_procs", runtime.GOMAXPROCS(0), "max_conns", maxConns)
	if int(f.MaxConns) > c.maxConns() || f.MaxConns == off {
		log.Warn("the memory of the container may not be enough for as many connections", "flag", "--max-conns", "value", int(f.MaxConns), "enough_for", c.maxConns())
	}
	if int64(f.MemoryBudget) > c.memory/2 {
		log.Warn("the memory budget is more than half of the container's memory", "flag", "--memory-budget", "budget_bytes", int64(f.MemoryBudget), "limit_bytes", c.memory)
	}
}
