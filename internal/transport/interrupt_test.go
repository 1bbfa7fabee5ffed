package transport

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestInterruptLargeBuffer: CloseBy ends a Wait between two messages, also while it waits
// with a large buffer for more input.
func TestInterruptLargeBuffer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, client := over(t, "pipe")
		c := New(server, nil, options())
		go client.Write(text(string(make([]byte, maxIncompleteFrame-8)))) // it fills the small buffer
		for left := maxIncompleteFrame; left > 0; {
			n, err := c.Read(make([]byte, left))
			if err != nil {
				t.Fatal(err)
			}
			left -= n
		}
		if !c.in.bufferFilled {
			t.Fatal("the message has not filled the small buffer")
		}
		began := time.Now()
		go func() {
			time.Sleep(largeBufferWait / 2)
			c.CloseBy(began.Add(time.Minute))
		}()
		c.Wait()
		if d := time.Since(began); d > largeBufferWait {
			t.Errorf("the Wait took %v", d)
		}
		c.Abort()
		c.Hangup()
	})
}
