package e2e

import (
	"bytes"
	"context"
	"encoding/csv"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"text/template"
	"time"

	"example.com/wsecho/internal/testfull"
)

// A rollingProxy is a load balancer that a test starts.
type rollingProxy struct {
	name    string
	args    func(config string) []string
	config  string
	delay   string                                     // the drain delay that its health checks need
	retries func(t *testing.T, p *runningProxy) string // describes the attempts that failed
}

type runningProxy struct{ addr, stats string }

func rollingProxies() []rollingProxy {
	return []rollingProxy{
		{
			name: "haproxy",
			args: func(config string) []string { return []string{"-db", "-f", config} },
			config: `
global
    maxconn 5000
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    timeout tunnel 1h
    timeout check 5s
frontend clients
    bind {{.Addr}}
    default_backend wsecho
frontend stats
    bind {{.Stats}}
    stats enable
    stats uri /
backend wsecho
    balance leastconn
    option httpchk GET /readyz
    option redispatch
    retries 3
    retry-on conn-failure empty-response 503
    default-server check inter {{.Interval}} fall 2 rise 1
{{range $i, $addr := .Servers}}    server s{{$i}} {{$addr}}
{{end}}`,
			delay:   rolling("800ms", "3s"), // over twice the check interval
			retries: haproxyRetries,
		},
		{
			name:  "nginx",
			delay: "0s", // nginx has no health checks: it tries the next server
			args: func(config string) []string {
				return []string{"-p", filepath.Dir(config), "-c", config, "-e", "stderr"}
			},
			config: `
daemon off;
{{if .Root}}user root;{{end}}
worker_processes 2;
worker_rlimit_nofile 10000;
pid nginx.pid;
error_log stderr error;
events { worker_connections 6000; }
http {
    access_log off;
    client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
    map $http_upgrade $connection_upgrade { default upgrade; "" close; }
    upstream wsecho {
        zone wsecho 64k;
        least_conn;
{{range .Servers}}        server {{.}} max_fails=0;
{{end}}    }
    server {
        listen {{.Addr}} backlog=4096;
        location / {
            proxy_pass http://wsecho;
            proxy_http_version 1.1;
            proxy_set_header Host $http_host;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $connection_upgrade;
            proxy_next_upstream error timeout http_503;
            proxy_read_timeout 60s;
        }
    }
}
`,
		},
	}
}

// startRollingProxy starts a proxy in front of the servers until the end of the test.
func startRollingProxy(t *testing.T, kind rollingProxy, servers []*replica) *runningProxy {
	t.Helper()
	program, err := exec.LookPath(kind.name)
	if err != nil {
		program, err = exec.LookPath("/usr/sbin/" + kind.name) // not in the PATH of every user
	}
	if err != nil {
		testfull.Missing(t, "%s is not installed", kind.name)
	}
	p := &runningProxy{addr: ownAddr(t), stats: ownAddr(t)}
	var addrs []string
	for _, s := range servers {
		addrs = append(addrs, s.addr)
	}
	dir := t.TempDir()
	var text bytes.Buffer
	err = template.Must(template.New("").Parse(kind.config)).Execute(&text, map[string]any{
		"Addr": p.addr, "Stats": p.stats, "Servers": addrs, "Interval": rolling("300ms", "1s"), "Root": os.Geteuid() == 0,
	})
	if err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(dir, "proxy.conf")
	if err := os.WriteFile(config, text.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	cmd := exec.Command(program, kind.args(config)...)
	cmd.Stdout, cmd.Stderr = &log, &log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // with the workers
		<-ended
		if t.Failed() {
			t.Logf("the output of %s:\n%s", kind.name, log.Bytes())
		}
	})
	// The proxy is ready when a request reaches a server.
	for end := time.Now().Add(waitLimit); ; time.Sleep(20 * time.Millisecond) {
		if ctx, cancel := context.WithTimeout(t.Context(), waitLimit); ready(ctx, p.addr) {
			cancel()
			return p
		} else {
			cancel()
		}
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("%s: %v\n%s", kind.name, err, log.Bytes())
		default:
		}
		if time.Now().After(end) {
			t.Fatalf("%s does not answer", kind.name)
		}
	}
}

func ready(ctx context.Context, addr string) bool {
	text, err := get(ctx, addr+"/readyz")
	return err == nil && text != ""
}

// get returns the body of a response with the status 200.
func get(ctx context.Context, url string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+url, nil)
	if err != nil {
		return "", err
	}
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	var text bytes.Buffer
	if _, err := text.ReadFrom(resp.Body); err != nil {
		return "", err
	}
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s: %s", resp.Status, text.Bytes())
	}
	return text.String(), nil
}

// haproxyRetries returns the counters of HAProxy.
func haproxyRetries(t *testing.T, p *runningProxy) string {
	t.Helper()
	text, err := get(t.Context(), p.stats+"/;csv")
	if err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(text, "# "))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, row := range rows[1:] {
		col := make(map[string]string)
		for i, name := range rows[0] {
			col[name] = row[i]
		}
		if strings.HasPrefix(col["svname"], "s") && col["pxname"] == "wsecho" {
			found = append(found, fmt.Sprintf("%s: %s times down, %s retries, %s redispatched", col["svname"], col["chkdown"], col["wretr"], col["wredis"]))
		}
	}
	if len(found) != 3 {
		t.Errorf("got %d servers from HAProxy, want 3:\n%s", len(found), text)
	}
	return strings.Join(found, "; ")
}
