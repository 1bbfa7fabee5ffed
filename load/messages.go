package load

import (
	"bytes"
	"compress/flate"
	crand "crypto/rand"
	"math/rand/v2"

	"example.com/wsecho/internal/frame"
)

// messages are the messages of a run. All connections send them in turn, again and
// again. They differ, so that a swapped echo is noticed.
type messages struct {
	n      int
	size   int
	opcode byte

	out   []byte // the frames to send
	outAt []int  // the start of each frame in out, and the end of the last one

	// in has the frames that most servers send back. With compression each server has its
	// own: then in has the payloads only, and framed is false.
	in     []byte
	inOne  int // the length of one of them
	framed bool
	bytes  bool // the server echoes the bytes of out, without WebSocket
}

const (
	// minMessages and maxMessages limit the number of different messages.
	minMessages, maxMessages = 2, 256
	// The messages together have cacheBytes, which stay in a processor's cache. They have
	// up to maxBytes if all messages in flight need that to differ.
	cacheBytes, maxBytes = 256 << 10, 8 << 20
)

// countFor returns the number of different messages.
func countFor(p Plan) int {
	n := max(cacheBytes/(p.Size+1), min(2*p.InFlight, maxBytes/(p.Size+1)))
	return min(max(n, minMessages), maxMessages)
}

func newMessages(p Plan) (*messages, error) {
	m := &messages{size: p.Size, opcode: frame.Text, n: countFor(p)}
	if p.Binary {
		m.opcode = frame.Binary
	}
	random := rand.New(rand.NewPCG(1, uint64(m.size))) // the same in every run
	var key [4]byte
	crand.Read(key[:])
	payload := make([]byte, m.size)
	for range m.n {
		if p.Binary {
			fillBytes(payload, random)
		} else {
			fillWords(payload, random)
		}
		body, first := payload, frame.Fin|m.opcode
		if p.Compression {
			var err error
			if body, err = deflated(payload); err != nil {
				return nil, err
			}
			first |= frame.RSV1
		} else {
			m.in = frame.Header{First: first, Length: uint64(len(body))}.Append(m.in, 0)
		}
		m.in = append(m.in, payload...)
		m.outAt = append(m.outAt, len(m.out))
		m.out = frame.AppendMasked(m.out, first, key, body)
	}
	m.outAt = append(m.outAt, len(m.out))
	m.inOne, m.framed = len(m.in)/m.n, !p.Compression
	return m, nil
}

// asBytes returns the messages for a server that echoes bytes, without WebSocket.
func (m *messages) asBytes() *messages {
	n := len(m.out) / m.n
	return &messages{n: m.n, size: n, opcode: m.opcode, out: m.out, outAt: m.outAt, in: m.out, inOne: n, framed: true, bytes: true}
}

// at returns the payload of message i.
func (m *messages) at(i int) []byte {
	end := (i%m.n + 1) * m.inOne
	return m.in[end-m.size : end]
}

// frames returns up to k frames to send, beginning with message i, and their number.
func (m *messages) frames(i, k int) ([]byte, int) {
	i %= m.n
	k = min(k, m.n-i)
	return m.out[m.outAt[i]:m.outAt[i+k]], k
}

// matches returns the number of whole frames at the start of b that are right. They equal
// those of messages i, i+1 and so on. It is at most k.
func (m *messages) matches(i, k int, b []byte) int {
	if !m.framed {
		return 0
	}
	i %= m.n
	k = min(k, m.n-i, len(b)/m.inOne)
	if k > 0 && bytes.Equal(b[:k*m.inOne], m.in[i*m.inOne:(i+k)*m.inOne]) {
		return k
	}
	return 0
}

func fillBytes(b []byte, random *rand.Rand) {
	for i := range b {
		b[i] = byte(random.Uint32())
	}
}

// fillWords fills b with invented words. DEFLATE compresses them to about half.
func fillWords(b []byte, random *rand.Rand) {
	syllables := []string{"ba", "ce", "di", "fo", "gu", "ka", "le", "mi", "no", "pu", "ra", "se", "ti", "vo", "zu", "an"}
	for i := 0; i < len(b); {
		for range 1 + random.IntN(4) {
			i += copy(b[i:], syllables[random.IntN(len(syllables))])
		}
		if i < len(b) {
			b[i] = ' '
			i++
		}
	}
}

// deflated returns p as the payload of a compressed message (RFC 7692, section 7.2.1).
func deflated(p []byte) ([]byte, error) {
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.DefaultCompression)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(p); err != nil {
		return nil, err
	}
	if err := w.Flush(); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte{0, 0, 0xff, 0xff}), nil
}
