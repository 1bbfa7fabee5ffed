package wstest

import "testing"

// TestLongMessage: fragments together have a limit too.
func TestLongMessage(t *testing.T) {
	c := &serverConn{opcode: Binary, message: make([]byte, maxMessage-1)}
	f := Frame{Fin: true, Masked: true, Payload: []byte("x")}
	if code, rule := c.check(f); code != 0 {
		t.Errorf("got %d, %s", code, rule)
	}
	f.Payload = []byte("xx")
	if code, rule := c.check(f); code != 1009 {
		t.Errorf("got %d, %s", code, rule)
	}
}
