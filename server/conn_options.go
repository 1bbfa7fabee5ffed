package server

import (
	"errors"
	"net"
	"net/http"

	"example.com/wsecho/internal/transport"
)

// ConnOptions make one connection different. [Options.PerConn] returns them. Such a
// connection is never parked. The zero value changes nothing else.
type ConnOptions struct {
	// Handler serves the connection instead of the Server's, and is called once. Nil: the
	// Server's.
	Handler Handler
	// Header may change the fields of the 101 response. Nil: not called.
	Header func(http.Header)
	// Wrap returns the connection to use instead of sock. sock is TCP, TLS or a unix
	// socket, or has a method NetConn that returns one. The result needs a method NetConn
	// that returns sock, and a method CloseWrite for a graceful end. Its Read and Write
	// must obey a deadline that is set while they block. The end of the connection sets
	// one, and may close only the socket. It closes the socket a second after the
	// CloseTimeout if they do not return. The 101 response is not written to the result.
	// Each reply is written at once, without batching. A panic of Read or Write is logged,
	// and is the error of that call. Nil: not called.
	Wrap func(sock net.Conn) net.Conn
	// MinWriteRate lowers the MinWriteRate of the Server, in bytes per second. A higher
	// value has no effect. Negative: any progress is enough. If it is set, the buffers of
	// the connection have 2 KiB. 0: the Server's.
	MinWriteRate int64
	// Pong answers each ping instead of the Server. send sends a pong with a payload of at
	// most 125 bytes. Pong may call send later, also after the end of the connection. Pong
	// must return soon, and the payload of the ping is valid until then. A panic is logged,
	// and ends nothing. Nil: a pong with the payload of the ping is sent at once.
	Pong func(ping []byte, send func(payload []byte))
	// Fault names what may go wrong on purpose, such as what the client has requested.
	// [Info] and [Outcome] contain it, also if the connection ends before that happens. "":
	// nothing does.
	Fault string
}

// perConn asks Options.PerConn how the connection differs.
func (c *Conn) perConn(r *http.Request) *refusal {
	if c.srv.opts.PerConn == nil {
		return nil
	}
	connOptions, err := c.srv.opts.PerConn(r)
	if err != nil {
		return refuseAdmit(RefusedPerConn, err, "PerConn")
	}
	c.connOptions = connOptions
	return nil
}

// apply changes the options of the transport as c.connOptions demands, and returns the
// connection to use instead of sock. first is the input behind the request that net/http
// has read.
func (c *Conn) apply(o *transport.Options, sock net.Conn, first []byte) (wrapped net.Conn, rest []byte) {
	connOptions, s := c.connOptions, c.srv
	o.ServeReady = false
	if connOptions.Pong != nil {
		o.Pong = c.answerPing
	}
	if connOptions.MinWriteRate != 0 {
		o.MinWriteRate = min(o.MinWriteRate, max(0, connOptions.MinWriteRate))
		o.Read, o.Write = s.slowPool, s.slowPool
	}
	if connOptions.Wrap == nil {
		return sock, first
	}
	o.Flusher = nil
	if len(first) > 0 {
		sock = &resumedConn{sock, first}
	}
	switch wrapped = connOptions.Wrap(sock); wrapped.(type) {
	case nil:
		panic("server: ConnOptions.Wrap returned nil")
	case *net.TCPConn, *net.UnixConn:
	default:
		wrapped = &containedConn{wrapped, c}
	}
	return wrapped, nil
}

// answerPing calls ConnOptions.Pong.
func (c *Conn) answerPing(ping []byte, send func([]byte)) {
	defer c.srv.contain("ConnOptions.Pong", c)
	c.connOptions.Pong(ping, send)
}

// slowBuffer is the ReadBufferSize and the WriteBufferSize of a connection with a
// MinWriteRate of its own. It may have these buffers for as long as a write takes.
const slowBuffer = 2 << 10

// A resumedConn is a connection of which net/http has read some input.
type resumedConn struct {
	net.Conn
	first []byte
}

func (c *resumedConn) Read(p []byte) (int, error) {
	if len(c.first) == 0 {
		return c.Conn.Read(p)
	}
	n := copy(p, c.first)
	c.first = c.first[n:]
	return n, nil
}

// NetConn returns the connection that c wraps.
func (c *resumedConn) NetConn() net.Conn { return c.Conn }

// CloseWrite ends the stream to the peer.
func (c *resumedConn) CloseWrite() error {
	half, ok := c.Conn.(interface{ CloseWrite() error })
	if !ok {
		return errors.ErrUnsupported
	}
	return half.CloseWrite()
}

// handler returns the handler of the connection.
func (c *Conn) handler() Handler {
	if c.connOptions != nil && c.connOptions.Handler != nil {
		return c.connOptions.Handler
	}
	return c.srv.handler
}
