package wstest

import (
	"encoding/binary"
	"fmt"
)

// Values of a close code that no peer has sent.
const (
	NoStatus  uint16 = 1005 // a close frame with an empty payload
	Malformed uint16 = 1    // a close frame with a payload of one byte, which is illegal
)

// CloseBody returns the payload of a close frame (section 5.5.1). It is empty for code 0.
// Any other code is allowed, also an illegal one such as 1005.
func CloseBody(code uint16, reason string) []byte {
	if code == 0 {
		return nil
	}
	return append(binary.BigEndian.AppendUint16(nil, code), reason...)
}

// ParseClose returns the code and the reason in the payload of a close frame. The code of
// an empty payload is [NoStatus], and that of a single byte is [Malformed].
func ParseClose(payload []byte) (code uint16, reason string) {
	switch len(payload) {
	case 0:
		return NoStatus, ""
	case 1:
		return Malformed, string(payload)
	}
	return binary.BigEndian.Uint16(payload), string(payload[2:])
}

// A CloseError is the error for a close frame in place of a message.
type CloseError struct {
	Code   uint16 // NoStatus if the frame had none
	Reason string
}

func (e *CloseError) Error() string {
	return fmt.Sprintf("close frame %d %q", e.Code, e.Reason)
}
