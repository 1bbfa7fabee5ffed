package wstest

import (
	"errors"
	"fmt"
)

// Close closes the connection, with a close_notify under TLS. The kernel sends FIN, or RST
// if it has unread bytes. Close sends no close frame. Only the first call of Close or RST
// has an effect.
func (p *Peer) Close() error {
	return p.closeOnce(p.conn.Close)
}

// RST closes the TCP connection at once with RST. Data that the kernel has not sent is
// lost.
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

// FIN ends the stream to the peer and leaves the other direction open. It sends FIN, and
// under TLS a close_notify before. To the peer it may look like [Peer.Close].
func (p *Peer) FIN() error {
	if p.tls != nil {
		if err := p.CloseNotify(); err != nil {
			return err
		}
	}
	return p.closeWrite()
}

// CloseNotify sends a close_notify and leaves TCP open in both directions. Without TLS it
// returns errors.ErrUnsupported.
func (p *Peer) CloseNotify() error {
	if p.tls == nil {
		return unsupported("close_notify", p)
	}
	return p.tls.CloseWrite()
}

// CutTLS truncates the TLS stream: it sends FIN without a close_notify. Without TLS it
// returns errors.ErrUnsupported.
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
