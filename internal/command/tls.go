package command

import (
	"cmp"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"
)

// A tlsFlags holds the flags of serve about TLS.
type tlsFlags struct {
	Cert          string `group:"tls" name:"tls-cert" placeholder:"FILE" help:"PEM file with the certificate, followed by its intermediates. TCP addresses then serve wss:// only. The server loads a changed file within two seconds, or at SIGHUP."`
	Key           string `group:"tls" name:"tls-key" placeholder:"FILE" help:"PEM file with the private key of the certificate, not encrypted."`
	ClientCA      string `group:"tls" name:"tls-client-ca" placeholder:"FILE" help:"PEM file of authorities. Each client must have a certificate from one of them."`
	SelfSigned    bool   `group:"tls" name:"tls-self-signed" help:"Use a certificate for localhost and the name of this machine, made at start and kept in memory. For trials."`
	SelfSignedOut string `group:"tls" name:"tls-self-signed-out" placeholder:"FILE" help:"File to write that certificate to, for clients that shall trust it."`
}

// enabled reports whether the flags ask for TLS.
func (f *tlsFlags) enabled() bool { return f.SelfSigned || f.Cert != "" }

// check returns a usage error if the flags do not fit together.
func (f *tlsFlags) check() error {
	var text string
	switch {
	case f.SelfSigned && (f.Cert != "" || f.Key != ""):
		text = "--tls-self-signed: it replaces --tls-cert and --tls-key; use one of them"
	case f.Cert != "" && f.Key == "":
		text = "--tls-cert: it needs --tls-key, the file with the private key"
	case f.Key != "" && f.Cert == "":
		text = "--tls-key: it needs --tls-cert, the file with the certificate"
	case f.ClientCA != "" && !f.enabled():
		text = "--tls-client-ca: it needs --tls-cert and --tls-key"
	case f.SelfSignedOut != "" && !f.SelfSigned:
		text = "--tls-self-signed-out: it needs --tls-self-signed"
	default:
		return nil
	}
	return usageError{errors.New(text)}
}

// tlsFiles are the contents of the files of the flags. Those of unset flags are empty.
type tlsFiles struct{ cert, key, clientCA string }

// read reads the files.
func (f *tlsFlags) read() (c tlsFiles, err error) {
	if c.cert, err = readPEM("--tls-cert", f.Cert); err != nil {
		return c, err
	}
	if c.key, err = readPEM("--tls-key", f.Key); err != nil {
		return c, err
	}
	c.clientCA, err = readPEM("--tls-client-ca", f.ClientCA)
	return c, err
}

// maxPEM is the size of the largest file that is read.
const maxPEM = 4 << 20

// readPEM returns the content of a regular file that is not empty, "" for no name.
func readPEM(flag, name string) (string, error) {
	if name == "" {
		return "", nil
	}
	file, err := openRegular(name)
	if err != nil {
		return "", fmt.Errorf("%s: %w", flag, err)
	}
	defer file.Close()
	b, err := io.ReadAll(io.LimitReader(file, maxPEM+1))
	switch {
	case err != nil:
		return "", fmt.Errorf("%s: %w", flag, err)
	case len(b) == 0:
		return "", fmt.Errorf("%s: %s is empty", flag, name)
	case len(b) > maxPEM:
		return "", fmt.Errorf("%s: %s has more than %d MiB; it is not a file of certificates or a key", flag, name, maxPEM>>20)
	}
	return string(b), nil
}

// openRegular opens a regular file. A pipe has no content when it is read again, and its
// Open would wait for a writer. O_NONBLOCK prevents that. A check before Open could not: the
// file may be replaced meanwhile.
func openRegular(name string) (*os.File, error) {
	file, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		_ = file.Close()
		return nil, cmp.Or(err, fmt.Errorf("%s is not a regular file, which the server can read again", name))
	}
	return file, nil
}

// config returns the configuration with the content of the files. now is the time at which
// the certificate must be valid. The error is one sentence.
func (f *tlsFlags) config(c tlsFiles, now time.Time) (*tls.Config, error) {
	pair, err := f.pair(c, now)
	if err != nil {
		return nil, err
	}
	return f.configFor(pair, c.clientCA, now)
}

// configFor returns the configuration with a certificate.
func (f *tlsFlags) configFor(pair tls.Certificate, clientCA string, now time.Time) (*tls.Config, error) {
	config := &tls.Config{
		MinVersion:   tls.VersionTLS12,
		NextProtos:   []string{"http/1.1"}, // no WebSocket over HTTP/2
		Certificates: []tls.Certificate{pair},
	}
	if clientCA == "" {
		return config, nil
	}
	config.ClientAuth = tls.RequireAndVerifyClientCert
	config.ClientCAs = x509.NewCertPool()
	certs, err := certificates("--tls-client-ca", f.ClientCA, clientCA)
	if err != nil {
		return nil, err
	}
	valid := false
	for _, cert := range certs {
		config.ClientCAs.AddCert(cert)
		valid = valid || checkTime(cert, now) == nil
	}
	if !valid {
		return nil, fmt.Errorf("--tls-client-ca: %s: %w", f.ClientCA, checkTime(certs[0], now))
	}
	return config, nil
}

// pair returns the certificate with its key.
func (f *tlsFlags) pair(c tlsFiles, now time.Time) (pair tls.Certificate, err error) {
	certs, err := certificates("--tls-cert", f.Cert, c.cert)
	if err != nil {
		return pair, err
	}
	key, err := f.privateKey(c.key)
	if err != nil {
		return pair, err
	}
	owner := slices.IndexFunc(certs, func(cert *x509.Certificate) bool {
		public, ok := cert.PublicKey.(interface{ Equal(crypto.PublicKey) bool })
		return ok && public.Equal(key.Public())
	})
	switch {
	case owner < 0:
		return pair, fmt.Errorf("--tls-key: the key in %s does not belong to the certificate in %s", f.Key, f.Cert)
	case owner > 0:
		return pair, fmt.Errorf("--tls-cert: the certificate of the key is number %d in %s; it must be the first, and its intermediates follow it", owner+1, f.Cert)
	}
	if err := checkTime(certs[0], now); err != nil {
		return pair, fmt.Errorf("--tls-cert: %s: %w", f.Cert, err)
	}
	pair = tls.Certificate{PrivateKey: key, Leaf: certs[0]}
	for _, cert := range certs {
		pair.Certificate = append(pair.Certificate, cert.Raw)
	}
	return pair, nil
}

// checkTime returns an error if the certificate is not valid now.
func checkTime(cert *x509.Certificate, now time.Time) error {
	switch {
	case now.After(cert.NotAfter):
		return fmt.Errorf("the certificate expired at %s", cert.NotAfter.UTC().Format(time.RFC3339))
	case now.Before(cert.NotBefore):
		return fmt.Errorf("the certificate is not valid before %s; is the clock of this machine right?", cert.NotBefore.UTC().Format(time.RFC3339))
	}
	return nil
}

// certificates returns the certificates of a PEM file, at least one.
func certificates(flag, name, content string) (certs []*x509.Certificate, err error) {
	others := ""
	for block, rest := pem.Decode([]byte(content)); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			others = block.Type
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%s: certificate %d in %s is broken: %s", flag, len(certs)+1, name, strings.TrimPrefix(err.Error(), "x509: "))
		}
		certs = append(certs, cert)
	}
	switch {
	case len(certs) > 0:
		return certs, nil
	case strings.HasSuffix(others, "PRIVATE KEY"):
		return nil, fmt.Errorf("%s: %s contains a private key and no certificate; are the files swapped?", flag, name)
	case others != "":
		return nil, fmt.Errorf("%s: %s contains no certificate, but %.40q", flag, name, others)
	}
	return nil, fmt.Errorf("%s: %s contains no PEM certificate", flag, name)
}

// privateKey returns the first private key of --tls-key.
func (f *tlsFlags) privateKey(content string) (crypto.Signer, error) {
	found := "no PEM private key"
	for block, rest := pem.Decode([]byte(content)); block != nil; block, rest = pem.Decode(rest) {
		switch {
		case block.Type == "ENCRYPTED PRIVATE KEY" || strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED"):
			return nil, fmt.Errorf("--tls-key: the key in %s is encrypted; decrypt it, for example with openssl pkey", f.Key)
		case strings.HasSuffix(block.Type, "PRIVATE KEY"):
			key, err := parseKey(block.Bytes)
			if err == nil {
				err = checkKey(key)
			}
			if err != nil {
				return nil, fmt.Errorf("--tls-key: the key in %s is broken, or of a kind that TLS does not use: %w", f.Key, err)
			}
			return key, nil
		case block.Type == "CERTIFICATE":
			found = "a certificate and no private key"
		}
	}
	return nil, fmt.Errorf("--tls-key: %s contains %s", f.Key, found)
}

// parseKey returns a key in one of the three forms of a PEM block.
func parseKey(der []byte) (crypto.Signer, error) {
	if key, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		return key, nil
	}
	if key, err := x509.ParseECPrivateKey(der); err == nil {
		return key, nil
	}
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, errors.New(strings.TrimPrefix(err.Error(), "x509: "))
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("%T cannot sign", key)
	}
	return signer, nil
}

// checkKey returns an error for a key with which every handshake of TLS 1.3 would fail.
func checkKey(key crypto.Signer) error {
	switch public := key.Public().(type) {
	case *ecdsa.PublicKey:
		if public.Curve == elliptic.P224() {
			return errors.New("ECDSA on the curve P-224; use P-256")
		}
	case *rsa.PublicKey:
		if bits := public.N.BitLen(); bits < 1024 {
			return fmt.Errorf("RSA with %d bits; use 2048", bits)
		}
	}
	return nil
}

// fingerprint returns the SHA-256 of a certificate, as browsers and openssl print it.
func fingerprint(cert *x509.Certificate) string {
	sum := sha256.Sum256(cert.Raw)
	return strings.ReplaceAll(fmt.Sprintf("% X", sum), " ", ":")
}

// logCertificate logs a certificate that is used from now on.
func logCertificate(log *slog.Logger, msg string, cert *x509.Certificate) {
	log.Info(msg, "names", namesOf(cert), "expires", cert.NotAfter.UTC().Format(time.RFC3339), "sha256", fingerprint(cert))
}

// namesOf returns the first names of a certificate.
func namesOf(cert *x509.Certificate) string {
	names := slices.Clone(cert.DNSNames)
	for _, ip := range cert.IPAddresses {
		names = append(names, ip.String())
	}
	const most = 5
	shown := strings.Join(names[:min(most, len(names))], ",")
	if len(names) > most {
		shown += fmt.Sprintf(",…(+%d)", len(names)-most)
	}
	return shown
}

// writeCertificate writes a certificate to a file. It replaces only a file of certificates.
func writeCertificate(name string, cert *x509.Certificate) error {
	const begin = "-----BEGIN CERTIFICATE-----"
	file, err := openRegular(name)
	switch {
	case err == nil:
		old, err := io.ReadAll(io.LimitReader(file, int64(len(begin))))
		_ = file.Close()
		if err != nil {
			return usageError{fmt.Errorf("--tls-self-signed-out: %w", err)}
		}
		if len(old) > 0 && string(old) != begin {
			return usageError{fmt.Errorf("--tls-self-signed-out: %s exists and is not a certificate; choose another name", name)}
		}
	case !errors.Is(err, fs.ErrNotExist):
		return usageError{fmt.Errorf("--tls-self-signed-out: %w", err)}
	}
	if err := os.WriteFile(name, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}), 0o644); err != nil {
		return usageError{fmt.Errorf("--tls-self-signed-out: %w", err)}
	}
	return nil
}
