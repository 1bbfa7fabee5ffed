package command

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"example.com/wsecho/wstest"
)

// nameServer returns a resolver that gets these answers, one after the other, for A.
func nameServer(t *testing.T, answers ...[]string) *net.Resolver {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() {
		c.Close()
		<-done
	})
	go func() {
		defer close(done)
		buffer := make([]byte, 1500)
		for asked := 0; ; {
			n, from, err := c.ReadFrom(buffer)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(buffer[:n]) != nil || len(m.Questions) != 1 {
				continue
			}
			m.Response, m.Additionals = true, nil
			if q := m.Questions[0]; q.Type == dnsmessage.TypeA {
				for _, a := range answers[min(asked, len(answers)-1)] {
					m.Answers = append(m.Answers, dnsmessage.Resource{
						Header: dnsmessage.ResourceHeader{Name: q.Name, Class: dnsmessage.ClassINET},
						Body:   &dnsmessage.AResource{A: netip.MustParseAddr(a).As4()},
					})
				}
				asked++
			}
			if packed, err := m.Pack(); err == nil {
				_, _ = c.WriteTo(packed, from)
			}
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", c.LocalAddr().String())
	}}
}

// TestProbeNames checks that a name with a private address is refused at the moment of the
// connection. Its earlier addresses do not matter.
func TestProbeNames(t *testing.T) {
	t.Parallel()
	var opened atomic.Int64
	address := wstest.Serve(t, func(p *wstest.Peer) { opened.Add(1); wstest.Echo(p) })
	_, port, _ := strings.Cut(strings.TrimPrefix(address, "ws://"), ":")
	public := "*:* 192.0.2.0/24:1" // of no machine
	for _, tt := range []struct {
		name, patterns string
		answers        [][]string
		status         int
		want           string
		opened         int64
	}{
		{"private", public, [][]string{{"127.0.0.1"}}, 403, "rebind.test leads to 127.0.0.1, which is a private address; only a pattern with the address allows it, such as --probe-target=127.0.0.1:" + port, 0},
		{"the name itself", "rebind.test:*", [][]string{{"127.0.0.1"}}, 403, "leads to 127.0.0.1", 0},
		{"another port", "*:* 127.0.0.1:1", [][]string{{"127.0.0.1"}}, 403, "leads to 127.0.0.1", 0},
		{"several", public, [][]string{{"10.0.0.1", "127.0.0.1", "169.254.169.254"}}, 403, "a private address", 0},
		{"named", "*:* 127.0.0.1:*", [][]string{{"127.0.0.1"}}, 200, "probe_success 1", 1},
		{"one of them named", "*:* 127.0.0.1:*", [][]string{{"10.0.0.1", "127.0.0.1"}}, 200, "probe_success 1", 1},
	} {
		opened.Store(0)
		resolver := nameServer(t, tt.answers...)
		probeURL := startProber(t, tt.patterns, func(p *prober) { p.resolver = resolver })
		for range 2 {
			status, body := scrape(t, probeURL, "ws://rebind.test:"+port+"/", "count=1")
			if status != tt.status || !strings.Contains(body, tt.want) {
				t.Errorf("%s: got %d, %s", tt.name, status, body)
			}
		}
		if n := opened.Load(); n != 2*tt.opened {
			t.Errorf("%s: %d connections were opened", tt.name, n)
		}
	}

	// The name leads to an allowed address first, and to a private one later.
	resolver := nameServer(t, []string{"127.0.0.1"}, []string{"127.0.0.2"})
	probeURL := startProber(t, "*:* 127.0.0.1:*", func(p *prober) { p.resolver = resolver })
	for _, want := range []int{200, 403, 403} {
		if status, body := scrape(t, probeURL, "ws://rebind.test:"+port+"/", "count=1"); status != want {
			t.Errorf("got %d, want %d: %s", status, want, body)
		}
	}
}

// TestProbeRedirect: a redirect is not followed.
func TestProbeRedirect(t *testing.T) {
	t.Parallel()
	var followed atomic.Int64
	second := wstest.Serve(t, func(*wstest.Peer) { followed.Add(1) })
	first := wstest.ServeRaw(t, nil, func(p *wstest.Peer) {
		if _, err := p.ReadRequest(); err == nil {
			_ = p.SendRaw([]byte("HTTP/1.1 302 Found\r\nLocation: " + second + "/\r\nContent-Length: 0\r\n\r\n"))
		}
	})
	status, body := scrape(t, startProber(t, "127.0.0.1:*", nil), first+"/", "debug=true")
	if status != 200 || followed.Load() != 0 || !strings.Contains(body, "\nprobe_websocket_status_code 302\n") || !strings.Contains(body, second) {
		t.Errorf("got %d, %d connections, %s", status, followed.Load(), body)
	}
}
