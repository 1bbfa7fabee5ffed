package conformance_test

import (
	"fmt"
	"slices"

	"example.com/wsecho/internal/testfull"
	"example.com/wsecho/wstest"
)

// massCases returns the cases of sections 9 and 10: large messages, and many messages. The
// suite ignores their contents, and these tests compare them.
func massCases() []numbered {
	const kib, mib = 1 << 10, 1 << 20
	largest := 16 * mib
	if !*exhaustive {
		largest = testfull.N(mib, largest)
	}
	pattern := "BAsd7&jh23"
	whole := func(number string, opcode byte) []numbered {
		sizes := []int{64 * kib, 256 * kib, mib, 4 * mib, 8 * mib, 16 * mib}
		return lazily(number, len(sizes), func(i int) exchange {
			s := repeat(pattern, min(sizes[i], largest))
			return echoed(opcode, s, together(data(opcode, s)))
		})
	}
	fragments := func(number string, opcode byte) []numbered {
		sizes := []int{64, 256, kib, 4 * kib, 16 * kib, 64 * kib, 256 * kib, mib, 4 * mib}
		return lazily(number, len(sizes), func(i int) exchange {
			s := repeat(pattern, min(4*mib, largest))
			return echoed(opcode, s, together(pieces(opcode, s, sizes[i])...))
		})
	}
	chops := func(number string, opcode byte) []numbered {
		sizes := []int{64, 128, 256, 512, kib, 2 * kib}
		return lazily(number, len(sizes), func(i int) exchange {
			s := repeat(pattern, mib)
			return echoed(opcode, s, chopped(sizes[i], data(opcode, s)))
		})
	}
	rounds := thousand
	if sampled() {
		rounds = 100
	}
	swapped := func(number string, opcode byte, fill string) []numbered {
		sizes := []int{0, 16, 64, 256, kib, 4 * kib}
		return lazily(number, len(sizes), func(i int) exchange {
			m := data(opcode, repeat(fill, sizes[i]))
			return exchange{steps: []step{oneByOne(rounds, func(int) wstest.Frame { return m }, 0)}}
		})
	}
	return slices.Concat(
		whole("9.1", wstest.Text), whole("9.2", wstest.Binary),
		fragments("9.3", wstest.Text), fragments("9.4", wstest.Binary),
		chops("9.5", wstest.Text), chops("9.6", wstest.Binary),
		swapped("9.7", wstest.Text, "*"), swapped("9.8", wstest.Binary, "\xfe"),
		lazily("10.1", 1, func(int) exchange {
			return echoed(wstest.Text, stars(65536), together(pieces(wstest.Text, stars(65536), 1300)...))
		}),
	)
}

// thousand is the number of messages in the suite's mass tests.
const thousand = 1000

// oneByOne sends n messages in frames of at most size bytes, where 0 means one frame. It
// compresses them if that was negotiated. It compares each reply before the next message.
func oneByOne(n int, message func(i int) wstest.Frame, size int) step {
	return func(t *clientConn) error {
		for i := range n {
			if err := t.roundTrip(message(i), size, t.codec != nil); err != nil {
				return fmt.Errorf("message %d of %d: %w", i+1, n, err)
			}
		}
		return nil
	}
}

// roundTrip sends a message, reads the reply, compares the two and drops the reply.
func (t *clientConn) roundTrip(m wstest.Frame, size int, compress bool) error {
	sent := m
	if compress {
		sent.Payload = t.codec.pack(m.Payload)
	}
	frames := []wstest.Frame{sent}
	if size > 0 {
		frames = pieces(m.Opcode, string(sent.Payload), size)
	}
	if compress {
		frames[0].Rsv = wstest.RSV1
	}
	if err := together(frames...)(t); err != nil {
		return err
	}
	if err := awaitReplies(1)(t); err != nil {
		return err
	}
	err := t.compare([]wstest.Frame{m})
	t.received = nil
	return err
}
