package load

import (
	"bytes"
	"compress/flate"
	"errors"
	"io"
	"strings"

	"example.com/wsecho/internal/handshake"
)

// agreed reads the answer to the offer of permessage-deflate (RFC 7692, section 7.1).
// takeover says that the server's messages refer to earlier ones. A server may do so
// even if it was asked not to.
func agreed(extensions []string) (takeover bool, err error) {
	answer := strings.Join(extensions, ", ")
	name, parameters, _ := strings.Cut(answer, ";")
	switch {
	case answer == "":
		return false, fault{noWebSocket, "it does not agree to permessage-deflate"}
	case strings.TrimSpace(name) != "permessage-deflate" || strings.Contains(answer, ","):
		return false, faultf(noWebSocket, "it chose the extensions %s, which were not offered", handshake.Quoted([]byte(answer)))
	}
	takeover = true
	for parameter := range strings.SplitSeq(parameters, ";") {
		switch name, _, _ := strings.Cut(strings.TrimSpace(parameter), "="); strings.TrimSpace(name) {
		case "server_no_context_takeover":
			takeover = false
		case "client_no_context_takeover", "server_max_window_bits", "":
		default: // client_max_window_bits was not offered
			return false, faultf(noWebSocket, "it answers permessage-deflate with %s, which was not offered", handshake.Quoted([]byte(name)))
		}
	}
	return takeover, nil
}

const window = 32 << 10 // of DEFLATE

// An inflater inflates messages.
type inflater struct {
	takeover bool
	before   []byte // the end of the messages before, if takeover
	packed   bytes.Reader
	flate    io.ReadCloser
	plain    []byte
}

// tail ends a message in the way that RFC 7692, section 7.2.2, wants, and then the
// stream, with a final block that is empty.
const tail = "\x00\x00\xff\xff\x01\x00\x00\xff\xff"

var errTooLong = errors.New("it is longer than what was sent")

// inflate returns the message whose compressed form is packed; valid until the next
// call. Of more than most bytes it is errTooLong. The tail is appended to packed.
func (f *inflater) inflate(packed []byte, most int) ([]byte, error) {
	f.packed.Reset(append(packed, tail...))
	if f.flate == nil {
		f.flate = flate.NewReader(&f.packed)
	}
	if err := f.flate.(flate.Resetter).Reset(&f.packed, f.before); err != nil {
		return nil, err
	}
	if f.plain == nil {
		f.plain = make([]byte, most+1)
	}
	n, err := io.ReadFull(f.flate, f.plain)
	switch {
	case err == nil:
		return nil, errTooLong
	case err != io.EOF && !errors.Is(err, io.ErrUnexpectedEOF):
		return nil, err
	}
	if err == io.ErrUnexpectedEOF {
		// Either the plain text is shorter than the buffer, as it should be, or the
		// stream was: one more read tells.
		if _, err := f.flate.Read(make([]byte, 1)); err != io.EOF {
			return nil, io.ErrUnexpectedEOF
		}
	}
	plain := f.plain[:n]
	if f.takeover {
		f.before = append(f.before, plain...)
		if over := len(f.before) - window; over > 0 {
			f.before = append(f.before[:0], f.before[over:]...)
		}
	}
	return plain, nil
}
