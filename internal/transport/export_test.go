package transport

import "github.com/coder/websocket"

// PeerClose returns the code and reason of the peer's close frame. Code 0 means that none
// was received.
func (c *Conn) PeerClose() (websocket.StatusCode, string) {
	c.in.mu.Lock()
	defer c.in.mu.Unlock()
	return c.in.CloseCode, c.in.CloseReason
}

// CloseSent reports whether the kernel has accepted a whole close frame of this side.
func (c *Conn) CloseSent() bool {
	code, _ := c.OurClose()
	return code != 0
}
