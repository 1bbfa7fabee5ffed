package probe

import (
	"errors"

	"example.com/wsecho/ending"
	"example.com/wsecho/internal/frame"
)

// A follower checks the mask and the form of the length of a server's frames, because coder
// does not. It also knows whether a frame is in progress.
type follower struct {
	header    []byte // as far as it has been read
	remaining uint64 // bytes of the payload that follow
}

// next follows p, and returns the bytes before a violation.
func (f *follower) next(p []byte) (n int, err error) {
	for n < len(p) {
		if f.remaining > 0 {
			part := min(f.remaining, uint64(len(p)-n))
			f.remaining -= part
			n += int(part)
			continue
		}
		f.header = append(f.header, p[n])
		h, size := frame.ParseHeader(f.header)
		switch {
		case len(f.header) == 2 && f.header[1]&0x80 != 0:
			return n, refusal(ending.Protocol, "a server's frame has a mask")
		case len(f.header) < size:
		case !h.Shortest():
			return n, refusal(ending.Protocol, "the length of a frame takes more bytes than it needs")
		default:
			f.header, f.remaining = f.header[:0], h.Length
		}
		n++
	}
	return n, nil
}

// inside reports whether a frame is in progress.
func (f *follower) inside() bool { return len(f.header) > 0 || f.remaining > 0 }

// errInside is the end of the stream inside a frame.
var errInside = &ending.Error{Kind: ending.Abnormal, Cause: errors.New("end of stream inside a frame")}

// refusal is the error of a read that refuses what the server has sent.
func refusal(kind ending.Kind, why string) error {
	return &ending.Error{Kind: kind, Cause: errors.New(why)}
}
