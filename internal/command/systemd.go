package command

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// A serviceManager reports states of the process to systemd. Without systemd it does
// nothing. Its methods may be called concurrently.
type serviceManager struct {
	log    *slog.Logger
	failed sync.Once
}

// notify sends a state. The log gets the first failure.
func (m *serviceManager) notify(state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		m.failed.Do(func() { m.log.Warn("systemd cannot be notified", "cause", err.Error()) })
	}
}

func (m *serviceManager) ready() { m.notify(daemon.SdNotifyReady) }

// stopping reports the begin of a drain that lasts at most d.
func (m *serviceManager) stopping(d time.Duration) {
	m.notify(fmt.Sprintf("%s\nEXTEND_TIMEOUT_USEC=%d", daemon.SdNotifyStopping, d.Microseconds()))
}

// reload reports that a configuration is being loaded, calls load, and reports the end.
func (m *serviceManager) reload(load func()) {
	m.notify(daemon.SdNotifyReloading + "\n" + daemon.SdNotifyMonotonicUsec())
	load()
	m.ready()
}

// watchdog returns the interval within which systemd wants to be notified, 0 for none.
func (m *serviceManager) watchdog() time.Duration {
	d, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		m.log.Warn("systemd's watchdog is not served", "cause", err.Error())
	}
	return d
}

// keepAlive notifies the watchdog twice per interval, as long as the server answers, until
// ctx ends. Without an answer systemd ends the process after the interval.
func (m *serviceManager) keepAlive(ctx context.Context, interval time.Duration, check func(context.Context) error) {
	t := time.NewTicker(interval / 2)
	defer t.Stop()
	for {
		var err error
		// The server may evict the connection of a check if others take all slots.
		for range 3 {
			attempt, cancel := context.WithTimeout(ctx, interval/8)
			err = check(attempt)
			cancel()
			if err == nil {
				break
			}
		}
		if err == nil {
			m.notify(daemon.SdNotifyWatchdog)
		} else if ctx.Err() == nil {
			m.log.Warn("the server does not answer itself, and systemd is not notified", "cause", err.Error())
		}
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
	}
}

// A selfCheck is a listener in memory, for requests of the process to itself. Such a
// request takes the path of all others: the limit of pending connections, net/http and the
// server. It needs no address, no certificate and no file descriptor.
type selfCheck struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newSelfCheck() *selfCheck {
	return &selfCheck{conns: make(chan net.Conn), closed: make(chan struct{})}
}

func (l *selfCheck) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *selfCheck) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *selfCheck) Addr() net.Addr { return selfAddr{} }

type selfAddr struct{}

func (selfAddr) Network() string { return "memory" }
func (selfAddr) String() string  { return "self-check" }

// check requests /healthz. It returns nil if the listener is closed, because the server
// drains then, and a drain has its own limit.
func (l *selfCheck) check(ctx context.Context) error {
	ours, theirs := net.Pipe()
	defer ours.Close()
	defer context.AfterFunc(ctx, func() { ours.Close() })()
	select {
	case l.conns <- theirs:
	case <-l.closed:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("no connection is accepted: %w", ctx.Err())
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://localhost/healthz", nil)
	if err != nil {
		return err
	}
	r.Close = true
	if err := r.Write(ours); err != nil {
		return fmt.Errorf("requesting /healthz: %w", err)
	}
	response, err := http.ReadResponse(bufio.NewReader(ours), r)
	if err != nil {
		return fmt.Errorf("reading the answer of /healthz: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("/healthz answers %s", response.Status)
	}
	return nil
}
