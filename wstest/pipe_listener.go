package wstest

import (
	"context"
	"net"
	"os"
	"sync"
	"syscall"
)

// A PipeListener is a net.Listener whose connections are each a [Pipe]. It lets any server
// and any client run in a bubble of testing/synctest:
//
//	l := wstest.NewPipeListener()
//	go server.Serve(l)
//	client := &http.Client{Transport: &http.Transport{DialContext: l.DialContext}}
//
// Its methods may be called concurrently.
type PipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

// NewPipeListener returns a listener. In a bubble it must be called inside of it.
func NewPipeListener() *PipeListener {
	return &PipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
}

// DialContext connects to l, whatever the network and the address are. It waits until
// Accept accepts the connection, ctx ends, or l is closed. After Close the error is
// ECONNREFUSED.
func (l *PipeListener) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	client, server := Pipe()
	select {
	case l.conns <- server:
		return client, nil
	case <-ctx.Done():
		return nil, pipeError("dial", context.Cause(ctx))
	case <-l.closed:
		return nil, pipeError("dial", os.NewSyscallError("connect", syscall.ECONNREFUSED))
	}
}

// Dial is DialContext without a context, for [DialOptions].
func (l *PipeListener) Dial(network, addr string) (net.Conn, error) {
	return l.DialContext(context.Background(), network, addr)
}

// Accept waits for the next connection, or for Close.
func (l *PipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, pipeError("accept", net.ErrClosed)
	}
}

// Close ends Accept and DialContext. It does not close connections.
func (l *PipeListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

// Addr returns an address whose network and text are "pipe".
func (l *PipeListener) Addr() net.Addr { return pipeAddr{} }
