package server

import (
	"net"
	"net/http"
)

// ConnOptions make one connection different. [Options.PerConn] returns them. Such a
// connection is never parked. The zero value changes nothing else.
type ConnOptions struct {
	// Handler serves the connection instead of the Server's, and is called once. Nil: the
	// Server's.
	Handler Handler
	// Header may change the fields of the 101 response. Nil: not called.
	Header func(http.Header)
	// Wrap returns the connection to use instead of sock, which is TCP, TLS or a unix
	// socket. The result needs a method NetConn that returns sock, and one CloseWrite for a
	// graceful end. Its Read and Write must obey deadlines that are set meanwhile: the end
	// of the connection sets them, and may close only sock. The 101 response is not written
	// to the result, and input that arrived with the request is not read from it. Each reply
	// is written at once, without batching. Nil: not called.
	Wrap func(sock net.Conn) net.Conn
	// Pong answers each ping instead of the Server. send sends a pong with a payload of at
	// most 125 bytes. Pong may keep it to call it later, also after the end of the
	// connection. The payload of the ping is valid until Pong returns, which must be soon.
	// Nil: a pong with the payload of the ping is sent at once.
	Pong func(ping []byte, send func(payload []byte))
	// Fault names what goes wrong on purpose, for [Info] and [Outcome]. "": nothing does.
	Fault string
}

// perConn asks Options.PerConn how the connection differs.
func (c *Conn) perConn(r *http.Request) *refusal {
	if c.srv.opts.PerConn == nil {
		return nil
	}
	own, err := c.srv.opts.PerConn(r)
	if err != nil {
		return refuseAdmit(RefusedPerConn, err, "PerConn")
	}
	c.own = own
	return nil
}

// handler returns the handler of the connection.
func (c *Conn) handler() Handler {
	if c.own != nil && c.own.Handler != nil {
		return c.own.Handler
	}
	return c.srv.handler
}
