package wstest

import (
	"encoding/binary"
	"fmt"
)

// Values of a close code that are not what a peer wrote.
const (
	NoStatus  uint16 = 1005 // a close frame with an empty payload
	Malformed uint16 = 1    // a close frame with a payload of one byte, which is illegal
)

// CloseBody returns the payload of a close frame (section 5.5.1). Code 0 is an
// empty payload, with the reason ignored; every other code is written as it is,
// be it illegal or no code for the wire, such as 1005.
func CloseBody(code uint16, reason string) []byte {
	if code == 0 {
		return nil
	}
	return append(binary.BigEndian.AppendUint16(nil, code), reason...)
}

// ParseClose returns what the payload of a close frame says. An empty one gives
// [NoStatus], one of a single byte [Malformed].
func ParseClose(payload []byte) (code uint16, reason string) {
	switch len(payload) {
	case 0:
		return NoStatus, ""
	case 1:
		return Malformed, string(payload)
	}
	return binary.BigEndian.Uint16(payload), string(payload[2:])
}

// A CloseError says that a close frame came where a message was wanted.
type CloseError struct {
	Code   uint16 // NoStatus if the frame had none
	Reason string
}

func (e *CloseError) Error() string {
	return fmt.Sprintf("close frame %d %q", e.Code, e.Reason)
}
