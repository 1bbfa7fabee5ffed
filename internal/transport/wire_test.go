package transport

import (
	"bytes"
	"compress/flate"
	"errors"
	"io"

	"example.com/wsecho/internal/deflate"
	"example.com/wsecho/internal/frame"
	"example.com/wsecho/wstest"
)

// A wireMessage is a message of a server, decompressed.
type wireMessage struct {
	op      byte // 0: none
	packed  bool // it was compressed
	payload []byte
}

func (m wireMessage) equal(n wireMessage) bool {
	return m.op == n.op && m.packed == n.packed && bytes.Equal(m.payload, n.payload)
}

// A wireStream is the output of a server as its peer understands it.
type wireStream struct {
	messages []wireMessage
	partial  wireMessage       // one that is not whole, as far as it can be decompressed
	controls map[byte][]string // the payloads of pings and pongs, by opcode
	closes   []string          // the payloads of close frames
	rest     []byte            // a part of a frame
	data     frame.Counts      // of the data frames, which may be compressed
}

// understand decodes the frames of a server, and decompresses messages with compress/flate. p
// has the negotiated parameters; nil: none. An error is a violation of the protocol.
func understand(b []byte, p *deflate.Params) (s wireStream, err error) {
	s.controls = make(map[byte][]string)
	var message, window []byte // of the message in progress, on the wire; of those before
	for len(b) > 0 {
		f, after, err := wstest.Decode(b)
		if err != nil {
			s.rest = b
			break
		}
		b = after
		data := f.Opcode == frame.Text || f.Opcode == frame.Binary
		switch {
		case len(s.closes) > 0:
			return s, errors.New("a frame behind a close frame")
		case f.Masked, f.Opcode >= frame.Close && !f.Fin, f.Rsv != 0 && (f.Rsv != wstest.RSV1 || !data || p == nil),
			data && s.partial.op != 0, f.Opcode == frame.Continuation && s.partial.op == 0:
			return s, errors.New("an illegal frame: " + f.String())
		case f.Opcode == frame.Close:
			s.closes = append(s.closes, string(f.Payload))
			continue
		case f.Opcode > frame.Close:
			s.controls[f.Opcode] = append(s.controls[f.Opcode], string(f.Payload))
			continue
		case data:
			s.partial, message = wireMessage{op: f.Opcode, packed: f.Rsv != 0}, nil
		}
		message = append(message, f.Payload...)
		s.data.Bytes += int64(len(f.Payload))
		if !f.Fin {
			continue
		}
		s.data.Messages++
		if s.partial.payload, err = unpacked(s.partial.packed, append(message, lastBlock...), window); err != nil {
			return s, err
		}
		if s.partial.packed && p.ServerTakeover {
			window = append(window, s.partial.payload...)
		}
		s.messages, s.partial = append(s.messages, s.partial), wireMessage{}
	}
	if s.partial.op != 0 {
		s.partial.payload, err = unpacked(s.partial.packed, message, window)
		if err == io.ErrUnexpectedEOF {
			err = nil
		}
	}
	return s, err
}

// lastBlock ends the compressed data of a message, whose last four bytes are not sent.
const lastBlock = "\x00\x00\xff\xff\x01\x00\x00\xff\xff"

func unpacked(packed bool, message, window []byte) ([]byte, error) {
	if !packed {
		return bytes.TrimSuffix(message, []byte(lastBlock)), nil
	}
	return io.ReadAll(flate.NewReaderDict(bytes.NewReader(message), window[max(0, len(window)-1<<15):]))
}

// subsequence reports whether all has the values of part, in their order.
func subsequence(part, all []string) bool {
	for _, s := range all {
		if len(part) > 0 && part[0] == s {
			part = part[1:]
		}
	}
	return len(part) == 0
}
