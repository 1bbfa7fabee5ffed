package wstest

import (
	"errors"
	"fmt"
)

// Close closes the connection: with TLS a close_notify, then FIN, or RST if the
// kernel holds bytes that nobody has read. It sends no close frame. Only the
// first call, to Close or RST, does anything.
func (p *Peer) Close() error {
	return p.closeOnce(p.conn.Close)
}

// RST closes the TCP connection at once with RST. What the kernel has not sent
// yet is lost.
func (p *Peer) RST() error {
	return p.closeOnce(func() error {
		tcp, ok := p.wire.Conn.(interface{ SetLinger(sec int) error })
		if !ok {
			return errors.Join(unsupported("RST", p), p.wire.Close())
		}
		return errors.Join(tcp.SetLinger(0), p.wire.Close())
	})
}

func (p *Peer) closeOnce(f func() error) error {
	p.closing.Do(func() {
		close(p.closed)
		p.closeErr = f()
	})
	return p.closeErr
}

// FIN ends the stream to the peer and leaves the other direction open: with TLS
// a close_notify, then FIN. The peer may not be able to tell it from [Peer.Close].
func (p *Peer) FIN() error {
	if p.tls != nil {
		if err := p.CloseNotify(); err != nil {
			return err
		}
	}
	return p.closeWrite()
}

// CloseNotify ends TLS towards the peer and leaves TCP open both ways. Without
// TLS it is errors.ErrUnsupported.
func (p *Peer) CloseNotify() error {
	if p.tls == nil {
		return unsupported("close_notify", p)
	}
	return p.tls.CloseWrite()
}

// CutTLS sends the FIN of the TCP connection beneath TLS without the
// close_notify that should come first: a truncation. Without TLS it is
// errors.ErrUnsupported.
func (p *Peer) CutTLS() error {
	if p.tls == nil {
		return unsupported("a cut below TLS", p)
	}
	return p.closeWrite()
}

func (p *Peer) closeWrite() error {
	tcp, ok := p.wire.Conn.(interface{ CloseWrite() error })
	if !ok {
		return unsupported("FIN", p)
	}
	return tcp.CloseWrite()
}

func unsupported(what string, p *Peer) error {
	return fmt.Errorf("%s over %T: %w", what, p.NetConn(), errors.ErrUnsupported)
}
