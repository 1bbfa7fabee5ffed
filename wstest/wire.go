package wstest

import (
	"io"
	"net"
	"sync"

	"example.com/wsecho/ending"
)

// wire is the TCP connection, under TLS if there is TLS. It records how the stream from the
// peer ended. The kernel reports a reset only once, to the next read or write. And
// crypto/tls returns the same io.EOF for a close_notify and for a FIN between two records.
type wire struct {
	net.Conn

	mu    sync.Mutex
	ended error // io.EOF after FIN, a reset after RST, nil before
	reset error // a reset that a write has met
}

func (w *wire) Read(b []byte) (int, error) {
	if err := w.end(); err != nil {
		return 0, err
	}
	n, err := w.Conn.Read(b)
	if err == io.EOF || ending.IsReset(err) {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.reset != nil {
			err = w.reset
		}
		w.ended = err
	}
	return n, err
}

func (w *wire) Write(b []byte) (int, error) {
	n, err := w.Conn.Write(b)
	// Bytes that arrived before the reset can still be read, so this is not the end yet.
	// EPIPE is no reset, since it also follows a FIN of ours.
	if ending.IsReset(err) {
		w.mu.Lock()
		w.reset = err
		w.mu.Unlock()
	}
	return n, err
}

// end returns io.EOF if a FIN was read, a reset after RST, nil before.
func (w *wire) end() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ended
}
