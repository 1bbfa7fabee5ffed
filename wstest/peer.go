package wstest

import (
	"bufio"
	"cmp"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"example.com/wsecho/internal/frame"
)

// DefaultTimeout is the Timeout of a Peer whose Timeout is 0.
const DefaultTimeout = 5 * time.Second

// A Peer is one end of a WebSocket, frame by frame. [Dial], [RawDial], [Serve], [Client]
// and similar functions make one.
//
// One goroutine may read while others write and close. Set the exported fields before. A
// read that times out loses nothing. The next one continues at the same byte, also inside
// a frame.
type Peer struct {
	// Timeout bounds each call that reads or writes, unless it has a bound of its own.
	// 0: DefaultTimeout; negative: none.
	Timeout time.Duration

	// NoMask makes Send not mask frames that are not Masked. It is true for a server.
	NoMask bool

	// Request is the handshake that a server has read. Response is the answer that a
	// client has read. Both are nil before.
	Request  *http.Request
	Response *http.Response

	server bool
	wire   *wire
	tls    *tls.Conn // nil without TLS
	conn   net.Conn  // tls or else wire
	br     *bufio.Reader

	writing   sync.Mutex // held for a whole Send, SendRaw or Drip
	sentClose bool       // under writing

	in    reading
	limit uint64 // bytes of a received frame; 0: any

	closing  sync.Once
	closed   chan struct{}
	closeErr error
}

// reading is the state of the goroutine that reads.
type reading struct {
	frame    Frame // with the received part of its payload
	length   uint64
	inFrame  bool // the header of frame was read, and its payload is not complete
	notified bool // TLS ended with close_notify

	message   []byte // RecvMessage: the fragments so far
	opcode    byte
	inMessage bool

	gotClose bool
	code     uint16
	reason   string
}

// Client returns a client over c, which it then owns, without a handshake. c may be an end
// of a [Pipe]. If c is a net.Pipe, RST and FIN return errors.ErrUnsupported, and the end of
// the pipe counts as FIN. If c is a *tls.Conn, the end of TLS counts as FIN. [RawDial]
// returns a peer that distinguishes the two.
func Client(c net.Conn) *Peer { return newPeer(c, nil, false) }

// Server returns a server over c, like [Client].
func Server(c net.Conn) *Peer { return newPeer(c, nil, true) }

// newPeer returns a peer over c, or over TLS if secure is not nil.
func newPeer(c net.Conn, secure func(net.Conn) *tls.Conn, server bool) *Peer {
	p := &Peer{NoMask: server, server: server, closed: make(chan struct{})}
	p.wire = &wire{Conn: c}
	p.conn = p.wire
	if secure != nil {
		p.tls = secure(p.wire)
		p.conn = p.tls
	}
	p.br = bufio.NewReaderSize(p.conn, 16<<10)
	return p
}

// NetConn returns the connection, which is a *tls.Conn under TLS. A read from it misses the
// bytes in the buffer of the peer.
func (p *Peer) NetConn() net.Conn {
	if p.tls != nil {
		return p.tls
	}
	return p.wire.Conn
}

// Send writes the frames in one write. It masks each frame that is not Masked with a random
// key, unless NoMask is set.
func (p *Peer) Send(frames ...Frame) error {
	b, closes := p.encode(frames)
	p.writing.Lock()
	defer p.writing.Unlock()
	p.sentClose = p.sentClose || closes
	return p.write(b)
}

// encode returns the frames as Send writes them and whether one is a close frame.
func (p *Peer) encode(frames []Frame) (b []byte, closes bool) {
	for _, f := range frames {
		if !f.Masked && !p.NoMask {
			f.Masked = true
			rand.Read(f.Key[:])
		}
		b = f.Append(b)
		closes = closes || f.Opcode == Close
	}
	return b, closes
}

// SendRaw writes b unchanged in one write.
func (p *Peer) SendRaw(b []byte) error {
	p.writing.Lock()
	defer p.writing.Unlock()
	return p.write(b)
}

// Drip writes b byte by byte, with a pause between two bytes. It returns an error when a
// write fails or the peer is closed. Other writes wait until it returns.
func (p *Peer) Drip(b []byte, every time.Duration) error {
	p.writing.Lock()
	defer p.writing.Unlock()
	pause := time.NewTimer(0)
	defer pause.Stop()
	for i := range b {
		if i > 0 {
			pause.Reset(every)
			select {
			case <-pause.C:
			case <-p.closed:
				return net.ErrClosed
			}
		}
		if err := p.write(b[i : i+1]); err != nil {
			return err
		}
	}
	return nil
}

func (p *Peer) write(b []byte) error {
	p.conn.SetWriteDeadline(p.deadline())
	_, err := p.conn.Write(b)
	return err
}

// deadline returns the time at which a call that begins now times out; zero: never.
func (p *Peer) deadline() time.Time {
	timeout := cmp.Or(p.Timeout, DefaultTimeout)
	if timeout < 0 {
		return time.Time{}
	}
	return time.Now().Add(timeout)
}

// Recv returns the next frame, unmasked. The error is io.EOF if the stream ended between
// two frames, and io.ErrUnexpectedEOF if it ended inside one. After Timeout it is
// os.ErrDeadlineExceeded.
func (p *Peer) Recv() (Frame, error) {
	p.conn.SetReadDeadline(p.deadline())
	return p.next()
}

// next reads a frame. The caller has set the deadline.
func (p *Peer) next() (Frame, error) {
	in := &p.in
	if !in.inFrame {
		h, err := frame.ReadHeader(p.br)
		if err != nil {
			return Frame{}, p.ended(err)
		}
		if p.limit > 0 && h.Length > p.limit {
			return Frame{}, errTooBig
		}
		in.frame, in.length, in.inFrame = frameOf(h), h.Length, true
	}
	for have := uint64(len(in.frame.Payload)); have < in.length; {
		// The length may be false, so memory grows with the received bytes only.
		chunk := int(min(in.length-have, 64<<10))
		in.frame.Payload = slices.Grow(in.frame.Payload, chunk)
		n, err := p.br.Read(in.frame.Payload[have : have+uint64(chunk)])
		have += uint64(n)
		in.frame.Payload = in.frame.Payload[:have]
		if err != nil {
			return Frame{}, p.ended(err)
		}
	}
	f := in.frame
	in.frame, in.inFrame = Frame{}, false
	f.unmask()
	if f.Opcode == Close && !in.gotClose {
		in.gotClose = true
		in.code, in.reason = ParseClose(f.Payload)
	}
	return f, nil
}

// errTooBig is the error of next for a frame over the limit. Nothing can be read behind it.
var errTooBig = errors.New("a message is longer than 16 MiB")

// ended returns the error for a read that failed with err. It records whether a
// close_notify has ended the stream.
func (p *Peer) ended(err error) error {
	if err == io.EOF && p.tls != nil && p.wire.end() == nil {
		p.in.notified = true
	}
	if err == io.EOF && p.in.inFrame {
		return io.ErrUnexpectedEOF
	}
	return err
}
