package command

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/alecthomas/kong"
)

// unixPrefix begins the address of a unix socket.
const unixPrefix = "unix:"

// A fileMode is the value of --unix-mode.
type fileMode fs.FileMode

func (m *fileMode) Decode(ctx *kong.DecodeContext) error {
	text, err := popText(ctx.Scan)
	if err != nil {
		return err
	}
	v, err := strconv.ParseUint(text, 8, 32)
	if err != nil || v > 0o777 {
		return fmt.Errorf("%q is not a mode in octal digits, such as 0660", text)
	}
	*m = fileMode(v)
	return nil
}

// maxUnixPath is the longest path that fits into an address of the system.
const maxUnixPath = len(syscall.RawSockaddrUnix{}.Path) - 1

// listenUnix opens a unix socket. It replaces the socket file of a process that has ended.
func listenUnix(addr string, mode fileMode) (net.Listener, error) {
	path := strings.TrimPrefix(addr, unixPrefix)
	path = strings.TrimPrefix(path, "//") // as in a URL, with an empty host
	switch {
	case path == "" || strings.HasPrefix(path, "@") || strings.HasSuffix(path, "/"):
		return nil, usageError{fmt.Errorf("--addr: %q does not name a file, such as unix:/run/wsecho.sock", addr)}
	case len(path) > maxUnixPath:
		return nil, usageError{fmt.Errorf("--addr: the path of a unix socket may have %d bytes, and %q has %d", maxUnixPath, path, len(path))}
	}
	unlock := lockDirectoryOf(path) // another wsecho could find the same stale file
	defer unlock()
	l, err := bindUnix(path, mode)
	if isErrno(err, syscall.EADDRINUSE) {
		if err = removeStale(path); err != nil {
			return nil, err
		}
		l, err = bindUnix(path, mode)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, hintError{fmt.Errorf("cannot listen on %s: %w", addr, inner(err)), "the directory of the socket must exist"}
	}
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %s: %w", addr, inner(err))
	}
	return l, nil
}

// bindUnix creates the socket file. It never has more permissions than mode.
func bindUnix(path string, mode fileMode) (net.Listener, error) {
	// On Linux a file has the mode of its descriptor, less the umask. Elsewhere it has the
	// umask's until Chmod.
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		return c.Control(func(fd uintptr) { setMode(fd, uint32(mode)) })
	}}
	l, err := config.Listen(context.Background(), "unix", path)
	if err != nil {
		return nil, err
	}
	if err = os.Chmod(path, fs.FileMode(mode)); err == nil {
		var info fs.FileInfo
		if info, err = os.Lstat(path); err == nil {
			u := l.(*net.UnixListener)
			u.SetUnlinkOnClose(false)
			return &unixListener{UnixListener: u, path: path, created: info}, nil
		}
	}
	_ = l.Close()
	return nil, err
}

// A unixListener removes its file when it is closed, unless another file has its name now.
type unixListener struct {
	*net.UnixListener
	path    string
	created fs.FileInfo
	once    sync.Once
}

func (l *unixListener) Close() error {
	l.once.Do(func() {
		if now, err := os.Lstat(l.path); err == nil && os.SameFile(now, l.created) {
			_ = os.Remove(l.path)
		}
	})
	return l.UnixListener.Close()
}

// removeStale removes a socket file on which no process listens. It returns an error if the
// file is something else.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil // removed meanwhile
	case err != nil:
		return fmt.Errorf("cannot listen on unix:%s: %w", path, err)
	case info.Mode().Type() != fs.ModeSocket:
		return hintError{fmt.Errorf("cannot listen on unix:%s: the file exists and is not a socket", path),
			"remove the file, or choose another path with --addr"}
	}
	c, err := net.DialTimeout("unix", path, time.Second)
	switch {
	case err == nil:
		_ = c.Close()
	case isErrno(err, syscall.ECONNREFUSED):
		return os.Remove(path)
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case errors.Is(err, fs.ErrPermission):
		return hintError{fmt.Errorf("cannot listen on unix:%s: the socket belongs to another user", path),
			"remove the file if no process listens on it, or choose another path with --addr"}
	}
	return hintError{fmt.Errorf("cannot listen on unix:%s: another process listens on it", path),
		"stop that process, or choose another path with --addr"}
}
