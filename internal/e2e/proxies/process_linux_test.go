package proxies

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"example.com/wsecho/wstest"
)

// A process is a program that a test has started. It ends with the test.
type process struct {
	name string
	cmd  *exec.Cmd
	done chan struct{}

	mu  sync.Mutex
	log bytes.Buffer // stdout and stderr
}

// Write appends to the log.
func (p *process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.Write(b)
}

func (p *process) text() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.String()
}

// run starts a program in the directory dir.
func run(t *testing.T, dir, program string, args ...string) *process {
	t.Helper()
	p := &process{name: filepath.Base(program), done: make(chan struct{})}
	p.cmd = exec.Command(program, args...)
	p.cmd.Dir = dir
	p.cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir)
	p.cmd.Stdout, p.cmd.Stderr = p, p
	p.cmd.WaitDelay = waitLimit
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.done)
		_ = p.cmd.Wait() // killed at the end; a test that needs the exit code looks at ProcessState
	}()
	t.Cleanup(func() {
		shared := sharedMemory(p.cmd.Process.Pid)
		_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) // with its workers
		<-p.done
		for _, file := range shared {
			_ = os.Remove(file)
		}
		if t.Failed() {
			t.Logf("the output of %s:\n%s", p.name, p.text())
		}
	})
	return p
}

// sharedMemory returns the files of shared memory that a process uses. Apache and Squid
// remove theirs when they stop, but Apache may need long for that.
func sharedMemory(pid int) []string {
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		return nil // the process has ended
	}
	return regexp.MustCompile(`(?m)/dev/shm/\S+$`).FindAllString(string(maps), -1)
}

// await waits for a condition. It fails the test if the process ends meanwhile.
func (p *process) await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for start := time.Now(); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Since(start) > waitLimit {
			t.Fatalf("%s: not within %v: %s", p.name, waitLimit, what)
		}
		select {
		case <-p.done:
			if !ok() {
				t.Fatalf("%s has ended before: %s", p.name, what)
			}
			return
		default:
		}
	}
}

// signal sends a signal to the process, not to its workers.
func (p *process) signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// An entry is a line of the server's log.
type entry struct {
	Msg, Level, Kind, By, Remote, Proxy, Scheme, Reason, Cause, Addr, URI, Host string
	Code, Sent, Received, Status                                                int
}

// A wsecho is a server that a test has started.
type wsecho struct {
	*process
	addr string
}

// start starts a server on a free port of 127.0.0.1.
func start(t *testing.T, args ...string) *wsecho {
	t.Helper()
	s := &wsecho{process: run(t, t.TempDir(), "wsecho", append([]string{"--addr=127.0.0.1:0", "--log-format=json", "--log-level=debug"}, args...)...)}
	s.addr = s.entry(t, "it listens", func(e entry) bool { return e.Msg == "listening" }).Addr
	return s
}

// entries returns the lines of the log.
func (s *wsecho) entries() (all []entry) {
	for line := range strings.SplitSeq(s.text(), "\n") {
		var e entry
		if json.Unmarshal([]byte(line), &e) == nil {
			all = append(all, e)
		}
	}
	return all
}

// count returns the number of lines that match.
func (s *wsecho) count(match func(entry) bool) (n int) {
	for _, e := range s.entries() {
		if match(e) {
			n++
		}
	}
	return n
}

// entry waits for a line that matches.
func (s *wsecho) entry(t *testing.T, what string, match func(entry) bool) (found entry) {
	t.Helper()
	s.await(t, what, func() bool {
		for _, e := range s.entries() {
			if match(e) {
				found = e
				return true
			}
		}
		return false
	})
	return found
}

// ended waits for the end of the connection with this path.
func (s *wsecho) ended(t *testing.T, path string) entry {
	t.Helper()
	return s.entry(t, path+" has ended", func(e entry) bool { return e.Msg == "ended" && e.URI == path })
}

// freeAddr returns an address that is free now. Its port is below those that the system
// assigns to clients and to port 0.
func freeAddr(t *testing.T) string {
	t.Helper()
	for try := range 2000 {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 20000+(os.Getpid()*97+nextPort()+try)%12000))
		if err == nil {
			defer l.Close()
			return l.Addr().String()
		}
	}
	t.Fatal("no port is free")
	return ""
}

var ports struct {
	mu sync.Mutex
	n  int
}

// nextPort returns another number at each call.
func nextPort() int {
	ports.mu.Lock()
	defer ports.mu.Unlock()
	ports.n += 7
	return ports.n
}

// clientAddr is the address of the clients in these tests. The proxies have 127.0.0.1.
const clientAddr = "127.0.0.3"

// dial opens a WebSocket through a proxy. The header has field names and values.
func dial(addr, path string, header ...string) (*wstest.Peer, error) {
	return dialURL("ws://"+addr+path, header...)
}

// dialTLS is dial for a proxy with TLS.
func dialTLS(addr, path string, header ...string) (*wstest.Peer, error) {
	return dialURL("wss://"+addr+path, header...)
}

func dialURL(url string, header ...string) (*wstest.Peer, error) {
	h := map[string][]string{}
	for i := 0; i < len(header); i += 2 {
		h[header[i]] = append(h[header[i]], header[i+1])
	}
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(clientAddr)}, Timeout: waitLimit}
	_, config := wstest.TLS()
	return wstest.Dial(url, wstest.DialOptions{Header: h, Timeout: waitLimit, Dial: d.Dial, TLS: config})
}

// mustDial is dial for a handshake that must succeed.
func mustDial(t *testing.T, addr, path string, header ...string) *wstest.Peer {
	t.Helper()
	p, err := dial(addr, path, header...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

// echo sends a message and waits for its echo. It answers pings meanwhile.
func echo(p *wstest.Peer, text string) error {
	if err := p.Send(wstest.TextFrame(text)); err != nil {
		return err
	}
	for {
		f, err := p.Recv()
		switch {
		case err != nil:
			return err
		case f.Opcode == wstest.Ping:
			if err := p.Send(wstest.PongFrame(string(f.Payload))); err != nil {
				return err
			}
		case string(f.Payload) == text:
			return nil
		default:
			return fmt.Errorf("got the frame %v, want the echo of %q", f, text)
		}
	}
}

// status returns the status of a handshake through a proxy, 101 if it succeeded.
func status(addr, path string, header ...string) (int, error) {
	p, err := dial(addr, path, header...)
	if bad := (*wstest.HandshakeError)(nil); errors.As(err, &bad) && bad.Response != nil {
		return bad.Response.StatusCode, nil
	}
	if err != nil {
		return 0, err
	}
	return 101, p.Close()
}

// certificate writes the certificate of wstest.TLS and its key to a file.
func certificate(t *testing.T, file string) {
	t.Helper()
	config, _ := wstest.TLS()
	c := config.Certificates[0]
	key, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	for _, block := range []*pem.Block{{Type: "PRIVATE KEY", Bytes: key}, {Type: "CERTIFICATE", Bytes: c.Certificate[0]}} {
		if err := pem.Encode(&b, block); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(file, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
}
