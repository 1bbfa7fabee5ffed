package command

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
)

// clientFlags are the flags of all clients about the handshakes. The commands embed them
// with a prefix for the variables.
type clientFlags struct {
	Subprotocol []string `group:"handshake" env:"SUBPROTOCOL" placeholder:"NAME" help:"Subprotocol to offer. The server must select one. Repeatable."`
	Header      []string `group:"handshake" env:"HEADER" sep:"none" placeholder:"NAME:VALUE" help:"Header to send. Repeatable."`
	Origin      string   `group:"handshake" env:"ORIGIN" placeholder:"URL" help:"Origin to send."`
	Insecure    bool     `group:"handshake" env:"INSECURE" help:"Accept any certificate."`
	CA          string   `group:"handshake" name:"ca" env:"CA" placeholder:"FILE" help:"PEM file of certificates to trust in addition to the system's."`
	Cert        string   `group:"handshake" env:"CERT" placeholder:"FILE" help:"PEM file of a certificate for this client, for servers that require one."`
	Key         string   `group:"handshake" env:"KEY" placeholder:"FILE" help:"PEM file of the key of --cert; the same file unless set."`
}

// parseHeader returns the header that --header and --origin ask for.
func parseHeader(fields []string, origin string) (http.Header, error) {
	header := http.Header{}
	for _, h := range fields {
		name, value, ok := strings.Cut(h, ":")
		if !ok {
			return nil, usageError{fmt.Errorf("--header: %q is not NAME:VALUE, such as X-Request-Id:7", h)}
		}
		header.Add(name, strings.TrimSpace(value))
	}
	if origin != "" {
		ascii, err := asciiOrigins("--origin", []string{origin})
		if err != nil {
			return nil, err
		}
		header["Origin"] = ascii
	}
	return header, nil
}

// header returns the header that the flags ask for.
func (f *clientFlags) header() (http.Header, error) { return parseHeader(f.Header, f.Origin) }

// tlsConfig returns the configuration of TLS that the flags ask for.
func (f *clientFlags) tlsConfig() (*tls.Config, error) {
	config := &tls.Config{InsecureSkipVerify: f.Insecure}
	if f.Key != "" && f.Cert == "" {
		return nil, usageError{errors.New("--key: it needs --cert")}
	}
	if f.Cert != "" {
		pair, err := tls.LoadX509KeyPair(f.Cert, cmp.Or(f.Key, f.Cert))
		if err != nil {
			return nil, usageError{fmt.Errorf("--cert: %w", err)}
		}
		config.Certificates = []tls.Certificate{pair}
	}
	if f.CA == "" {
		return config, nil
	}
	pem, err := os.ReadFile(f.CA)
	if err != nil {
		return nil, usageError{fmt.Errorf("--ca: %w", err)}
	}
	if config.RootCAs, err = x509.SystemCertPool(); err != nil {
		config.RootCAs = x509.NewCertPool()
	}
	if !config.RootCAs.AppendCertsFromPEM(pem) {
		return nil, usageError{fmt.Errorf("--ca: %s contains no PEM certificate", f.CA)}
	}
	return config, nil
}
