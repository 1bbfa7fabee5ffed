package e2e

import (
	"crypto/tls"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/wsecho/internal/hostile"
	"example.com/wsecho/internal/testfull"
	"example.com/wsecho/wstest"
)

// quietTime and attackTime are the durations of the measurements of a good client, before
// and during an attack.
const (
	quietTime  = forceTime / 2
	attackTime = forceTime
)

// tries is the maximum number of tries for one attack. A busy machine may violate one limit
// in one try and another limit in the next. A fault of the server violates the same limit in
// every try.
const tries = 3

// TestFullForce attacks the command from two hundred connections, with each attack. The
// p99 of a good client stays under five times its value without an attack. The memory
// has a bound, every line of the log is well formed, and the attack leaves no resources.
//
// The test measures the server's fairness, not the machine's. So the attackers are a
// process with the lowest priority. The good client has a real-time priority if that is
// allowed. A second server, which is not attacked, gives the latency on the same busy
// machine.
func TestFullForce(t *testing.T) {
	testfull.Only(t, "29 attacks at full force take two minutes")
	dir := t.TempDir()
	program := filepath.Join(dir, "observed")
	// The attacked binary is the test binary without the race detector.
	if out, err := exec.Command("go", "test", "-c", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("building: %v\n%s", err, out)
	}
	others, restore := raisePriority(t)
	defer restore()
	untouched := startTarget(t, program, others, hostile.Attack{})
	for _, a := range hostile.Attacks() {
		t.Run(a.Name, func(t *testing.T) {
			s := startTarget(t, program, others, a)
			var first resources
			var violated []string // in every try
			for try := 1; ; try++ {
				f := s.measureAttack(t, untouched, a)
				if try == 1 {
					first = f.base
				}
				f.base = first
				t.Logf("measured: try %d: %v", try, f)
				limits := f.violations()
				if try == 1 {
					violated = limits
				}
				violated = slices.DeleteFunc(violated, func(limit string) bool { return !slices.Contains(limits, limit) })
				if len(violated) == 0 {
					break
				}
				if try == tries {
					t.Fatalf("%s: %v", strings.Join(violated, "; "), f)
				}
			}
			if a.Files > 0 {
				if _, err := waitFor(s.log, "accepting connections again"); err != nil {
					t.Error(err)
				}
			}
			s.stop(t)
			s.checkLog(t, a)
		})
	}
}

// A target is the attacked server.
type target struct {
	*observation
	path      *hostile.Path // the server runs at its near end; nil: in this namespace
	tls       *tls.Config   // for its clients; nil: no TLS
	peers     int           // connections of good clients
	attackers int           // connections of attackers
}

// startTarget starts a server for an attack.
func startTarget(t *testing.T, program, others string, a hostile.Attack) *target {
	t.Helper()
	s := new(target)
	args := slices.Clone(a.Flags)
	if a.Fault != hostile.None {
		args = append(args, "--log-level=debug") // for began
	}
	if a.TLS {
		args = append(args, "--tls-self-signed")
		s.tls = &tls.Config{InsecureSkipVerify: true}
	}
	if a.Fault == hostile.Partition {
		s.path = newPath(t)
		args = append(args, "--addr="+hostile.NearAddr+":0")
	}
	words := "exec " + others
	if a.Files > 0 {
		words = fmt.Sprint("ulimit -n ", a.Files, " || exit 1; ", words)
	}
	program = wrapped(t, program, words)
	var err error
	s.near(func() { s.observation, err = observe(program, t.TempDir(), args...) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.end)
	return s
}

// park connects a client that sends nothing, and returns when the server has parked its
// connection. The first one opens the server's poller, which then stays open.
func (s *target) park(t *testing.T) *wstest.Peer {
	t.Helper()
	var silent *wstest.Peer
	var err error
	s.near(func() { silent, err = s.dial() })
	if err != nil {
		t.Fatal(err)
	}
	for start := time.Now(); !s.resources(t).Parks; time.Sleep(20 * time.Millisecond) {
		if time.Since(start) > waitLimit {
			t.Fatal("a silent connection is not parked")
		}
	}
	return silent
}

// near calls f in the server's namespace. f must not end the test.
func (s *target) near(f func()) {
	if s.path == nil {
		f()
	} else {
		s.path.Near(f)
	}
}

// far calls f in the attackers' namespace. f must not end the test.
func (s *target) far(f func()) {
	if s.path == nil {
		f()
	} else {
		s.path.Far(f)
	}
}

// dial connects to the server from its namespace.
func (s *target) dial() (*wstest.Peer, error) {
	s.peers++
	url := s.url()
	if s.tls != nil {
		url = "wss" + strings.TrimPrefix(url, "ws")
	}
	return wstest.Dial(url, wstest.DialOptions{Timeout: waitLimit, TLS: s.tls})
}

// client returns a good client.
func (s *target) client(t *testing.T) (peer *wstest.Peer) {
	t.Helper()
	var err error
	s.near(func() {
		if peer, err = s.dial(); err == nil {
			err = roundTrip(peer)
		}
	})
	if err != nil {
		t.Fatalf("a new client: %v", err)
	}
	return peer
}

// measureAttack runs the attack once and returns its measurements.
func (s *target) measureAttack(t *testing.T, untouched *target, a hostile.Attack) (f measurement) {
	t.Helper()
	good, other := s.client(t), untouched.client(t)
	defer good.Close()
	defer other.Close()
	s.near(func() { f.quiet = measure(t, s, good, quietTime, true) })
	if s.tls == nil {
		answering := keepSending(t, good) // to park takes a second, and pings may be more frequent
		silent := s.park(t)
		answering()
		defer silent.Close()
	}
	f.base = s.resources(t)
	f.conns = attackers + a.Files

	peak := s.watch(t)
	defer peak()
	leave := keepSending(t, good)
	defer func() { leave() }()
	before := s.began(t)
	var c *attackProcess
	s.far(func() { c = startAttack(idlePriority, a.Name, s.addr, f.conns) })
	defer func() { s.attackers += c.stop(t) }()
	c.waitBegun(t)
	for start := time.Now(); a.Fault != hostile.None && s.began(t) < before+f.conns; time.Sleep(20 * time.Millisecond) {
		if time.Since(start) > waitLimit {
			t.Fatal("the attackers have not opened their WebSockets")
		}
	}
	s.injectFault(t, c, a.Fault)
	began := time.Now()
	leave()
	var measuring sync.WaitGroup
	measuring.Go(func() { f.untouched = measure(t, untouched, other, attackTime, true) })
	s.near(func() { f.beside = measure(t, s, good, attackTime, !a.Full) })
	measuring.Wait()
	f.peak = peak()
	leave = keepSending(t, good)

	if a.Fault == hostile.None {
		s.attackers += c.stop(t)
		began = time.Now()
	}
	// After a fault the attackers still exist, and the server must detect their loss.
	left := time.Now()
	s.client(t).Close()
	f.next = time.Since(left)
	for {
		f.after = s.resources(t)
		if f.released = time.Since(began); f.leftover() == "" || f.released > waitLimit {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	s.attackers += c.stop(t)
	if a.Fault == hostile.Partition {
		if err := s.path.Heal(); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

// began returns the number of WebSockets that attackers have opened, at the log level debug.
func (s *target) began(t *testing.T) int {
	t.Helper()
	text, err := os.ReadFile(s.log)
	if err != nil {
		t.Fatal(err)
	}
	return len(regexp.MustCompile(`(?m) msg=began .* host=x `).FindAllIndex(text, -1))
}

// injectFault injects the attack's fault, if it has one, while the attack runs.
func (s *target) injectFault(t *testing.T, c *attackProcess, fault hostile.Fault) {
	t.Helper()
	var err error
	switch fault {
	case hostile.None:
		return
	case hostile.Partition:
		time.Sleep(rampUp)
		err = s.path.Partition()
	case hostile.Freeze:
		time.Sleep(rampUp)
		err = c.freeze()
	}
	if err != nil {
		t.Fatal(err)
	}
}
