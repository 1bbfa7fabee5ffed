package frame

import "encoding/binary"

// A Tracker tracks the frames that a server writes, so that the boundaries of frames are
// known. It does not check them.
//
// Track must be called with all bytes that are written. A writer that changes payloads
// calls the parts of Track instead. They are Header, AddPayload, Consume for the bytes in
// Remaining, and EndFrame. The zero Tracker is ready to use.
type Tracker struct {
	header    [10]byte
	headerLen int   // bytes of header that are known
	Remaining int64 // bytes of the frame's payload that follow

	Closing      bool   // a close frame was written, and nothing may follow it
	typ          byte   // the type of the message in progress, an index of Counts
	ClosePayload []byte // its payload
	Counts       ByType
}

// Track processes the next bytes.
func (t *Tracker) Track(p []byte) {
	for len(p) > 0 {
		if t.Remaining > 0 {
			n := min(t.Remaining, int64(len(p)))
			t.Consume(p[:n])
			p = p[n:]
			if t.Remaining == 0 {
				t.EndFrame()
			}
			continue
		}
		if t.headerLen == 0 && len(p) > 1 && p[1] <= 125 { // fast path: a complete short header
			t.header[0], t.Remaining = p[0], int64(p[1])
			t.setType()
			p = p[2:]
		} else {
			t.header[t.headerLen] = p[0]
			t.headerLen++
			p = p[1:]
			if !t.parseLength() {
				continue
			}
		}
		t.AddPayload(t.Remaining)
		if t.Remaining == 0 {
			t.EndFrame()
		}
	}
}

// Header processes the next byte of a header. It returns the header if that is complete,
// and nil otherwise.
func (t *Tracker) Header(next byte) []byte {
	t.header[t.headerLen] = next
	t.headerLen++
	n := t.headerLen
	if !t.parseLength() {
		return nil
	}
	return t.header[:n]
}

// First returns the first byte of the frame in progress, or of the last one.
func (t *Tracker) First() byte { return t.header[0] }

// parseLength reports whether the header is complete, and sets Remaining if it is.
func (t *Tracker) parseLength() bool {
	if t.headerLen < 2 {
		return false
	}
	length := int64(t.header[1])
	switch {
	case length == 126 && t.headerLen == 4:
		length = int64(binary.BigEndian.Uint16(t.header[2:]))
	case length == 127 && t.headerLen == 10:
		length = int64(binary.BigEndian.Uint64(t.header[2:]))
	case length >= 126:
		return false
	}
	t.headerLen = 0
	t.Remaining = length
	t.setType()
	return true
}

// setType records the type of a message whose first frame begins.
func (t *Tracker) setType() {
	if op := Opcode(t.header[0]); op == Text || op == Binary {
		t.typ = op - Text
	}
}

// Consume processes the next bytes of the payload.
func (t *Tracker) Consume(p []byte) {
	if Opcode(t.header[0]) == Close {
		t.ClosePayload = append(t.ClosePayload, p...)
	}
	t.Remaining -= int64(len(p))
}

// AddPayload adds n bytes to Counts if the frame in progress is a data frame.
func (t *Tracker) AddPayload(n int64) {
	if Opcode(t.header[0]) < Close {
		t.Counts[t.typ&1].Bytes += n
	}
}

// EndFrame counts the frame, which is complete.
func (t *Tracker) EndFrame() {
	switch op := Opcode(t.header[0]); {
	case op == Close:
		t.Closing = true
	case op < Close && t.header[0]&Fin != 0:
		t.Counts[t.typ&1].Messages++
	}
}

// AtBoundary reports whether no frame is in progress.
func (t *Tracker) AtBoundary() bool { return t.headerLen == 0 && t.Remaining == 0 }
