// Package testcert makes authorities and certificates for tests.
package testcert

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"
)

// An Authority signs certificates. Make it with NewAuthority.
type Authority struct {
	PEM  string // its certificate
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// NewAuthority returns an authority whose certificate it has signed itself.
func NewAuthority(tb testing.TB, name string) *Authority { return newAuthority(tb, name, nil) }

// NewIntermediate returns an authority whose certificate a has signed.
func (a *Authority) NewIntermediate(tb testing.TB, name string) *Authority {
	return newAuthority(tb, name, a)
}

func newAuthority(tb testing.TB, name string, parent *Authority) *Authority {
	now := time.Now()
	template := &x509.Certificate{
		Subject:   pkix.Name{CommonName: name},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageCertSign, IsCA: true, BasicConstraintsValid: true,
	}
	a := &Authority{}
	a.cert, a.key = sign(tb, template, parent)
	a.PEM = encode("CERTIFICATE", a.cert.Raw)
	return a
}

// Pool returns a pool with the authority alone.
func (a *Authority) Pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.cert)
	return p
}

// A Pair is a certificate and its key.
type Pair struct {
	Cert, Key string // PEM
	Leaf      *x509.Certificate
	TLS       tls.Certificate
}

// Issue returns a certificate for localhost, its addresses and, if it is a host, name. It
// is valid from now plus from, until now plus to.
func (a *Authority) Issue(tb testing.TB, name string, from, to time.Duration) Pair {
	now := time.Now()
	names := []string{"localhost"}
	if strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789.-") == "" {
		names = append(names, name)
	}
	leaf, key := sign(tb, &x509.Certificate{
		Subject:   pkix.Name{CommonName: name},
		NotBefore: now.Add(from), NotAfter: now.Add(to),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		DNSNames:    names,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}, a)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		tb.Fatal(err)
	}
	return Pair{
		Cert: encode("CERTIFICATE", leaf.Raw), Key: encode("PRIVATE KEY", der), Leaf: leaf,
		TLS: tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: key, Leaf: leaf},
	}
}

// sign makes a key and its certificate. Without an authority it signs itself.
func sign(tb testing.TB, template *x509.Certificate, by *Authority) (*x509.Certificate, *ecdsa.PrivateKey) {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	if template.SerialNumber, err = rand.Int(rand.Reader, big.NewInt(1<<62)); err != nil {
		tb.Fatal(err)
	}
	parent, signer := template, key
	if by != nil {
		parent, signer = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		tb.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		tb.Fatal(err)
	}
	return cert, key
}

func encode(typ string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: typ, Bytes: der}))
}
