package server_test

import (
	"crypto/tls"
	"log/slog"
	"strings"
	"testing"
	"time"

	"example.com/wsecho/ending"
	"example.com/wsecho/internal/testcert"
	"example.com/wsecho/server"
	"example.com/wsecho/wstest"
)

// TestLogCertificate: the log has the subject of a verified client certificate, escaped and
// truncated.
func TestLogCertificate(t *testing.T) {
	t.Parallel()
	root := testcert.NewAuthority(t, "root")
	for name, test := range map[string]struct {
		subject string
		auth    tls.ClientAuthType
		want    string // "": no field
	}{
		"verified":     {"alice", tls.RequireAndVerifyClientCert, "CN=alice"},
		"not verified": {"alice", tls.RequireAnyClientCert, ""},
		"hostile":      {"al\u202eice", tls.RequireAndVerifyClientCert, `CN=al\u202eice`},
		"long":         {strings.Repeat("x", 1000), tls.RequireAndVerifyClientCert, "…(+"},
	} {
		t.Run(name, func(t *testing.T) {
			var log logBuffer
			config, client := wstest.TLS()
			config.ClientAuth, config.ClientCAs = test.auth, root.Pool()
			client.Certificates = []tls.Certificate{root.Issue(t, test.subject, -time.Hour, time.Hour).TLS}
			s := serveOn(t, tls.NewListener(listen(t), config), echoes, server.Options{Logger: slog.New(logFormats["text"](&log)), CloseTimeout: server.MaxCloseTimeout})
			s.url = "wss" + s.url[len("ws"):]
			p := s.dial(t, wstest.DialOptions{TLS: client})
			sendLast(t, p, 1000, wstest.CloseFrame(1000, ""))
			wantKind(t, s.end(t), ending.Normal)
			_ = s.stop()
			line := ""
			for l := range strings.Lines(log.String()) {
				if strings.Contains(l, "msg=ended") {
					line = l
				}
			}
			switch {
			case line == "" || len(line) > 2048:
				t.Errorf("got a line of %d bytes: %s", len(line), line)
			case test.want == "" && strings.Contains(line, "certificate="),
				test.want != "" && !(strings.Contains(line, "certificate=") && strings.Contains(strings.ReplaceAll(line, `\\`, `\`), test.want)):
				t.Errorf("got %s, want %s", line, test.want)
			}
		})
	}
}
