package main

import (
	_ "embed"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// A column is a way to a server with faults.
type column int

const (
	direct column = iota
	node
	python
	nginx
	haproxy
	columns
)

// headings are those of the matrix.
var headings = [columns]string{"wsecho", "Node's ws", "Python's websockets", "wsecho behind nginx", "wsecho behind HAProxy"}

func (c column) String() string {
	return [columns]string{"wsecho", "node", "python", "nginx", "haproxy"}[c]
}

// idleSeconds is the idle timeout of the proxies.
const idleSeconds = 3

//go:embed testdata/node.js
var nodeProgram string

//go:embed testdata/python.py
var pythonProgram string

// A testbed has the programs and the directories that the columns need.
type testbed struct {
	root   string // of the repository
	dir    string // for temporary files
	wsecho string // the built command
}

// errMissing means that a tool is not installed.
var errMissing = errors.New("not installed")

// build builds the command.
func (l *testbed) build() error {
	l.wsecho = filepath.Join(l.dir, "wsecho.exe") // the suffix is for Windows
	cmd := exec.Command("go", "build", "-pgo=off", "-o", l.wsecho, "example.com/wsecho")
	cmd.Dir = l.root
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	return nil
}

// start starts the server of a column. A proxy needs wsecho.
func (l *testbed) start(c column, wsecho *process) (*process, error) {
	switch c {
	case direct:
		cmd := exec.Command(l.wsecho, "--addr=127.0.0.1:0", "--admin-addr=off", "--trusted-proxy=127.0.0.1", "--ping-interval=off", "--drain-timeout=1s", "--close-timeout=1s")
		cmd.Env = environment()
		return startServer(cmd)
	case node:
		program, err := find("node")
		if err != nil {
			return nil, err
		}
		cmd := exec.Command(program, "-e", nodeProgram)
		if cmd.Dir = os.Getenv("WSECHO_BENCH_NODE"); cmd.Dir == "" {
			cmd.Dir = filepath.Join(l.root, "bench", "peers", "node")
		}
		if _, err := os.Stat(filepath.Join(cmd.Dir, "node_modules", "ws")); err != nil {
			return nil, fmt.Errorf("npm package ws is %w: run npm ci in bench/peers/node", errMissing)
		}
		return startServer(cmd)
	case python:
		const program = "/usr/bin/python3" // the interpreter of Debian's packages
		if out, err := exec.Command(program, "-c", "import websockets").CombinedOutput(); err != nil {
			return nil, fmt.Errorf("Python's websockets is %w (Debian has it in python3-websockets): %s", errMissing, out)
		}
		return startServer(exec.Command(program, "-c", pythonProgram))
	}
	return l.startProxy(c, wsecho.addr)
}

// find returns the path of a program.
func find(program string) (string, error) {
	for _, name := range []string{program, "/usr/sbin/" + program} { // /usr/sbin is not in the PATH of every user
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s is %w", program, errMissing)
}

// startProxy starts a proxy with its block of docs/behind-a-proxy.md and shorter timeouts.
// The proxy inherits the listening socket, so that no other process can have the port.
func (l *testbed) startProxy(c column, wsecho string) (*process, error) {
	program, err := find(c.String())
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(l.dir, c.String())
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	defer listener.Close()
	socket, err := listener.(*net.TCPListener).File()
	if err != nil {
		return nil, err
	}
	defer socket.Close()
	addr := listener.Addr().String()
	config, args, err := l.config(c, dir, addr, wsecho)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(dir, "proxy.conf"), []byte(config), 0o600); err != nil {
		return nil, err
	}
	cmd := exec.Command(program, args...)
	cmd.ExtraFiles = []*os.File{socket} // 3
	cmd.Env = append(os.Environ(), "NGINX=3;")
	p, err := start(cmd)
	if err != nil {
		return nil, err
	}
	p.addr = addr
	return p, nil
}

// config returns the configuration of a proxy and its arguments.
func (l *testbed) config(c column, dir, addr, wsecho string) (config string, args []string, err error) {
	page, err := os.ReadFile(filepath.Join(l.root, "docs", "behind-a-proxy.md"))
	if err != nil {
		return "", nil, err
	}
	m := regexp.MustCompile("(?ms)^```" + c.String() + "\n(.*?)^```$").FindSubmatch(page)
	if m == nil {
		return "", nil, fmt.Errorf("docs/behind-a-proxy.md has no block of %v", c)
	}
	block := regexp.MustCompile(`(?m)^.*127\.0\.0\.1:8081.*\n`).ReplaceAllString(string(m[1]), "")
	timeout := fmt.Sprint(idleSeconds, "s")
	changes := []string{"127.0.0.1:8080", wsecho}
	before, after := "", ""
	if c == nginx {
		changes = append(changes, "listen 80;", "listen "+addr+";", "proxy_read_timeout 60s", "proxy_read_timeout "+timeout, "proxy_send_timeout 60s", "proxy_send_timeout "+timeout)
		if os.Geteuid() == 0 {
			before = "user root;\n"
		}
		before += "daemon off; worker_processes 1; pid nginx.pid; error_log stderr info; events { worker_connections 768; }\nhttp { access_log off;\n" +
			"client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;\n"
		after = "}\n"
		args = []string{"-p", dir, "-c", filepath.Join(dir, "proxy.conf"), "-e", "stderr"}
	} else {
		changes = append(changes, "bind :80", "bind fd@3", "timeout tunnel 60s", "timeout tunnel "+timeout, "timeout server 60s", "timeout server "+timeout)
		before = "global\n    maxconn 500\n    log stderr format raw local0\n"
		args = []string{"-db", "-f", filepath.Join(dir, "proxy.conf")}
	}
	for i := 0; i < len(changes); i += 2 {
		if !strings.Contains(block, changes[i]) {
			return "", nil, fmt.Errorf("the block of %v in docs/behind-a-proxy.md has no %q", c, changes[i])
		}
		block = strings.ReplaceAll(block, changes[i], changes[i+1])
	}
	return before + block + after, args, nil
}
