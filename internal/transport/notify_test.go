package transport

import (
	"errors"
	"io"
	"testing"
	"time"
)

// TestNotify ends TLS in all states of a write. A peer that continues to read must find
// the end of the stream or a truncated stream. It must never find a record that looks
// forged. TLS counts the records that could not be written.
func TestNotify(t *testing.T) {
	ping := []byte{0x89, 0}
	for name, tt := range map[string]struct {
		do   func(c *Conn)
		want error // nil: io.EOF, as io.Copy has it
	}{
		"clean": {func(c *Conn) {
			c.opts.WriteTimeout = 0
			_, _ = c.Write(ping)
		}, nil},
		"a ping after the close": {func(c *Conn) {
			_ = c.Close()
			c.Ping([]byte("late"))
		}, nil},
		"a ping whose time was over": {func(c *Conn) {
			c.CloseBy(time.Now().Add(-time.Second))
			c.Ping([]byte("late"))
			late := time.Now().Add(time.Minute)
			c.closeBy.Store(&late)
		}, nil},
		"part of a record": {func(c *Conn) {
			p := append([]byte{0x82, 127, 0, 0, 0, 0, 4, 0, 0, 0}, make([]byte, 64<<20)...)
			_, _ = c.Write(p)
		}, io.ErrUnexpectedEOF},
	} {
		t.Run(name, func(t *testing.T) {
			// A write may be cut between two records. crypto/tls then reports io.EOF.
			for try := 1; ; try++ {
				n, err := endTLS(t, tt.do)
				if errors.Is(err, tt.want) {
					break
				}
				if tt.want == nil || err != nil || try == 5 {
					t.Fatalf("the peer received %d bytes and %v, want %v", n, err, tt.want)
				}
			}
		})
	}
}

// endTLS ends a TLS connection after do. It returns the number of bytes that the peer
// received, and the error of its last read.
func endTLS(t *testing.T, do func(c *Conn)) (n int64, err error) {
	t.Helper()
	o := options()
	o.WriteTimeout = 100 * time.Millisecond
	server, client := over(t, "tls")
	c := New(server, nil, o)
	do(c)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = c.Close()
		c.Hangup()
	}()
	_ = client.SetReadDeadline(time.Now().Add(20 * time.Second))
	n, err = io.Copy(io.Discard, client)
	_ = client.Close()
	<-done
	return n, err
}
