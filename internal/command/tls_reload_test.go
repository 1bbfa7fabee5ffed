package command

import (
	"crypto/ecdh"
	"crypto/rand"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"example.com/wsecho/internal/testcert"
)

func newX25519(t *testing.T) *ecdh.PrivateKey {
	t.Helper()
	key, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// TestReload goes through the states of a pair of files. A pair is used as soon as it is
// right. Any other is reported once, when it has been read twice or a signal asks for it.
func TestReload(t *testing.T) {
	root := testcert.NewAuthority(t, "root")
	issue := func(name string) testcert.Pair { return root.Issue(t, name, -time.Hour, time.Hour) }
	first, second, third := issue("first"), issue("second"), issue("third")
	expired := root.Issue(t, "expired", -2*time.Hour, -time.Hour)
	dir := writeFiles(t, map[string]string{"cert": first.Cert, "key": first.Key, "ca": root.PEM})
	f := parsed(t, "--tls-cert="+dir+"/cert", "--tls-key="+dir+"/key", "--tls-client-ca="+dir+"/ca", "--addr=127.0.0.1:0")
	var log strings.Builder
	s, err := f.certificates(slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	for i, step := range []struct {
		file, content string // "": no change; "-": the file is removed
		asked         bool
		uses          testcert.Pair
		log           string // a part of the one line; "": no line
	}{
		{"", "", false, first, ""},
		{"", "", true, first, "have not changed"},
		{"cert", second.Cert, false, first, ""}, // a program writes the files
		{"key", second.Key, false, second, "certificate replaced"},
		{"", "", false, second, ""},
		{"cert", third.Cert, false, second, ""},
		{"", "", false, second, "does not belong to the certificate"},
		{"", "", false, second, ""}, // once
		{"cert", second.Cert, false, second, "again those that are used"},
		{"cert", third.Cert, true, second, "does not belong to the certificate"}, // at once
		{"", "", false, second, ""},
		{"", "", true, second, "does not belong to the certificate"}, // an answer to each signal
		{"key", third.Key, false, third, "certificate replaced"},
		{"cert", "-", false, third, ""},
		{"", "", false, third, "no such file"},
		{"cert", "", false, third, ""},
		{"cert", "garbage", false, third, ""},
		{"", "", false, third, "no PEM certificate"},
		{"cert", "other garbage", false, third, ""},
		{"", "", false, third, "no PEM certificate"}, // another content
		{"cert", expired.Cert, false, third, ""},
		{"key", expired.Key, false, third, ""},
		{"", "", false, third, "expired at"},
		{"key", first.Key, false, third, ""},
		{"cert", first.Cert, false, first, "certificate replaced"},
		{"ca", "garbage", false, first, ""},
		{"", "", false, first, "--tls-client-ca"},
		{"ca", second.Cert, false, first, "the certificate is the same"},
	} {
		name := filepath.Join(dir, step.file)
		switch {
		case step.file == "":
		case step.content == "-":
			err = os.Remove(name)
		default:
			err = os.WriteFile(name, []byte(step.content), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		log.Reset()
		s.reload(time.Now(), step.asked)
		if got := leafOf(s.current.Load()); !got.Equal(step.uses.Leaf) {
			t.Errorf("step %d: uses %s, want %s", i, got.Subject, step.uses.Leaf.Subject)
		}
		lines := strings.Count(log.String(), "\n")
		if step.log == "" && lines != 0 || step.log != "" && (lines != 1 || !strings.Contains(log.String(), step.log)) {
			t.Errorf("step %d: got the log %q, want %q", i, log.String(), step.log)
		}
	}
}

// BenchmarkReload measures one look at files that have not changed.
func BenchmarkReload(b *testing.B) {
	pair := testcert.NewAuthority(b, "root").Issue(b, "x.test", -time.Hour, time.Hour)
	dir := b.TempDir()
	for name, content := range map[string]string{"cert": pair.Cert, "key": pair.Key, "ca": pair.Cert} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	f := &tlsFlags{Cert: dir + "/cert", Key: dir + "/key", ClientCA: dir + "/ca"}
	s, err := newCertificateStore(f, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		s.reload(time.Now(), false)
	}
}
