package server

import (
	"io"
	"time"

	"example.com/wsecho/ending"
	"example.com/wsecho/internal/frame"
)

// A message is the reader of one message's payload.
type message struct {
	c         *Conn
	r         io.Reader
	text      bool
	size      int64 // read so far
	whole     int64 // the size of the whole message; -1: not known yet
	textCheck frame.TextCheck
	release   func()
	err       error // of the last Read; io.EOF: the message was whole
}

// begin makes m the reader of the next message.
func (m *message) begin(r io.Reader, text bool, whole int64, release func()) {
	m.r, m.text, m.release = r, text, release
	m.size, m.whole = 0, whole
	m.textCheck.Reset()
	m.err = nil
}

func (m *message) Read(p []byte) (int, error) {
	m.c.reading.Lock()
	defer m.c.reading.Unlock()
	m.c.reads++
	if m.err != nil {
		return 0, m.err
	}
	n, err := m.r.Read(p)
	m.size += int64(n)
	// The closing handshake may have read the remaining payload. Then Whole describes
	// another message, so isClosing is called last.
	if err == nil && (m.size == m.whole || m.whole < 0 && m.size == m.c.tr.Whole()) && !m.c.isClosing() {
		err = io.EOF // coder would return it only in the next Read
	}
	if m.c.srv.opts.IdleTimeout > 0 {
		m.c.lastMessage.Store(int64(time.Since(m.c.tr.Began())))
	}
	if m.text && !(m.textCheck.Next(p[:n]) && (err != io.EOF || m.textCheck.Whole())) {
		err = &ending.Error{Kind: ending.InvalidUTF8, Reason: "text is not UTF-8"}
	}
	switch {
	case err == io.EOF:
		m.release()
	case err != nil:
		m.release()
		err = m.c.readFailed(err)
		n = 0
	}
	m.err = err
	return n, err
}

// Size returns the length of the whole message. It returns -1 if the message is
// compressed or the header of its last frame has not been read. After the end of the
// connection it may return the length of another message.
func (m *message) Size() int64 { return m.c.tr.Announced() }
