// Package deflate implements permessage-deflate (RFC 7692): [Negotiate] the
// extension, then one [Compressor] and one [Decompressor] for each connection.
//
// The [Inflater] decompresses a stream (RFC 1951) that is cut into messages, each in
// pieces of any size. Unlike compress/flate it reports whether a message is whole. The
// sender removes the last four bytes of each message, 00 00 ff ff. They are the lengths of
// an empty stored block. A message is whole if its stream ends right before those lengths,
// see [Inflater.Whole]. Other decompressors accept a truncated message as a whole one. A
// block marked as the last of its stream does not end this stream. The stream continues at
// the next byte with the same window (section 7.2.3.4).
//
// The Inflater is as strict as zlib. compress/flate also accepts an incomplete code for
// the code lengths, and a block without a code for its end.
//
// Nothing in this package blocks or starts a goroutine.
package deflate

import "cmp"

// An Error describes invalid data. It is final for its stream.
type Error string

func (e Error) Error() string { return "inflate: " + string(e) }

// The errors of an Inflater.
const (
	ErrBlockType      = Error("block of reserved type")
	ErrStoredLength   = Error("stored block whose lengths differ")
	ErrTooManySymbols = Error("too many symbols")
	ErrRepeat         = Error("repeated code length of nothing, or of too much")
	ErrOversubscribed = Error("code that is over-subscribed")
	ErrIncomplete     = Error("code that is incomplete")
	ErrNoEnd          = Error("block without a code for its end")
	ErrSymbol         = Error("symbol that is none")
	ErrDistance       = Error("distance beyond the earlier output")
)

// An Inflater decompresses one message. Reset makes it ready. It must not be used
// concurrently.
type Inflater struct {
	// Limit is the largest distance of a reference, in bytes. 0 means WindowSize.
	Limit int

	win   *Window
	state state
	final bool  // the block has the flag of the last block
	err   error // of the data; final

	bits uint64 // bits that were read and not used; the next one is the lowest
	nb   uint   // their number

	rest int    // remaining bytes of a stored block or of a copy
	dist uint64 // the distance of the copy

	lit, dst *huffman // the codes of the block
	own      [2]huffman
	lens     [maxLit + maxDist]uint8
	nlit     int
	ndist    int
	nclen    int
	i        int // the number of lens that were read
}

type state uint8

const (
	blockHeader state = iota
	storedHeader
	stored
	counts
	codeLengths
	lengths
	symbols
	copying
)

// Reset starts a message, which may refer to the data in w.
func (z *Inflater) Reset(w *Window) {
	z.win, z.state, z.err, z.bits, z.nb = w, blockHeader, nil, 0, 0
}

// Whole reports whether a message may end here. Inflate must have used all of its input.
func (z *Inflater) Whole() bool { return z.state == storedHeader && z.nb == 0 && z.err == nil }

// Inflate decompresses src into dst. It fills n bytes of dst and uses used bytes of src.
// If n is len(dst), the used bytes may give more output. Otherwise all of src is used. The
// work is bounded by len(dst). An error is returned with the output before it, and is
// final.
func (z *Inflater) Inflate(dst, src []byte) (n, used int, err error) {
	w := z.win
	limit := uint64(cmp.Or(z.Limit, WindowSize))
	for z.err == nil && n < len(dst) {
		// The output goes to the window and from there to dst. A step must not make more
		// than the size of the window.
		room := min(len(dst)-n, WindowSize)
		at := w.at
		took, more := z.step(src[used:], room, limit)
		used += took
		made := int(w.at - at)
		for from := at % WindowSize; made > 0; from = 0 {
			k := copy(dst[n:], w.b[from:min(int(from)+made, WindowSize)])
			n += k
			made -= k
		}
		if !more {
			break
		}
	}
	return n, used, z.err
}

// need reads input until there are n bits, and reports whether there are. n is at most
// 32.
func (z *Inflater) need(src []byte, used *int, n uint) bool {
	for z.nb < n && *used < len(src) {
		z.bits |= uint64(src[*used]) << z.nb
		z.nb += 8
		*used++
	}
	return z.nb >= n
}

// take removes n bits, which need has read.
func (z *Inflater) take(n uint) uint {
	v := uint(z.bits & (1<<n - 1))
	z.bits >>= n
	z.nb -= n
	return v
}

// align skips the remaining bits of a byte.
func (z *Inflater) align() { z.take(z.nb % 8) }

// step makes at most room bytes of output. It returns false for more if it needs input or
// the data is invalid.
func (z *Inflater) step(src []byte, room int, limit uint64) (used int, more bool) {
	w := z.win
	for room > 0 {
		switch z.state {
		case blockHeader:
			if !z.need(src, &used, 3) {
				return used, false
			}
			z.final = z.take(1) == 1
			switch z.take(2) {
			case 0:
				z.align()
				z.state = storedHeader
			case 1:
				z.lit, z.dst = fixed()
				z.state = symbols
			case 2:
				z.state = counts
			default:
				z.err = ErrBlockType
			}

		case storedHeader:
			if !z.need(src, &used, 32) {
				return used, false
			}
			n, not := z.take(16), z.take(16)
			if n != ^not&0xffff {
				z.err = ErrStoredLength
			}
			z.rest = int(n)
			z.state = stored

		case stored:
			for ; z.rest > 0 && room > 0 && z.nb > 0; room-- {
				w.put(byte(z.take(8)))
				z.rest--
			}
			n := min(z.rest, room, len(src)-used)
			w.append(src[used : used+n])
			used += n
			room -= n
			z.rest -= n
			if z.rest > 0 {
				return used, room == 0
			}
			z.end()

		case counts:
			if !z.need(src, &used, 14) {
				return used, false
			}
			z.nlit, z.ndist, z.nclen = 257+int(z.take(5)), 1+int(z.take(5)), 4+int(z.take(4))
			if z.nlit > 286 || z.ndist > 30 {
				z.err = ErrTooManySymbols
			}
			clear(z.lens[:len(lengthOrder)])
			z.i = 0
			z.state = codeLengths

		case codeLengths:
			for ; z.i < z.nclen; z.i++ {
				if !z.need(src, &used, 3) {
					return used, false
				}
				z.lens[lengthOrder[z.i]] = uint8(z.take(3))
			}
			z.err = z.own[1].init(z.lens[:len(lengthOrder)], lengthSymbols[:], false)
			z.i = 0
			z.state = lengths

		case lengths:
			if !z.readLengths(src, &used) {
				return used, false
			}
			if z.err == nil {
				z.err = z.dynamic()
			}
			z.state = symbols

		case symbols:
			n, made := z.decode(src[used:], room, limit)
			used += n
			room -= made
			if z.state == symbols {
				return used, room == 0 && z.err == nil
			}

		case copying:
			n := min(z.rest, room)
			w.repeat(z.dist, n)
			room -= n
			if z.rest -= n; z.rest == 0 {
				z.state = symbols
			}
		}
		if z.err != nil {
			return used, false
		}
	}
	return used, true
}

// end completes a block.
func (z *Inflater) end() {
	if z.final {
		z.align()
	}
	z.state = blockHeader
}
