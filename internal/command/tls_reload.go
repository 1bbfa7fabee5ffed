package command

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"net"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

const (
	// reloadInterval is the time between two reads of the files. Reading finds every change:
	// a write, a rename, and a symbolic link to another directory, also on NFS. Three small
	// files take about 50 µs.
	reloadInterval = time.Second
	// expiryInterval is the time between two warnings that the certificate expires.
	expiryInterval = 24 * time.Hour
	// expiryNotice is the time before the end of a certificate at which warnings begin. It is
	// at most a fifth of the certificate's life.
	expiryNotice = 7 * 24 * time.Hour
)

// A certificateStore has the TLS configuration for new connections. It replaces it when the
// files of the flags change. Connections keep theirs.
type certificateStore struct {
	flags *tlsFlags
	log   *slog.Logger

	current atomic.Pointer[tls.Config]

	loaded  tlsFiles      // the content that current was made of
	failed  rejectedFiles // by the last read
	warned  rejectedFiles // in the log
	noticed time.Time     // of the last warning about expiry
}

// rejectedFiles are contents that cannot be used. The zero value is none.
type rejectedFiles struct {
	files tlsFiles
	cause string
}

var errOnlyUnix = usageError{errors.New("--addr: with TLS it needs a TCP address, because unix sockets have no TLS")}

// certificates returns the certificates of TLS, nil without TLS.
func (f *serveCommand) certificates(log *slog.Logger) (*certificateStore, error) {
	if err := f.TLS.check(); err != nil || !f.TLS.enabled() {
		return nil, err
	}
	if !slices.ContainsFunc(f.Addr, func(addr string) bool { return !strings.HasPrefix(addr, unixPrefix) }) {
		return nil, errOnlyUnix
	}
	var hosts []string // for --tls-self-signed
	for _, addr := range append(f.Host[:len(f.Host):len(f.Host)], f.Addr...) {
		if strings.HasPrefix(addr, unixPrefix) || addr == "systemd" {
			continue
		}
		if host, _, err := net.SplitHostPort(addr); err == nil {
			addr = host
		}
		hosts = append(hosts, strings.Trim(addr, "[]"))
	}
	return newCertificateStore(&f.TLS, hosts, log)
}

// reloadSignal returns the signals that load the certificate. With files of TLS, SIGHUP
// does so and does not stop the server.
func (f *serveCommand) reloadSignal(ctx context.Context) (signals <-chan os.Signal, end func()) {
	if f.TLS.Cert == "" && f.TLS.ClientCA == "" {
		return nil, func() {}
	}
	return onHangup(ctx)
}

// newCertificateStore returns a store with a first configuration. The error is a usage
// error of one sentence.
func newCertificateStore(f *tlsFlags, hosts []string, log *slog.Logger) (*certificateStore, error) {
	s := &certificateStore{flags: f, log: log}
	files, err := f.read()
	if err != nil {
		return nil, usageError{err}
	}
	var config *tls.Config
	if f.SelfSigned {
		var pair tls.Certificate
		if pair, err = selfSigned(hosts, time.Now()); err != nil {
			return nil, err
		}
		config, err = f.configFor(pair, files.clientCA, time.Now())
	} else {
		config, err = f.config(files, time.Now())
	}
	if err != nil {
		return nil, usageError{err}
	}
	s.loaded = files
	s.current.Store(config)
	return s, nil
}

// leafOf returns the certificate of a configuration.
func leafOf(config *tls.Config) *x509.Certificate { return config.Certificates[0].Leaf }

// config returns the configuration of the listeners.
func (s *certificateStore) config() *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return s.current.Load(), nil },
	}
}

// write writes the certificate to the file of --tls-self-signed-out. It does so after the
// addresses are open: another server on them may have written the file. A nil store has no
// file.
func (s *certificateStore) write() error {
	if s == nil || s.flags.SelfSignedOut == "" {
		return nil
	}
	return writeCertificate(s.flags.SelfSignedOut, leafOf(s.current.Load()))
}

// checkSockets returns a usage error if no socket would have TLS. All sockets of systemd may
// be unix sockets. A nil store needs none.
func (s *certificateStore) checkSockets(sockets listenerSet) error {
	if s == nil || slices.ContainsFunc(sockets, func(l net.Listener) bool { return l.Addr().Network() != "unix" }) {
		return nil
	}
	return errOnlyUnix
}

// logFirst logs the first certificate.
func (s *certificateStore) logFirst() {
	leaf := leafOf(s.current.Load())
	if !s.flags.SelfSigned {
		logCertificate(s.log, "certificate loaded", leaf)
		return
	}
	trust := "a browser shows sha256; wsecho check --insecure URL verifies nothing; --tls-self-signed-out=FILE writes a file that clients can trust"
	if name := s.flags.SelfSignedOut; name != "" {
		trust = "wsecho check --ca=" + name + " URL; curl --cacert " + name + " URL; browsers can import the file"
	}
	s.log.Warn("the certificate is self-signed, for a trial; clients do not trust it", "names", namesOf(leaf), "sha256", fingerprint(leaf), "to_trust_it", trust)
}

// watch loads the files whenever they change, and at each value of hangup, until ctx ends.
// It calls around with each load that a signal has caused.
func (s *certificateStore) watch(ctx context.Context, hangup <-chan os.Signal, around func(load func())) {
	t := time.NewTicker(reloadInterval)
	defer t.Stop()
	for {
		s.warnExpiry(time.Now())
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			s.reload(time.Now(), false)
		case <-hangup:
			around(func() { s.reload(time.Now(), true) })
		}
	}
}

// reload replaces the configuration if the files have changed and are right. A program
// that writes two files needs some time. So a problem is logged when a second read finds
// it too. If a signal asks for the load, it is logged at once. Each content is reported
// once.
func (s *certificateStore) reload(now time.Time, asked bool) {
	files, err := s.flags.read()
	if err == nil && files == s.loaded {
		if s.warned.cause != "" {
			s.log.Info("the files of TLS are again those that are used")
		} else if asked {
			s.log.Info("the files of TLS have not changed")
		}
		s.failed, s.warned = rejectedFiles{}, rejectedFiles{}
		return
	}
	var config *tls.Config
	if err == nil {
		config, err = s.renew(files, now)
	}
	if err != nil {
		rejected := rejectedFiles{files, err.Error()}
		repeated := rejected == s.failed
		s.failed = rejected
		if asked || repeated && rejected != s.warned {
			s.warned = rejected
			s.log.Warn("the new files of TLS are not used; the old ones stay in use", "cause", rejected.cause)
		}
		return
	}
	old := leafOf(s.current.Swap(config))
	s.loaded, s.failed, s.warned = files, rejectedFiles{}, rejectedFiles{}
	s.noticed = time.Time{}
	if leaf := leafOf(config); !leaf.Equal(old) {
		logCertificate(s.log, "certificate replaced", leaf)
	} else {
		s.log.Info("TLS configuration replaced; the certificate is the same")
	}
}

// renew returns the configuration with new contents of the files.
func (s *certificateStore) renew(files tlsFiles, now time.Time) (*tls.Config, error) {
	if s.flags.SelfSigned {
		return s.flags.configFor(s.current.Load().Certificates[0], files.clientCA, now)
	}
	return s.flags.config(files, now)
}

// warnExpiry warns once a day of a certificate that expires soon or has expired.
func (s *certificateStore) warnExpiry(now time.Time) {
	leaf := leafOf(s.current.Load())
	notice := min(expiryNotice, leaf.NotAfter.Sub(leaf.NotBefore)/5)
	left := leaf.NotAfter.Sub(now)
	if left > notice || now.Sub(s.noticed) < expiryInterval && (left > 0 || s.noticed.After(leaf.NotAfter)) {
		return
	}
	s.noticed = now
	err := checkTime(leaf, now)
	if err == nil {
		err = errors.New("the certificate expires soon, at " + leaf.NotAfter.UTC().Format(time.RFC3339))
	}
	flag := "--tls-cert"
	if s.flags.SelfSigned {
		flag = "--tls-self-signed" // a restart makes a new one
	}
	s.log.Warn(err.Error(), "names", namesOf(leaf), "flag", flag)
}
