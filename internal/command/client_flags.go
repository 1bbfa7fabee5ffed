package command

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"os"
	"strings"
)

// headerOf is what --header and --origin say.
func headerOf(fields []string, origin string) (http.Header, error) {
	header := http.Header{}
	for _, h := range fields {
		name, value, ok := strings.Cut(h, ":")
		if !ok {
			return nil, fmt.Errorf("--header: %q is not NAME:VALUE", h)
		}
		header.Add(name, strings.TrimSpace(value))
	}
	if origin != "" {
		header.Set("Origin", origin)
	}
	return header, nil
}

// tlsOf is what --insecure and --ca say.
func tlsOf(insecure bool, ca string) (*tls.Config, error) {
	config := &tls.Config{InsecureSkipVerify: insecure}
	if ca == "" {
		return config, nil
	}
	pem, err := os.ReadFile(ca)
	if err != nil {
		return nil, fmt.Errorf("--ca: %w", err)
	}
	if config.RootCAs, err = x509.SystemCertPool(); err != nil {
		config.RootCAs = x509.NewCertPool() // these alone, then
	}
	if !config.RootCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("--ca: there is no certificate in %s", ca)
	}
	return config, nil
}
