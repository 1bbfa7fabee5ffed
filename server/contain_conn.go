package server

import (
	"errors"
	"fmt"
	"net"
	"time"
)

// A containedConn is a connection of ConnOptions.Wrap. A panic of its methods becomes
// their error. The server's own goroutines call them too, to send replies and to find the
// end of the stream.
type containedConn struct {
	net.Conn
	c *Conn
}

// contain is deferred. It sets *err to the error of a panic.
func (w *containedConn) contain(method string, err *error) {
	if v := recover(); v != nil {
		w.c.srv.reportPanic("the method "+method+" of ConnOptions.Wrap", w.c, v)
		*err = fmt.Errorf("server: the method %s of %T panicked: %v", method, w.Conn, v)
	}
}

func (w *containedConn) Read(p []byte) (n int, err error) {
	defer w.contain("Read", &err)
	return w.Conn.Read(p)
}

func (w *containedConn) Write(p []byte) (n int, err error) {
	defer w.contain("Write", &err)
	return w.Conn.Write(p)
}

func (w *containedConn) SetReadDeadline(t time.Time) (err error) {
	defer w.contain("SetReadDeadline", &err)
	return w.Conn.SetReadDeadline(t)
}

func (w *containedConn) SetWriteDeadline(t time.Time) (err error) {
	defer w.contain("SetWriteDeadline", &err)
	return w.Conn.SetWriteDeadline(t)
}

// CloseWrite ends the stream to the peer.
func (w *containedConn) CloseWrite() (err error) {
	half, ok := w.Conn.(interface{ CloseWrite() error })
	if !ok {
		return errors.ErrUnsupported
	}
	defer w.contain("CloseWrite", &err)
	return half.CloseWrite()
}

// NetConn returns the connection beneath the one of ConnOptions.Wrap, for its socket.
func (w *containedConn) NetConn() net.Conn {
	if layer, ok := w.Conn.(interface{ NetConn() net.Conn }); ok {
		return layer.NetConn()
	}
	return w.Conn
}
