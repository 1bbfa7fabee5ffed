package transport

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"time"
)

// TestNotify ends TLS in all ways that a write can be left in. A peer that reads
// on must find an end, or a stream that was cut, and never a record that looks
// forged: TLS counts those that could not be written.
func TestNotify(t *testing.T) {
	ping := []byte{0x89, 0}
	for name, tt := range map[string]struct {
		do   func(c *Conn)
		want error // nil: io.EOF, as io.Copy has it
	}{
		"clean": {func(c *Conn) { _, _ = c.Write(ping) }, nil},
		"a ping after the close": {func(c *Conn) {
			_ = c.Close()
			c.Ping([]byte("late"))
		}, nil},
		"a ping whose time was over": {func(c *Conn) {
			c.CloseBy(time.Now().Add(-time.Second))
			c.Ping([]byte("late"))
			c.closeBy = time.Now().Add(time.Minute)
		}, nil},
		"part of a record": {func(c *Conn) {
			p := append([]byte{0x82, 127, 0, 0, 0, 0, 4, 0, 0, 0}, make([]byte, 64<<20)...)
			_, _ = c.Write(p)
		}, io.ErrUnexpectedEOF},
	} {
		t.Run(name, func(t *testing.T) {
			o := options()
			o.WriteTimeout = 100 * time.Millisecond
			server, client := over(t, "tls")
			c := New(server, nil, o)
			tt.do(c)
			done := make(chan struct{})
			go func() {
				defer close(done)
				_ = c.Close()
				c.Hangup()
			}()
			var got bytes.Buffer
			_ = client.SetReadDeadline(time.Now().Add(20 * time.Second))
			if _, err := io.Copy(&got, client); !errors.Is(err, tt.want) {
				t.Errorf("the peer got %d bytes and %v, want %v", got.Len(), err, tt.want)
			}
			_ = client.Close()
			<-done
		})
	}
}
