package frame

import "encoding/binary"

// A Follower follows the frames of a server as they are written, to know where one
// ends. It takes them to be in order.
//
// Follow takes all of what is written. Who writes something else in its place takes it
// apart: Header, Took, Pass for what is in Left, and Ended. The zero Follower is ready
// to use.
type Follower struct {
	head [10]byte
	have int   // bytes of head that are there
	Left int64 // bytes of payload to come

	Closing  bool   // a close frame has been written: nothing may follow it
	Goodbye  []byte // its payload
	Messages int64  // whole messages
	Bytes    int64  // of payload
}

// Follow takes the next bytes.
func (f *Follower) Follow(p []byte) {
	for len(p) > 0 {
		if f.Left > 0 {
			n := min(f.Left, int64(len(p)))
			f.Pass(p[:n])
			p = p[n:]
			if f.Left == 0 {
				f.Ended()
			}
			continue
		}
		if f.have == 0 && len(p) > 1 && p[1] <= 125 { // as nearly always: the whole of a short header
			f.head[0], f.Left = p[0], int64(p[1])
			p = p[2:]
		} else {
			f.head[f.have] = p[0]
			f.have++
			p = p[1:]
			if !f.begin() {
				continue
			}
		}
		f.Took(f.Left)
		if f.Left == 0 {
			f.Ended()
		}
	}
}

// Header takes the next byte of a header. When that is whole it returns it, else nil.
func (f *Follower) Header(next byte) []byte {
	f.head[f.have] = next
	f.have++
	n := f.have
	if !f.begin() {
		return nil
	}
	return f.head[:n]
}

// First returns the first byte of the frame under way, or of the last one.
func (f *Follower) First() byte { return f.head[0] }

// begin reports whether the header is whole, and looks what it says.
func (f *Follower) begin() bool {
	if f.have < 2 {
		return false
	}
	length := int64(f.head[1])
	switch {
	case length == 126 && f.have == 4:
		length = int64(binary.BigEndian.Uint16(f.head[2:]))
	case length == 127 && f.have == 10:
		length = int64(binary.BigEndian.Uint64(f.head[2:]))
	case length >= 126:
		return false
	}
	f.have = 0
	f.Left = length
	return true
}

// Pass takes payload of the frame under way.
func (f *Follower) Pass(p []byte) {
	if Opcode(f.head[0]) == Close {
		f.Goodbye = append(f.Goodbye, p...)
	}
	f.Left -= int64(len(p))
}

// Took counts n bytes of payload, unless they are a control frame's.
func (f *Follower) Took(n int64) {
	if Opcode(f.head[0]) < Close {
		f.Bytes += n
	}
}

// Ended counts the frame that is whole now.
func (f *Follower) Ended() {
	switch op := Opcode(f.head[0]); {
	case op == Close:
		f.Closing = true
	case op < Close && f.head[0]&Fin != 0:
		f.Messages++
	}
}

// Whole reports whether the last byte was the last of a frame.
func (f *Follower) Whole() bool { return f.have == 0 && f.Left == 0 }
