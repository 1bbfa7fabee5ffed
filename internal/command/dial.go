package command

import (
	"bufio"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"time"

	"golang.org/x/net/http/httpproxy"
	"golang.org/x/net/proxy"

	"example.com/wsecho/internal/handshake"
)

// connectFlags are the flags of clients about the way to the server.
type connectFlags struct {
	Resolve    []string `group:"connect" env:"RESOLVE" placeholder:"HOST:PORT:ADDRESS" help:"IP address to use for a host and port, in place of a name lookup. Repeatable."`
	UnixSocket string   `group:"connect" env:"UNIX_SOCKET" placeholder:"FILE" help:"Unix socket to connect to. The URL gives the host name of the request."`
	Proxy      string   `group:"connect" env:"PROXY" placeholder:"URL" help:"Proxy to connect through: a URL with http, https or socks5; environment for HTTPS_PROXY (wss), HTTP_PROXY (ws), ALL_PROXY and NO_PROXY; or none."`
}

// The values of --proxy that are no URL.
const (
	noProxy          = "none"
	environmentProxy = "environment"
)

type dialFunc = func(ctx context.Context, network, address string) (net.Conn, error)

// dialer returns the function that opens connections to the server at this URL. It is nil
// if the flags ask for nothing. proxyDefault is the value of --proxy unless set. config is
// for a proxy with https.
func (f *connectFlags) dialer(address string, proxyDefault string, config *tls.Config) (dialFunc, error) {
	addresses, err := f.resolved()
	if err != nil {
		return nil, err
	}
	if f.UnixSocket != "" {
		if f.Proxy != "" && f.Proxy != noProxy {
			return nil, usageError{errors.New("--unix-socket: it excludes --proxy")}
		}
		return func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", f.UnixSocket)
		}, nil
	}
	u, err := url.Parse(address)
	if err != nil {
		return nil, nil // the probe refuses it
	}
	via, err := proxyFor(u, cmp.Or(f.Proxy, proxyDefault))
	if err != nil {
		return nil, usageError{fmt.Errorf("--proxy: %w", err)}
	}
	dial := dialFunc(new(net.Dialer).DialContext)
	if via != nil {
		if dial, err = throughProxy(via, config); err != nil {
			return nil, usageError{fmt.Errorf("--proxy: %w", err)}
		}
	}
	if via == nil && len(addresses) == 0 {
		return nil, nil
	}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		return dial(ctx, network, cmp.Or(addresses[strings.ToLower(address)], address))
	}, nil
}

// resolved returns the addresses that --resolve gives, by host and port.
func (f *connectFlags) resolved() (map[string]string, error) {
	addresses := map[string]string{}
	for _, r := range f.Resolve {
		// The host may be an IPv6 address in brackets, and the address one without.
		end := max(strings.Index(r, "]"), 0)
		host, rest, ok := strings.Cut(r[end:], ":")
		port, ip, two := strings.Cut(rest, ":")
		host = strings.Trim(r[:end]+host, "[]")
		address, err := netip.ParseAddr(strings.Trim(ip, "[]"))
		if !ok || !two || host == "" || port == "" || err != nil {
			return nil, usageError{fmt.Errorf("--resolve: %q is not HOST:PORT:ADDRESS, such as example.com:443:192.0.2.1", r)}
		}
		if host, err = asciiHost(host); err != nil {
			return nil, usageError{fmt.Errorf("--resolve: %w", err)}
		}
		addresses[strings.ToLower(net.JoinHostPort(host, port))] = net.JoinHostPort(address.String(), port)
	}
	return addresses, nil
}

// proxyFor returns the proxy for a URL, nil for none. ALL_PROXY replaces the other
// variables of the environment that are not set. Loopback addresses use no proxy of the
// environment.
func proxyFor(u *url.URL, choice string) (*url.URL, error) {
	switch choice {
	case noProxy:
		return nil, nil
	case environmentProxy:
		env := httpproxy.FromEnvironment()
		env.CGI = false // no CGI script runs this command
		all := cmp.Or(os.Getenv("ALL_PROXY"), os.Getenv("all_proxy"))
		env.HTTPProxy, env.HTTPSProxy = cmp.Or(env.HTTPProxy, all), cmp.Or(env.HTTPSProxy, all)
		target := *u
		target.Scheme = map[string]string{"ws": "http", "wss": "https"}[u.Scheme]
		return env.ProxyFunc()(&target)
	}
	via, err := url.Parse(choice)
	if err != nil || via.Host == "" {
		return nil, fmt.Errorf("%q is not a URL such as http://127.0.0.1:3128, %s or %s", choice, environmentProxy, noProxy)
	}
	return via, nil
}

// throughProxy returns a function that connects through a proxy. The proxy looks up the
// name of the server.
func throughProxy(via *url.URL, config *tls.Config) (dialFunc, error) {
	ports := map[string]string{"http": "80", "https": "443", "socks5": "1080", "socks5h": "1080"}
	if ports[via.Scheme] == "" {
		return nil, fmt.Errorf("%s has another scheme than http, https and socks5", via.Redacted())
	}
	at := net.JoinHostPort(via.Hostname(), cmp.Or(via.Port(), ports[via.Scheme]))
	if strings.HasPrefix(via.Scheme, "socks5") {
		var auth *proxy.Auth
		if via.User != nil {
			password, _ := via.User.Password()
			auth = &proxy.Auth{User: via.User.Username(), Password: password}
		}
		d, err := proxy.SOCKS5("tcp", at, auth, new(net.Dialer))
		if err != nil {
			return nil, err
		}
		return d.(proxy.ContextDialer).DialContext, nil
	}
	return func(ctx context.Context, _, address string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", at)
		if err != nil {
			return nil, err
		}
		if err := connectThrough(ctx, &conn, via, address, config); err != nil {
			conn.Close()
			return nil, err
		}
		return conn, nil
	}, nil
}

// connectThrough asks an HTTP proxy for a tunnel to an address (RFC 9110, section 9.3.6).
// It puts TLS over conn if the proxy's URL has https.
func connectThrough(ctx context.Context, conn *net.Conn, via *url.URL, address string, config *tls.Config) error {
	tcp := *conn
	if end, ok := ctx.Deadline(); ok {
		if err := tcp.SetDeadline(end); err != nil {
			return err
		}
	}
	interrupted := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(interrupted)
		_ = tcp.SetDeadline(time.Unix(1, 0))
	})
	defer func() {
		if !stop() {
			<-interrupted
		}
	}()
	if via.Scheme == "https" {
		*conn = tls.Client(tcp, handshake.TLSConfig(config, via))
	}
	r := &http.Request{Method: http.MethodConnect, URL: &url.URL{Opaque: address}, Host: address, Header: http.Header{"User-Agent": {"wsecho"}}}
	if via.User != nil {
		password, _ := via.User.Password()
		r.SetBasicAuth(via.User.Username(), password)
		r.Header["Proxy-Authorization"] = r.Header["Authorization"]
		delete(r.Header, "Authorization")
	}
	if err := r.Write(*conn); err != nil {
		return err
	}
	in := bufio.NewReader(io.LimitReader(*conn, 64<<10))
	response, err := http.ReadResponse(in, r)
	switch {
	case err != nil && ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, os.ErrDeadlineExceeded):
		return err
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("the proxy %s ended the connection", via.Host)
	case err != nil:
		return fmt.Errorf("the proxy %s: %s", via.Host, handshake.Innermost(err))
	case response.StatusCode != http.StatusOK:
		return fmt.Errorf("the proxy %s answered %d %s", via.Host, response.StatusCode, http.StatusText(response.StatusCode))
	case in.Buffered() > 0:
		return fmt.Errorf("the proxy %s sent bytes that belong to no answer", via.Host)
	}
	return tcp.SetDeadline(time.Time{})
}
