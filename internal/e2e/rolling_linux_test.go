package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"example.com/wsecho/internal/testfull"
)

// rollingFull reports whether 2,000 clients connect, and not 60. The race detector would
// slow the clients, and the servers are other processes, which it does not examine.
func rollingFull() bool { return testfull.Enabled() && !raceEnabled }

func rolling[T any](short, full T) T {
	if rollingFull() {
		return full
	}
	return short
}

// TestRolling restarts three servers behind a proxy, one after the other, while clients
// send messages. docs/scaling.md describes the result.
func TestRolling(t *testing.T) {
	clients := rolling(60, 2000)
	needFiles(t, uint64(3*clients+1000))
	program := "wsecho"
	if rollingFull() {
		program = build(t, "-pgo=off")
	} else {
		t.Parallel()
	}
	for _, p := range rollingProxies() {
		t.Run(p.name, func(t *testing.T) {
			if !rollingFull() {
				t.Parallel()
			}
			testRolling(t, program, p, clients)
		})
	}
}

func testRolling(t *testing.T, program string, kind rollingProxy, clients int) {
	var servers []*replica
	for range 3 {
		s := newReplica(t, program, kind.delay)
		s.start(t) // without --max-age: each client stays until its server drains
		servers = append(servers, s)
	}
	proxy := startRollingProxy(t, kind, servers)
	c := startClients(t, proxy.addr, clients)
	c.await(t, "all clients are connected", func() bool { return c.open.Load() == int64(clients) })
	t.Logf("measured: connections before the restarts: %v", counts(t, servers))

	for i, s := range servers {
		s.restart(t, "--max-age="+rolling("1s", "5s"))
		c.await(t, fmt.Sprintf("server %d is in rotation again", i+1), func() bool {
			return c.open.Load() >= int64(clients/2) && inRotation(t, proxy, s)
		})
	}
	// Most connections are now on the servers that started first. The maximum age moves
	// them to the server with the fewest connections.
	var even []int
	c.await(t, "the load is even", func() bool {
		even = counts(t, servers)
		sum, least, most := 0, even[0], even[0]
		for _, n := range even {
			sum, least, most = sum+n, min(least, n), max(most, n)
		}
		return sum >= clients/2 && 2*most <= 3*least
	})
	t.Logf("measured: connections after the restarts: %v", even)
	c.stop(t)
	checkRolling(t, c, servers)
	if kind.retries != nil {
		t.Logf("measured: %s", kind.retries(t, proxy))
	}
}

// checkRolling compares the results of the clients with the logs of the servers.
func checkRolling(t *testing.T, c *rollingClients, servers []*replica) {
	t.Helper()
	var logged rollingLog
	for _, s := range servers { // no client is left
		s.signal(t)
	}
	for _, s := range servers {
		s.wait(t)
		for i, file := range s.logs {
			l := readRollingLog(t, file)
			if want := map[bool]string{true: "drained", false: "aged normal"}[i == 0]; !l.only(want) || l.ended == 0 {
				t.Errorf("%s: connections ended as %v, want only %s", file, l.kinds, want)
			}
			logged.add(l)
		}
	}
	r := c.results(t)
	if r.goingAway != logged.kinds["drained"]+logged.kinds["aged"] {
		t.Errorf("the clients received %d close frames with 1001, and the servers ended %v", r.goingAway, logged.kinds)
	}
	// A lost or doubled echo would make a difference. A server echoes each message that
	// its handler has read. So each missing echo belongs to a message that the handler
	// did not read.
	if r.echoes != logged.out {
		t.Errorf("the servers sent %d echoes, and the clients received %d", logged.out, r.echoes)
	}
	if crossed := logged.in - logged.out; crossed < 0 || crossed > r.crossed {
		t.Errorf("the servers left %d messages without an echo, and only %d crossed a close frame", crossed, r.crossed)
	}
	if r.sent != r.echoes+r.crossed || r.crossed > r.goingAway {
		t.Errorf("the clients sent %d messages, received %d echoes, and %d messages crossed one of %d close frames",
			r.sent, r.echoes, r.crossed, r.goingAway)
	}
	// A proxy may refuse a handshake if a busy machine delays its health checks.
	if r.refused > r.handshakes/10 {
		t.Errorf("the proxy refused %d handshakes, and accepted %d", r.refused, r.handshakes)
	}
	t.Logf("measured: %d clients received %d close frames with 1001 (%d of a drain); %d messages, %d echoes, %d crossed a close frame; %d handshakes, %d refused, the slowest took %v",
		len(c.all), r.goingAway, logged.kinds["drained"], r.sent, r.echoes, r.crossed, r.handshakes, r.refused, r.slowest.Round(time.Millisecond))
}

// A rollingLog contains the log lines of ended connections.
type rollingLog struct {
	ended   int
	kinds   map[string]int
	in, out int // messages
}

func (l *rollingLog) add(m rollingLog) {
	if l.kinds == nil {
		l.kinds = make(map[string]int)
	}
	for k, n := range m.kinds {
		l.kinds[k] += n
	}
	l.ended, l.in, l.out = l.ended+m.ended, l.in+m.in, l.out+m.out
}

// only reports whether all connections ended as one of these kinds.
func (l *rollingLog) only(kinds string) bool {
	n := 0
	for _, k := range strings.Fields(kinds) {
		n += l.kinds[k]
	}
	return n == l.ended
}

func readRollingLog(t *testing.T, file string) rollingLog {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	l := rollingLog{kinds: make(map[string]int)}
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		var line struct {
			Msg, Kind string
			URI       string
			In        int `json:"messages_in"`
			Out       int `json:"messages_out"`
		}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			t.Fatalf("%v in %s", err, lines.Text())
		}
		switch {
		case line.Msg == "ended" && line.URI != probePath:
			l.ended, l.in, l.out = l.ended+1, l.in+line.In, l.out+line.Out
			l.kinds[line.Kind]++
		case strings.Contains(line.Msg, "lost"):
			t.Fatalf("%s: %s", file, lines.Text())
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return l
}
