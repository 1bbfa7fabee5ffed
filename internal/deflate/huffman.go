package deflate

import (
	"math/bits"
	"sync"
)

const (
	maxLit     = 288 // number of symbols for literals and lengths
	maxDist    = 32  // number of symbols for distances
	maxBits    = 15  // length of the longest code
	endOfBlock = 256

	fastBits = 10 // codes up to this length need one table lookup
	fastSize = 1 << fastBits
)

// An entry describes a code. Bits 0 to 3 contain the length of the code. Bits 4 to 7
// contain the number of extra bits after it. Bits 16 to 31 contain a literal, or the base
// to which the extra bits are added. The entry 0 is no code. These are the flags of an
// entry.
const (
	literal = 1 << 8
	special = 1 << 9 // the end of a block, or an invalid symbol
)

// A huffman is the decoding table of a Huffman code.
type huffman struct {
	fast  [fastSize]uint32    // entries by the next bits; 0: the code is longer
	mask  uint                // of the bits that are an index of fast
	count [maxBits + 1]uint16 // number of codes by length
	by    [maxLit]uint32      // entries in the order of codes, without the length
}

// init builds the table from the code length of each symbol. The length is 0 for a symbol
// without a code. what contains the entry of each symbol. An incomplete code is an error.
// If lone is true, a single code of one bit or no code is allowed. A block may need no
// distances.
func (h *huffman) init(lens []uint8, what []uint32, lone bool) error {
	h.count = [maxBits + 1]uint16{}
	for _, n := range lens {
		h.count[n]++
	}
	h.count[0] = 0
	longest, left := 0, 1
	var offset [maxBits + 2]int // in by
	for n := 1; n <= maxBits; n++ {
		c := int(h.count[n])
		if c > 0 {
			longest = n
		}
		offset[n+1] = offset[n] + c
		left = left<<1 - c
		if left < 0 {
			return ErrOversubscribed
		}
	}
	if left > 0 && !(lone && longest <= 1) {
		return ErrIncomplete
	}
	for symbol, n := range lens {
		if n > 0 {
			h.by[offset[n]] = what[symbol]
			offset[n]++
		}
	}
	width := min(longest, fastBits)
	h.mask = 1<<width - 1
	fast := h.fast[:1<<width]
	if left > 0 || longest > fastBits {
		clear(fast)
	}
	code, i := 0, 0
	for n := 1; n <= width; n++ {
		code <<= 1
		for range h.count[n] {
			e := h.by[i] | uint32(n)
			// A code begins with its highest bit, so an index has it reversed.
			for at := int(bits.Reverse16(uint16(code)) >> (16 - n)); at < len(fast); at += 1 << n {
				fast[at] = e
			}
			code++
			i++
		}
	}
	return nil
}

// find returns the entry of the code at the start of b, or 0 if there is no such code. If
// fewer bits are known than the code has, the unknown ones are 0.
func (h *huffman) find(b uint64) uint32 {
	if e := h.fast[uint(b)&h.mask%fastSize]; e != 0 {
		return e
	}
	code, first, i := 0, 0, 0
	for n := 1; n <= maxBits; n++ {
		code |= int(b & 1)
		b >>= 1
		c := int(h.count[n])
		if code-first < c {
			return h.by[i+code-first] | uint32(n)
		}
		i += c
		first = (first + c) << 1
		code <<= 1
	}
	return 0
}

// lengthOrder is the order of the lengths of the code length code in a block.
var lengthOrder = [...]uint8{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}

// These are the entries of the symbols of the three alphabets, RFC 1951, sections 3.2.5
// and 3.2.7.
var (
	litSymbols    = makeLit()
	distSymbols   = makeDist()
	lengthSymbols = makeLengths()
)

func makeLit() (s [maxLit]uint32) {
	for i := range endOfBlock {
		s[i] = uint32(i)<<16 | literal
	}
	s[endOfBlock] = endOfBlock<<16 | special
	base := 3
	for i := range 28 {
		extra := max(0, i/4-1)
		s[257+i] = uint32(base)<<16 | uint32(extra)<<4
		base += 1 << extra
	}
	s[285] = 258 << 16
	s[286], s[287] = special, special
	return s
}

func makeDist() (s [maxDist]uint32) {
	base := 1
	for i := range 30 {
		extra := max(0, i/2-1)
		s[i] = uint32(base)<<16 | uint32(extra)<<4
		base += 1 << extra
	}
	s[30], s[31] = special, special
	return s
}

func makeLengths() (s [len(lengthOrder)]uint32) {
	for i := range s {
		s[i] = uint32(i) << 16
	}
	s[16] |= 2 << 4
	s[17] |= 3 << 4
	s[18] |= 7 << 4
	return s
}

// fixed returns the codes of a block with fixed codes, RFC 1951, section 3.2.6.
var fixed = sync.OnceValues(func() (lit, dist *huffman) {
	var lens [maxLit]uint8
	for i := range lens {
		switch {
		case i < 144:
			lens[i] = 8
		case i < 256:
			lens[i] = 9
		case i < 280:
			lens[i] = 7
		default:
			lens[i] = 8
		}
	}
	lit, dist = new(huffman), new(huffman)
	_ = lit.init(lens[:], litSymbols[:], false)
	for i := range maxDist {
		lens[i] = 5
	}
	_ = dist.init(lens[:maxDist], distSymbols[:], false)
	return lit, dist
})
