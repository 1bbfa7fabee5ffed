package command

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"os"
	"strings"
)

// parseHeader returns the header that --header and --origin ask for.
func parseHeader(fields []string, origin string) (http.Header, error) {
	header := http.Header{}
	for _, h := range fields {
		name, value, ok := strings.Cut(h, ":")
		if !ok {
			return nil, usageError{fmt.Errorf("--header: %q is not NAME:VALUE", h)}
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

// tlsConfig returns the configuration that --insecure and --ca ask for.
func tlsConfig(insecure bool, ca string) (*tls.Config, error) {
	config := &tls.Config{InsecureSkipVerify: insecure}
	if ca == "" {
		return config, nil
	}
	pem, err := os.ReadFile(ca)
	if err != nil {
		return nil, usageError{fmt.Errorf("--ca: %w", err)}
	}
	if config.RootCAs, err = x509.SystemCertPool(); err != nil {
		config.RootCAs = x509.NewCertPool()
	}
	if !config.RootCAs.AppendCertsFromPEM(pem) {
		return nil, usageError{fmt.Errorf("--ca: %s contains no PEM certificate", ca)}
	}
	return config, nil
}
