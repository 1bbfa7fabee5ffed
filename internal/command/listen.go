package command

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"syscall"

	"github.com/coreos/go-systemd/v22/activation"

	"example.com/wsecho/internal/listener"
)

// A listenerSet is the open listeners of --addr.
type listenerSet []net.Listener

// listen opens a listener for each --addr. If one fails, it closes the others. The error is
// one sentence.
func (f *serveCommand) listen() (all listenerSet, err error) {
	defer func() {
		if err != nil {
			all.close()
			all = nil
		}
	}()
	if f.ReusePort {
		if err := f.checkReusePort(); err != nil {
			return nil, err
		}
	}
	for _, addr := range f.Addr {
		switch {
		case addr == "systemd":
			var inherited listenerSet
			inherited, err = inherit()
			all = append(all, inherited...)
		case strings.HasPrefix(addr, unixPrefix):
			var l net.Listener
			if l, err = listenUnix(addr, f.UnixMode); err == nil {
				all = append(all, l)
			}
		default:
			var l net.Listener
			if l, err = listenTCP(addr, f.ReusePort); err == nil {
				all = append(all, l)
			}
		}
		if err != nil {
			return all, err
		}
	}
	return all, nil
}

func (s listenerSet) close() {
	for _, l := range s {
		_ = l.Close()
	}
}

// withTLS returns the listeners with TLS over the TCP sockets. Unix sockets have no TLS.
// Their files have permissions, and their clients are on this machine.
func (s listenerSet) withTLS(config *tls.Config) listenerSet {
	all := make(listenerSet, len(s))
	for i, l := range s {
		if l.Addr().Network() != "unix" {
			l = listener.WithTLS(l, config)
		}
		all[i] = l
	}
	return all
}

// checkReusePort returns a usage error if --reuseport can have no effect.
func (f *serveCommand) checkReusePort() error {
	if setReusePort == nil {
		return usageError{errors.New("--reuseport: this system cannot spread the connections to one port over several processes; Linux can")}
	}
	for _, addr := range f.Addr {
		if addr != "systemd" && !strings.HasPrefix(addr, unixPrefix) {
			return nil
		}
	}
	return usageError{errors.New("--reuseport: it needs a TCP address; for systemd, set ReusePort=yes in the socket unit")}
}

func listenTCP(addr string, reusePort bool) (net.Listener, error) {
	if _, port, err := net.SplitHostPort(addr); err != nil {
		return nil, usageError{fmt.Errorf("--addr: %q is not an address to listen on, such as :8080, 127.0.0.1:8080 or unix:/run/wsecho.sock", addr)}
	} else if err := checkPort("--addr", addr, port); err != nil {
		return nil, err
	}
	var config net.ListenConfig
	if reusePort {
		config.Control = setReusePort
	}
	l, err := config.Listen(context.Background(), "tcp", addr)
	switch {
	case err == nil:
		return l, nil
	case isErrno(err, syscall.EADDRINUSE):
		hint := "choose another address with --addr, or --addr=:0 for any free port"
		if reusePort {
			hint = "with --reuseport, each process on the address needs that flag and the same user"
		}
		return nil, hintError{fmt.Errorf("cannot listen on %s: the address is in use", addr), hint}
	case isErrno(err, syscall.EACCES):
		return nil, hintError{fmt.Errorf("cannot listen on %s: permission denied", addr),
			"ports below 1024 may need a privilege; choose another port with --addr"}
	}
	return nil, fmt.Errorf("cannot listen on %s: %w", addr, inner(err))
}

// checkPort returns a usage error if port, a part of addr, is none. Package net takes an
// empty port, and a sign without a number, for any free port.
func checkPort(flag, addr, port string) error {
	if port == "" {
		return usageError{fmt.Errorf("%s: %q has no port; use a number, or 0 for any free port", flag, addr)}
	}
	if n, err := net.LookupPort("tcp", port); err != nil || n == 0 && port != "0" {
		return usageError{fmt.Errorf("%s: %q is not a port; use a number from 0 to 65535", flag, port)}
	}
	return nil
}

// inner returns the cause of a net.OpError, without its address.
func inner(err error) error {
	if op := (*net.OpError)(nil); errors.As(err, &op) {
		return op.Err
	}
	return err
}

// inherit returns the sockets that systemd has passed to the process.
func inherit() (all listenerSet, err error) {
	files := activation.Files(true)
	if len(files) == 0 {
		return nil, hintError{usageError{errors.New("--addr=systemd: the process has inherited no sockets from systemd")},
			"start the socket unit, not the service alone, and name systemd only once in --addr"}
	}
	for _, file := range files {
		l, listenErr := net.FileListener(file) // a copy of the descriptor
		name := file.Name()
		_ = file.Close()
		if listenErr != nil {
			err = usageError{fmt.Errorf("--addr=systemd: the socket %q is not a stream that listens; use ListenStream= and Accept=no in the socket unit", name)}
			continue
		}
		all = append(all, l)
	}
	return all, err
}

// inheritedUnused reports whether systemd has passed sockets, and --addr does not use them.
func (f *serveCommand) inheritedUnused() bool {
	for _, addr := range f.Addr {
		if addr == "systemd" {
			return false
		}
	}
	return os.Getenv("LISTEN_PID") == fmt.Sprint(os.Getpid())
}

// shownAddr returns the address of a listener as --addr takes it.
func shownAddr(addr net.Addr) string {
	if addr.Network() == "unix" {
		return unixPrefix + addr.String()
	}
	return addr.String()
}

// clientURL returns a URL that a client on this machine can use, "" for a unix socket.
func clientURL(scheme string, addr net.Addr) string {
	host, port, err := net.SplitHostPort(addr.String())
	if err != nil || addr.Network() == "unix" {
		return ""
	}
	if ip, err := netip.ParseAddr(host); err != nil || ip.WithZone("").IsUnspecified() {
		host = "localhost"
	}
	u := url.URL{Scheme: scheme, Host: net.JoinHostPort(host, port), Path: "/"} // escapes the zone of an address
	return u.String()
}
