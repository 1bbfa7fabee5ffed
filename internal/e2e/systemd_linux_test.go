package e2e

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"example.com/wsecho/internal/testcert"
	"example.com/wsecho/internal/testfull"
	"example.com/wsecho/wstest"
)

// A notifySocket is the socket that systemd names in NOTIFY_SOCKET.
type notifySocket struct{ *net.UnixConn }

func newNotifySocket(t *testing.T) notifySocket {
	t.Helper()
	dir, err := os.MkdirTemp("", "ws") // t.TempDir is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "n"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return notifySocket{c}
}

// await waits for a message that matches, and ignores the others.
func (s notifySocket) await(t *testing.T, pattern string) {
	t.Helper()
	var others []string
	b := make([]byte, 4096)
	_ = s.SetReadDeadline(time.Now().Add(waitLimit))
	for {
		n, err := s.Read(b)
		if err != nil {
			t.Fatalf("no message matches %s: %v; got %q", pattern, err, others)
		}
		if regexp.MustCompile(pattern).Match(b[:n]) {
			return
		}
		others = append(others, string(b[:n]))
	}
}

// TestSystemd starts the server as systemd does: with open sockets, a socket for
// notifications and a watchdog.
func TestSystemd(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("sh"); err != nil {
		testfull.Missing(t, "sh: %v", err)
	}
	notify := newNotifySocket(t)
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	path := notify.LocalAddr().String() + ".ws"
	unix, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close()
	var files []*os.File
	for _, l := range []interface{ File() (*os.File, error) }{tcp.(*net.TCPListener), unix.(*net.UnixListener)} {
		f, err := l.File()
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		files = append(files, f)
	}
	dir := t.TempDir()
	root := testcert.NewAuthority(t, "root")
	pair := root.Issue(t, "x.test", -time.Hour, time.Hour)
	write(t, dir+"/cert", pair.Cert)
	write(t, dir+"/key", pair.Key)
	log, err := os.Create(dir + "/log")
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()

	// sh keeps its process id, which systemd puts into LISTEN_PID.
	s := &tlsServer{process: &process{log: log.Name(), done: make(chan struct{}), addr: tcp.Addr().String()}, root: root}
	s.cmd = exec.Command("sh", "-c", `LISTEN_PID=$$ exec wsecho "$@"`, "sh", "--addr=systemd", "--tls-cert="+dir+"/cert", "--tls-key="+dir+"/key", "--drain-timeout=20s", "--admin-addr=off")
	s.cmd.Env = append(os.Environ(), "LISTEN_FDS=2", "LISTEN_FDNAMES=web:local", "NOTIFY_SOCKET="+notify.LocalAddr().String(), "WATCHDOG_USEC=1000000")
	s.cmd.ExtraFiles = files
	s.cmd.Stderr = log
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(s.done)
		_ = s.cmd.Wait()
	}()
	t.Cleanup(s.kill)

	notify.await(t, `^READY=1$`)
	s.uses(t, pair) // over the TCP socket
	p, err := wstest.Dial("ws://localhost/", wstest.DialOptions{Timeout: waitLimit, Dial: func(string, string) (net.Conn, error) { return net.Dial("unix", path) }})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	sendsBack(t, p, "over the unix socket, without TLS")
	for range 3 {
		notify.await(t, `^WATCHDOG=1$`)
	}
	if err := s.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	notify.await(t, `^RELOADING=1\nMONOTONIC_USEC=\d+\n$`)
	notify.await(t, `^READY=1$`)
	if _, err := waitFor(s.log, `the files of TLS have not changed`); err != nil {
		t.Error(err)
	}
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	notify.await(t, `^STOPPING=1\nEXTEND_TIMEOUT_USEC=28000000$`)
	notify.await(t, `^WATCHDOG=1$`) // the client has not answered, so the drain goes on
	if e, err := p.Answer(context.Background(), wstest.AnswerOptions{}); err != nil || e.Code != 1001 {
		t.Errorf("got %v, %v, want 1001", e, err)
	}
	if code, err := s.wait(); err != nil || code != 0 {
		t.Errorf("the exit code is %d, %v", code, err)
	}
	s.logged(t, `listening addr=127\.0\.0\.1:\d+ url=wss://`)
	s.logged(t, `listening addr=unix:`+regexp.QuoteMeta(path)+`\n`)
	if _, err := os.Lstat(path); err != nil {
		t.Errorf("the server has removed the socket of systemd: %v", err)
	}
}

// TestReusePort runs two processes on one port. Both get connections. When one ends, the
// other gets all.
func TestReusePort(t *testing.T) {
	t.Parallel()
	first := startFor(t, "wsecho", "--reuseport")
	second := startFor(t, "wsecho", "--reuseport", "--addr="+first.addr)
	const most = 400
	connect := func() {
		t.Helper()
		p, err := wstest.Dial(first.url(), wstest.DialOptions{Timeout: waitLimit})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		sendsBack(t, p, "hello")
		if err := p.Send(wstest.CloseFrame(1000, "")); err != nil {
			t.Fatal(err)
		}
		if _, err := p.End(waitLimit); err != nil {
			t.Fatal(err)
		}
	}
	ended := func(p *process) int {
		text, err := os.ReadFile(p.log)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Count(string(text), "msg=ended")
	}
	for i := 0; ended(first) == 0 || ended(second) == 0; i++ {
		if i == most {
			t.Fatalf("of %d connections the processes got %d and %d", most, ended(first), ended(second))
		}
		connect()
	}
	if out, err := exec.Command("wsecho", "--addr="+first.addr).CombinedOutput(); err == nil || !strings.Contains(string(out), "the address is in use") {
		t.Errorf("without the flag: %v, %s", err, out)
	}
	first.stop(t)
	before := ended(second)
	const later = 10
	for range later {
		connect()
	}
	for start := time.Now(); ended(second) < before+later; time.Sleep(10 * time.Millisecond) {
		if time.Since(start) > waitLimit {
			t.Fatalf("the second process got %d of %d connections", ended(second)-before, later)
		}
	}
	second.stop(t)
}
