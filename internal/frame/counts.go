package frame

// Counts counts the data messages of one type and direction.
type Counts struct {
	Messages int64 // complete messages
	Bytes    int64 // of payload on the wire, also of messages that are not complete
}

// ByType has the counts of text and of binary messages. The index is the opcode minus
// Text.
type ByType [2]Counts

// Total returns the sum of both types.
func (b *ByType) Total() Counts {
	return Counts{b[0].Messages + b[1].Messages, b[0].Bytes + b[1].Bytes}
}
