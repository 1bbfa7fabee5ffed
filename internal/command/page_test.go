package command

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

// fakeListener has an address only.
type fakeListener struct {
	net.Listener
	addr string
}

func (l fakeListener) Addr() net.Addr {
	if l.addr == "unix" {
		return &net.UnixAddr{Net: "unix", Name: "/run/wsecho.sock"}
	}
	addr, err := net.ResolveTCPAddr("tcp", l.addr) // of an IP address, so it asks no server
	if err != nil {
		panic(err)
	}
	return addr
}

func TestAdminOrigins(t *testing.T) {
	for _, tt := range []struct{ addr, local, others string }{
		{"127.0.0.1:9090", "http://localhost:9090 http://127.0.0.1:9090", ""},
		{"[::1]:9090", "http://localhost:9090 http://[::1]:9090", ""},
		{"0.0.0.0:80", "http://localhost:80 http://127.0.0.1:80", ""},
		{"[::]:9090", "http://localhost:9090 http://127.0.0.1:9090", ""},
		{"192.0.2.1:9090", "http://localhost:9090", "http://192.0.2.1:9090"},
	} {
		local, others := adminOrigins(fakeListener{addr: tt.addr})
		if strings.Join(local, " ") != tt.local || strings.Join(others, " ") != tt.others {
			t.Errorf("%s: got %s and %s, want %s and %s", tt.addr, local, others, tt.local, tt.others)
		}
	}
	if local, others := adminOrigins(nil); local != nil || others != nil {
		t.Errorf("got %v and %v without a listener", local, others)
	}
}

// TestAdminPage: a browser gets the page at /, and other clients the list of the paths. The
// rest of the admin listener is as without the page.
func TestAdminPage(t *testing.T) {
	paths := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "next "+r.Method+" "+r.URL.Path)
	})
	sockets := listenerSet{fakeListener{addr: "[::]:8443"}, fakeListener{addr: "127.0.0.1:1"}}
	h := protect(new(serveCommand).adminPage(sockets, true, fakeListener{addr: "127.0.0.1:9090"}, paths))
	for _, tt := range []struct {
		request, accept, want string
	}{
		{"GET /", "text/html", `<section id="watch"`},
		{"GET /", "*/*", "next GET /"},
		{"GET /connections", "text/html", "next GET /connections"},
		{"POST /connections/1/close", "*/*", "next POST /connections/1/close"},
		{"GET /console/data.json", "*/*", `"endpoint":"wss://localhost:8443/","watch":true`},
		{"GET /console/watch.js", "*/*", "startWatch"},
	} {
		method, path, _ := strings.Cut(tt.request, " ")
		r := httptest.NewRequest(method, path, nil)
		r.Header.Set("Accept", tt.accept)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), tt.want) {
			t.Errorf("%+v: got %d, %.300s", tt, w.Code, w.Body)
		}
		own := slices.Contains([]string{"/", "/console/data.json", "/console/watch.js"}, path) && !strings.HasPrefix(tt.want, "next")
		if policy := w.Header().Get("Content-Security-Policy"); own != strings.Contains(policy, "frame-ancestors 'none'") {
			t.Errorf("%+v: got the policy %q", tt, policy)
		}
	}
}

// TestAdminEndpoint checks the URL that the page of the admin listener proposes. In the
// browser, localhost becomes the host of the page.
func TestAdminEndpoint(t *testing.T) {
	for _, tt := range []struct{ hosts, addr, admin, want string }{
		{"", "[::]:8080", "127.0.0.1:9090", "ws://localhost:8080/"},
		{"", "[::]:8080", "[::]:9090", "ws://localhost:8080/"},
		{"", "[::]:8080", "192.0.2.1:9090", "ws://192.0.2.1:8080/"},
		{"", "[::]:8080", "[2001:db8::1]:9090", "ws://[2001:db8::1]:8080/"},
		{"", "127.0.0.1:8080", "192.0.2.1:9090", "ws://127.0.0.1:8080/"},
		{"", "192.0.2.2:8080", "192.0.2.1:9090", "ws://192.0.2.2:8080/"},
		{"echo.example a.example", "[::]:8080", "127.0.0.1:9090", "ws://echo.example:8080/"},
		{"echo.example:80", "[::]:8080", "127.0.0.1:9090", "ws://echo.example:80/"}, // a proxy may have this port
		{"2001:db8::1", "[::]:8080", "127.0.0.1:9090", "ws://[2001:db8::1]:8080/"},
		{"echo.example LocalHost", "[::]:8080", "127.0.0.1:9090", "ws://localhost:8080/"},
		{"echo.example localhost:8080", "[::]:8080", "127.0.0.1:9090", "ws://localhost:8080/"},
		{"localhost:80", "[::]:8080", "127.0.0.1:9090", "ws://localhost:80/"},
		{"echo.example [::1]", "[::1]:8080", "127.0.0.1:9090", "ws://[::1]:8080/"},
		{"echo.example", "unix", "127.0.0.1:9090", ""},
	} {
		f := &serveCommand{Host: strings.Fields(tt.hosts)}
		h := f.adminPage(listenerSet{fakeListener{addr: tt.addr}}, false, fakeListener{addr: tt.admin}, http.NotFoundHandler())
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", "/console/data.json", nil))
		if want := `"endpoint":"` + tt.want + `"`; !strings.Contains(w.Body.String(), want) {
			t.Errorf("--host=%s --addr=%s --admin-addr=%s: got %.60s, want %s", tt.hosts, tt.addr, tt.admin, w.Body, want)
		}
	}
}
