package command

import (
	"bytes"
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"example.com/wsecho/internal/testcert"
)

// writeFiles writes files and returns their directory.
func writeFiles(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// keyPEM returns a private key as a PEM file.
func keyPEM(t *testing.T, key any) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// TestFirstCertificate: a first pair that cannot be used is a usage error of one sentence,
// before anything is opened. The others are loaded.
func TestFirstCertificate(t *testing.T) {
	root := testcert.NewAuthority(t, "root")
	intermediate := root.NewIntermediate(t, "intermediate")
	good := intermediate.Issue(t, "good.test", -time.Hour, time.Hour)
	other := root.Issue(t, "other.test", -time.Hour, time.Hour)
	expired := root.Issue(t, "expired.test", -2*time.Hour, -time.Hour)
	early := root.Issue(t, "early.test", time.Hour, 2*time.Hour)
	t.Setenv("GODEBUG", "rsa1024min=0") // to make a short key
	p224, errP224 := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	short, errRSA := rsa.GenerateKey(rand.Reader, 768)
	if err := cmp.Or(errP224, errRSA); err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode([]byte(good.Key))
	for name, test := range map[string]struct {
		cert, key, ca string
		want          string // "": no error
	}{
		"a chain":                 {good.Cert + intermediate.PEM, good.Key, "", ""},
		"one file":                {good.Key + good.Cert, good.Cert + good.Key, "", ""},
		"text around":             {"subject=x\n" + good.Cert + "\n\n# end\n", "Bag Attributes\n" + good.Key, "", ""},
		"authorities":             {good.Cert, good.Key, root.PEM + intermediate.PEM, ""},
		"wrong order":             {intermediate.PEM + good.Cert, good.Key, "", `--tls-cert: the certificate of the key is number 2 in DIR/cert; it must be the first`},
		"mismatch":                {other.Cert, good.Key, "", `--tls-key: the key in DIR/key does not belong to the certificate in DIR/cert`},
		"expired":                 {expired.Cert, expired.Key, "", `--tls-cert: DIR/cert: the certificate expired at 20`},
		"not yet valid":           {early.Cert, early.Key, "", `--tls-cert: DIR/cert: the certificate is not valid before 20`},
		"swapped":                 {good.Key, good.Cert, "", `--tls-cert: DIR/cert contains a private key and no certificate; are the files swapped?`},
		"certificate as key":      {good.Cert, good.Cert, "", `--tls-key: DIR/key contains a certificate and no private key`},
		"empty certificate":       {"", good.Key, "", `--tls-cert: DIR/cert is empty`},
		"empty key":               {good.Cert, "", "", `--tls-key: DIR/key is empty`},
		"no PEM":                  {"hello", good.Key, "", `--tls-cert: DIR/cert contains no PEM certificate`},
		"DER":                     {string(good.Leaf.Raw), good.Key, "", `--tls-cert: DIR/cert contains no PEM certificate`},
		"a truncated certificate": {good.Cert[:len(good.Cert)/2], good.Key, "", `--tls-cert: DIR/cert contains no PEM certificate`},
		"a truncated chain":       {good.Cert + string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("0")})), good.Key, "", `--tls-cert: certificate 2 in DIR/cert is broken: `},
		"a broken key":            {good.Cert, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: block.Bytes[:20]})), "", `--tls-key: the key in DIR/key is broken, or of a kind that TLS does not use: `},
		"a key that cannot sign":  {good.Cert, keyPEM(t, newX25519(t)), "", `--tls-key: the key in DIR/key is broken, or of a kind that TLS does not use: *ecdh.PrivateKey cannot sign`},
		"a key on P-224":          {good.Cert, keyPEM(t, p224), "", `--tls-key: the key in DIR/key is broken, or of a kind that TLS does not use: ECDSA on the curve P-224; use P-256`},
		"a short RSA key":         {good.Cert, keyPEM(t, short), "", `--tls-key: the key in DIR/key is broken, or of a kind that TLS does not use: RSA with 768 bits; use 2048`},
		"an encrypted key":        {good.Cert, "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n", "", `--tls-key: the key in DIR/key is encrypted; decrypt it`},
		"an old encrypted key":    {good.Cert, "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n", "", `--tls-key: the key in DIR/key is encrypted; decrypt it`},
		"a request":               {"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n", good.Key, "", `--tls-cert: DIR/cert contains no certificate, but "CERTIFICATE REQUEST"`},
		"no authority":            {good.Cert, good.Key, good.Key, `--tls-client-ca: DIR/ca contains a private key and no certificate`},
		"an expired authority":    {good.Cert, good.Key, expired.Cert, `--tls-client-ca: DIR/ca: the certificate expired at 20`},
		"a large file":            {strings.Repeat("x", maxPEM+1), good.Key, "", `--tls-cert: DIR/cert has more than 4 MiB; it is not a file of certificates or a key`},
	} {
		t.Run(name, func(t *testing.T) {
			dir := writeFiles(t, map[string]string{"cert": test.cert, "key": test.key, "ca": test.ca})
			args := []string{"--addr=127.0.0.1:0", "--admin-addr=off", "--tls-cert=" + dir + "/cert", "--tls-key=" + dir + "/key"}
			if test.ca != "" {
				args = append(args, "--tls-client-ca="+dir+"/ca")
			}
			var stdout, stderr bytes.Buffer
			ctx, cancel := context.WithCancel(context.Background())
			if test.want == "" {
				cancel() // it starts and drains
			}
			defer cancel()
			code := Run(ctx, "", args, &stdout, &stderr)
			text := strings.ReplaceAll(stderr.String(), dir, "DIR")
			if test.want == "" {
				if code != 0 || !strings.Contains(text, "msg=listening") || !strings.Contains(text, "url=wss://127.0.0.1:") || !strings.Contains(text, "sha256="+fingerprint(good.Leaf)) {
					t.Errorf("got exit code %d and %s", code, text)
				}
				return
			}
			if code != exitUsage || !strings.HasPrefix(text, "wsecho: error: "+test.want) || strings.Count(text, "\n") != 1 || strings.Contains(text, "listening") {
				t.Errorf("got exit code %d and %s\nwant 2 and %s", code, text, test.want)
			}
		})
	}
}

// TestTLSFlags: flags that do not fit together, and files that cannot be read.
func TestTLSFlags(t *testing.T) {
	pair := testcert.NewAuthority(t, "root").Issue(t, "x.test", -time.Hour, time.Hour)
	dir := writeFiles(t, map[string]string{"cert": pair.Cert, "key": pair.Key, "text": "my notes"})
	cert, key := "--tls-cert="+dir+"/cert", "--tls-key="+dir+"/key"
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{cert}, "--tls-cert: it needs --tls-key"},
		{[]string{key}, "--tls-key: it needs --tls-cert"},
		{[]string{cert, key, "--tls-self-signed"}, "--tls-self-signed: it replaces --tls-cert and --tls-key"},
		{[]string{"--tls-client-ca=" + dir + "/cert"}, "--tls-client-ca: it needs --tls-cert and --tls-key"},
		{[]string{"--tls-self-signed-out=x"}, "--tls-self-signed-out: it needs --tls-self-signed"},
		{[]string{"--tls-self-signed", "--tls-self-signed-out=" + dir + "/text"}, "--tls-self-signed-out: " + dir + "/text exists and is not a certificate"},
		{[]string{"--tls-self-signed", "--tls-self-signed-out=" + dir + "/no/file"}, "--tls-self-signed-out: open "},
		{[]string{cert, "--tls-key=" + dir + "/missing"}, "--tls-key: open " + dir + "/missing: "},
		{[]string{"--tls-cert=" + dir, key}, "--tls-cert: " + dir + " is not a regular file"},
		{[]string{cert, key, "--addr=unix:" + dir + "/s"}, "--addr: with TLS it needs a TCP address"},
	} {
		if !strings.HasPrefix(test.args[len(test.args)-1], "--addr") {
			test.args = append(test.args, "--addr=127.0.0.1:0")
		}
		test.args = append(test.args, "--admin-addr=off") // port 9090 may be in use
		var stdout, stderr bytes.Buffer
		if code := Run(t.Context(), "", test.args, &stdout, &stderr); code != exitUsage || !strings.HasPrefix(stderr.String(), "wsecho: error: "+test.want) {
			t.Errorf("%q: got exit code %d and %s, want 2 and %s", test.args, code, &stderr, test.want)
		}
	}
	if b, err := os.ReadFile(filepath.Join(dir, "text")); err != nil || string(b) != "my notes" {
		t.Errorf("the file was changed: %q, %v", b, err)
	}
}

// TestSelfSigned: the certificate has the names of this machine, the addresses of --addr
// and the hosts of --host. A client that has the file trusts it.
func TestSelfSigned(t *testing.T) {
	file := filepath.Join(t.TempDir(), "cert.pem")
	f := parsed(t, "--tls-self-signed", "--tls-self-signed-out="+file, "--addr=127.0.0.5:0,[::]:0,:0,localhost:0,unix:/x,systemd", "--host=a.example:443,b.example,[2001:db8::1]:1")
	f.Addr = append(f.Addr, "bücher.example:0")
	for range 2 { // the second time the file exists
		var log bytes.Buffer
		s, err := f.certificates(slog.New(slog.NewTextHandler(&log, nil)))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.write(); err != nil {
			t.Fatal(err)
		}
		s.logFirst()
		leaf := leafOf(s.current.Load())
		roots := x509.NewCertPool()
		b, err := os.ReadFile(file)
		if err != nil || !roots.AppendCertsFromPEM(b) {
			t.Fatalf("the file: %q, %v", b, err)
		}
		host, err := os.Hostname()
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"localhost", "127.0.0.1", "::1", "127.0.0.5", "a.example", "b.example", "2001:db8::1", host} {
			if _, err := leaf.Verify(x509.VerifyOptions{DNSName: name, Roots: roots}); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if len(leaf.DNSNames) > 4 || len(leaf.IPAddresses) != 4 {
			t.Errorf("got the names %q and %q", leaf.DNSNames, leaf.IPAddresses)
		}
		for _, part := range []string{"sha256=" + fingerprint(leaf), "wsecho check --ca=" + file} {
			if !strings.Contains(log.String(), part) {
				t.Errorf("the log has no %s: %s", part, &log)
			}
		}
	}
}

// TestExpiryWarnings: a certificate that expires soon, or has expired, causes one line a
// day.
func TestExpiryWarnings(t *testing.T) {
	const day = 24 * time.Hour
	root := testcert.NewAuthority(t, "root")
	for name, test := range map[string]struct {
		from, to time.Duration
		after    []time.Duration // of the calls, since now
		want     []bool
	}{
		"90 days":  {-60 * day, 30 * day, []time.Duration{0, 22*day + time.Hour, 23*day + time.Hour, 23*day + 2*time.Hour, 24*day + 2*time.Hour, 30*day + time.Hour, 30*day + 2*time.Hour, 31*day + 2*time.Hour}, []bool{false, false, true, false, true, true, false, true}},
		"six days": {0, 6 * day, []time.Duration{4 * day, 5 * day, 6*day - time.Hour, 6*day + time.Hour}, []bool{false, true, false, true}},
	} {
		t.Run(name, func(t *testing.T) {
			pair := root.Issue(t, "x.test", test.from, test.to)
			var log bytes.Buffer
			s := &certificateStore{flags: &tlsFlags{}, log: slog.New(slog.NewTextHandler(&log, nil))}
			s.current.Store(&tls.Config{Certificates: []tls.Certificate{pair.TLS}})
			start := time.Now()
			for i, d := range test.after {
				log.Reset()
				s.warnExpiry(start.Add(d))
				if got := strings.Contains(log.String(), "level=WARN"); got != test.want[i] {
					t.Errorf("after %v: got a warning: %v; %s", d, got, &log)
				}
			}
		})
	}
}
