//go:build unix

package command

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// socketPath returns a short path for a socket.
func socketPath(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "ws")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return filepath.Join(dir, "s")
}

// leaveStale leaves the socket file of a listener that is closed.
func leaveStale(t *testing.T, path string) {
	t.Helper()
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestUnixFile: the socket file has its mode, a stale one is replaced, and the file is
// removed in the end.
func TestUnixFile(t *testing.T) {
	path := socketPath(t)
	for _, mode := range []string{"0600", "0660", "666", "0777"} {
		leaveStale(t, path)
		all, err := parsed(t, "--addr=unix:"+path, "--unix-mode="+mode).listen()
		if err != nil {
			t.Fatal(err)
		}
		info, err := os.Lstat(path)
		if err != nil || info.Mode()&fs.ModeSocket == 0 || info.Mode().Perm() != fs.FileMode(parsed(t, "--unix-mode="+mode).UnixMode) {
			t.Errorf("--unix-mode=%s: got %v, %v", mode, info.Mode(), err)
		}
		c, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
		if got := shownAddr(all[0].Addr()); got != "unix:"+path {
			t.Errorf("the address is %s", got)
		}
		all.close()
		all.close()
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the file is left: %v", err)
		}
	}

	// Another process has taken the name meanwhile.
	all, err := parsed(t, "--addr=unix://"+path).listen()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	other, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	all.close()
	if _, err := os.Lstat(path); err != nil {
		t.Errorf("the socket of another process was removed: %v", err)
	}
}

// TestUnixRefused: files that are in use, or are no sockets, stay as they are.
func TestUnixRefused(t *testing.T) {
	live := socketPath(t)
	l, err := net.Listen("unix", live)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	stale := socketPath(t)
	leaveStale(t, stale)
	link := filepath.Join(dir, "link")
	if err := os.Symlink(stale, link); err != nil {
		t.Fatal(err)
	}
	for path, test := range map[string]struct {
		want string
		code int
	}{
		live:                                 {"another process listens on it", exitFailure},
		file:                                 {"the file exists and is not a socket", exitFailure},
		dir:                                  {"the file exists and is not a socket", exitFailure},
		link:                                 {"the file exists and is not a socket", exitFailure},
		filepath.Join(dir, "no", "s"):        {"no such file or directory", exitFailure},
		"/" + strings.Repeat("x", 200):       {"the path of a unix socket may have 10", exitUsage},
		"":                                   {"does not name a file", exitUsage},
		"@abstract":                          {"does not name a file", exitUsage},
		dir + "/":                            {"does not name a file", exitUsage},
		"//" + strings.Repeat("/x", 100):     {"the path of a unix socket may have 10", exitUsage},
		filepath.Join(file, "not/directory"): {"not a directory", exitFailure},
	} {
		all, err := parsed(t, "--addr=unix:"+path).listen()
		if err == nil {
			all.close()
			t.Errorf("%s: no error", path)
		} else if !strings.Contains(err.Error(), test.want) || exitCode(err) != test.code || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: got %v with exit code %d, want %q with %d", path, err, exitCode(err), test.want, test.code)
		}
	}
	if c, err := net.Dial("unix", live); err != nil {
		t.Errorf("the live socket: %v", err)
	} else {
		c.Close()
	}
	for _, path := range []string{file, link, stale} {
		if _, err := os.Lstat(path); err != nil {
			t.Error(err)
		}
	}
}

// TestUnixRace: of several servers that find the same stale file, one gets it.
func TestUnixRace(t *testing.T) {
	path := socketPath(t)
	leaveStale(t, path)
	var group sync.WaitGroup
	var mu sync.Mutex
	var won []listenerSet
	for range 8 {
		group.Go(func() {
			all, err := parsed(t, "--addr=unix:"+path).listen()
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				won = append(won, all)
			} else if !strings.Contains(err.Error(), "another process listens") {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if len(won) != 1 {
		t.Errorf("%d listen on the socket, want 1", len(won))
	}
	for _, all := range won {
		all.close()
	}
}

// TestListenAllOrNone: if one listener fails, the others are closed. TestMain finds a TCP
// listener that is left.
func TestListenAllOrNone(t *testing.T) {
	path := socketPath(t)
	used, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer used.Close()
	for _, bad := range []string{used.Addr().String(), "nonsense", "systemd", "unix:"} {
		if all, err := parsed(t, "--addr=127.0.0.1:0", "--addr=unix:"+path+","+bad).listen(); err == nil || all != nil {
			t.Fatalf("%s: got %v, %v", bad, all, err)
		}
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: the socket is left: %v", bad, err)
		}
	}
}

// TestReusePortAddresses: the flag needs a TCP address and a system that has it.
func TestReusePortAddresses(t *testing.T) {
	if _, err := parsed(t, "--reuseport", "--addr=unix:"+socketPath(t)).listen(); err == nil || exitCode(err) != exitUsage {
		t.Errorf("got %v", err)
	}
	saved := setReusePort
	defer func() { setReusePort = saved }()
	setReusePort = nil
	if _, err := parsed(t, "--reuseport", "--addr=127.0.0.1:0").listen(); err == nil || exitCode(err) != exitUsage || !strings.Contains(err.Error(), "this system cannot") {
		t.Errorf("got %v", err)
	}
}
