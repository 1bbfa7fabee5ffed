//go:build linux

package container

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// runDefault starts the container as an engine does, with no flags. It has a network of its
// own, in which the port is free. The health check passes while the server runs, and fails
// before and after.
func runDefault(t *testing.T, image v1.Image, dir string) {
	skip := make(chan string)
	go func() { // a goroutine of its own, because its thread must end with it
		defer close(skip)
		runtime.LockOSThread()
		if err := syscall.Unshare(syscall.CLONE_NEWNET); err != nil {
			skip <- err.Error()
			return
		}
		if out, err := exec.Command("ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
			skip <- fmt.Sprintf("%v %s", err, out)
			return
		}
		lifecycle(t, image, dir)
	}()
	if reason := <-skip; reason != "" {
		t.Skip("a network namespace takes root, ip and tc: ", reason)
	}
}

// runOther moves the server to another port, and changes settings that the health check has
// variables for. ../README.md lists them.
func runOther(t *testing.T, image v1.Image, dir string) {
	for _, environ := range [][]string{
		{},
		{"WSECHO_HOST=echo.example", "WSECHO_CHECK_HEADER=Host:echo.example"},
		{"WSECHO_TLS_SELF_SIGNED=on", "WSECHO_CHECK_INSECURE=on"},
	} {
		lifecycle(t, image, dir, append(environ, "WSECHO_ADDR=127.0.0.1:0")...)
	}
}

// lifecycle starts the server, and runs the health check before, during and after its life.
func lifecycle(t *testing.T, image v1.Image, dir string, environ ...string) {
	file, err := image.ConfigFile()
	if err != nil {
		t.Error(err)
		return
	}
	c := file.Config
	environ = append(c.Env[:len(c.Env):len(c.Env)], environ...)
	health := c.Healthcheck.Test[1:]
	if out, err := inside(t, dir, append(environ, "WSECHO_CHECK_URL=ws://127.0.0.1:1/"), health...).CombinedOutput(); err == nil {
		t.Errorf("the health check passes without a server: %s", out)
	}
	server := inside(t, dir, environ, c.Entrypoint...)
	log, err := server.StderrPipe()
	if err != nil {
		t.Error(err)
		return
	}
	if err := server.Start(); err != nil {
		t.Error(err)
		return
	}
	defer server.Wait()
	defer server.Process.Kill()
	lines := bufio.NewReader(log)
	url := ""
	for url == "" {
		line, err := lines.ReadString('\n')
		if err != nil {
			t.Errorf("the server has ended: %s", line)
			return
		}
		if m := regexp.MustCompile(`msg=listening .*url=(\S+)`).FindStringSubmatch(line); m != nil {
			url = m[1]
		}
	}
	if len(environ) > len(c.Env) {
		environ = append(environ, "WSECHO_CHECK_URL="+url)
	}
	if out, err := inside(t, dir, environ, health...).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("the health check of a good server: %v %s", err, out)
	}
	if out, err := inside(t, dir, environ, "/wsecho", "--version").Output(); err != nil || !strings.HasPrefix(string(out), "wsecho v1.2.3-test (") {
		t.Errorf("--version: %v %s", err, out)
	}
	if err := server.Process.Signal(syscall.SIGTERM); err != nil { // as STOPSIGNAL says
		t.Error(err)
	}
	rest, err := io.ReadAll(lines)
	if err != nil {
		t.Error(err)
	}
	if err := server.Wait(); err != nil {
		t.Errorf("after SIGTERM: %v", err)
	}
	if want := []byte("kind=normal"); bytes.Count(rest, want) != 1 {
		t.Errorf("the log has no line of the health check's connection:\n%s", rest)
	}
	out, err := inside(t, dir, environ, health...).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "cannot connect") {
		t.Errorf("the health check after the server has ended: %v %s", err, out)
	}
}

// inside returns a command whose root is the folder dir, run by the image's user. Without
// root it runs as the test does.
func inside(t *testing.T, dir string, environ []string, args ...string) *exec.Cmd {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	command := exec.CommandContext(ctx, args[0], args[1:]...)
	command.Env = environ
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if os.Getuid() != 0 {
		command.Path = filepath.Join(dir, args[0])
		return command
	}
	command.Dir = "/"
	command.SysProcAttr.Chroot = dir
	command.SysProcAttr.Credential = &syscall.Credential{Uid: 65532, Gid: 65532}
	return command
}
