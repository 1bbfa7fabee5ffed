package e2e

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"syscall"
	"testing"

	"example.com/wsecho/wstest"
)

// A replica is one server and its successors on the same address.
type replica struct {
	program, addr string
	delay         string // the drain delay
	process       *process
	logs          []string // of all its processes
}

// newReplica reserves an address. Each replica has its own in 127.0.0.0/8, so no other
// process takes the port while the replica restarts.
func newReplica(t *testing.T, program, delay string) *replica {
	t.Helper()
	return &replica{program: program, addr: ownAddr(t), delay: delay}
}

// ownAddr returns a free address of the loopback network that no other program uses.
func ownAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", fmt.Sprintf("127.%d.%d.%d:0", 1+rand.N(254), rand.N(256), 1+rand.N(254)))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func (r *replica) start(t *testing.T, args ...string) {
	t.Helper()
	args = append(args, "--addr="+r.addr, "--log-format=json", "--drain-delay="+r.delay, "--drain-spread="+rolling("1s", "3s"), "--close-timeout=5s")
	p, err := start(r.program, t.TempDir(), nil, args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.kill)
	r.process, r.logs = p, append(r.logs, p.log)
}

// signal ends the process as Kubernetes does.
func (r *replica) signal(t *testing.T) {
	t.Helper()
	if err := r.process.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
}

// wait waits for the end of the process and checks its exit code.
func (r *replica) wait(t *testing.T) {
	t.Helper()
	if code, err := r.process.wait(); err != nil || code != 0 {
		text, _ := os.ReadFile(r.process.log)
		t.Fatalf("exit code %d, %v; the end of its log:\n%s", code, err, text[max(0, len(text)-4096):])
	}
}

func (r *replica) restart(t *testing.T, args ...string) {
	t.Helper()
	r.signal(t)
	r.wait(t)
	r.start(t, args...)
}

const probePath = "/in-rotation"

// inRotation reports whether a new connection through the proxy reached the server, which
// has the fewest connections.
func inRotation(t *testing.T, proxy *runningProxy, r *replica) bool {
	t.Helper()
	peer, err := wstest.Dial("ws://"+proxy.addr+probePath, wstest.DialOptions{Timeout: 2 * waitLimit})
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	if err := peer.Send(wstest.CloseFrame(1000, "")); err != nil {
		t.Fatal(err)
	}
	if _, err := peer.End(2 * waitLimit); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(r.process.log)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Contains(text, []byte(probePath)) // in the line of the ended connection
}

// connections returns the number of established TCP connections to the server.
func (r *replica) connections(t *testing.T) int {
	t.Helper()
	text, err := os.ReadFile("/proc/thread-self/net/tcp") // the first thread may be in the namespace of another test
	if err != nil {
		t.Fatal(err)
	}
	addr := net.TCPAddrFromAddrPort(addrPort(t, r.addr))
	ip := addr.IP.To4()
	local := fmt.Sprintf(": %02X%02X%02X%02X:%04X ", ip[3], ip[2], ip[1], ip[0], addr.Port) // as on a little-endian machine
	if bigEndian {
		local = fmt.Sprintf(": %02X%02X%02X%02X:%04X ", ip[0], ip[1], ip[2], ip[3], addr.Port)
	}
	n := 0
	for line := range bytes.Lines(text) {
		if fields := bytes.Fields(line); len(fields) > 3 && string(fields[3]) == "01" && bytes.Contains(line, []byte(local)) {
			n++
		}
	}
	return n
}

func counts(t *testing.T, servers []*replica) []int {
	t.Helper()
	var n []int
	for _, s := range servers {
		n = append(n, s.connections(t))
	}
	return n
}
