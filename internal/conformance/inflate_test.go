package conformance_test

import (
	"bytes"
	"errors"
	"slices"
)

// inflate is a plain implementation of RFC 1951 for one message. Unlike a library, it
// also returns the farthest distance of a reference. It appends to p the four bytes that
// RFC 7692 removes. window is the data before the message. It reads to the end of p, also
// past final blocks.
func inflate(p, window []byte) (out []byte, reach int, err error) {
	defer func() {
		if recover() == errShort {
			err = errShort
		}
	}()
	i := inflater{in: append(slices.Clone(p), syncTail...), out: slices.Clone(window)}
	whole := false
	for i.at < 8*len(i.in) {
		final := i.bits(1) == 1
		whole = false
		switch i.bits(2) {
		case 0:
			i.align()
			n, not := i.bits(16), i.bits(16)
			if n^not != 0xffff {
				return nil, 0, errors.New("stored block with a bad length")
			}
			whole = n == 0 && i.at == 8*len(i.in) // the last four bytes are this block's length
			for range n {
				i.out = append(i.out, byte(i.bits(8)))
			}
		case 1:
			lengths := slices.Concat(slices.Repeat([]int{8}, 144), slices.Repeat([]int{9}, 112), slices.Repeat([]int{7}, 24), slices.Repeat([]int{8}, 8))
			err = i.block(newCode(lengths), newCode(slices.Repeat([]int{5}, 32)))
		case 2:
			err = i.dynamic()
		case 3:
			err = errors.New("block of type 3")
		}
		if err != nil {
			return nil, 0, err
		}
		if final {
			i.align()
		}
	}
	if !whole {
		return nil, 0, errShort
	}
	return bytes.Clone(i.out[len(window):]), i.reach, nil
}

type inflater struct {
	in    []byte
	at    int // in bits
	out   []byte
	reach int // the farthest distance
}

// errShort is the value of the panic at a premature end of the input.
var errShort = errors.New("the stream is cut short")

// bits returns the next n bits. The first bit is the lowest.
func (i *inflater) bits(n int) (v int) {
	for k := range n {
		if i.at >= 8*len(i.in) {
			panic(errShort)
		}
		v |= int(i.in[i.at/8]>>(i.at%8)&1) << k
		i.at++
	}
	return v
}

func (i *inflater) align() { i.at = (i.at + 7) / 8 * 8 }

// A code is a Huffman code: the number of symbols of each length, and the symbols.
type code struct {
	count   [16]int
	symbols []int
}

func newCode(lengths []int) (c code) {
	for n := 1; n < 16; n++ {
		for symbol, length := range lengths {
			if length == n {
				c.count[n]++
				c.symbols = append(c.symbols, symbol)
			}
		}
	}
	return c
}

func (i *inflater) symbol(c code) (int, error) {
	value, first, index := 0, 0, 0
	for n := 1; n < 16; n++ {
		value |= i.bits(1)
		if value-first < c.count[n] {
			return c.symbols[index+value-first], nil
		}
		index += c.count[n]
		first = (first + c.count[n]) << 1
		value <<= 1
	}
	return 0, errors.New("bits that encode no symbol")
}

var (
	lengthBase   = []int{3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258}
	lengthBits   = []int{0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0}
	distanceBase = []int{1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577}
	codeOrder    = []int{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}
)

// block reads a compressed block after its header.
func (i *inflater) block(literals, distances code) error {
	for {
		s, err := i.symbol(literals)
		switch {
		case err != nil:
			return err
		case s < 256:
			i.out = append(i.out, byte(s))
			continue
		case s == 256:
			return nil
		case s > 285:
			return errors.New("an undefined length")
		}
		length := lengthBase[s-257] + i.bits(lengthBits[s-257])
		d, err := i.symbol(distances)
		if err != nil {
			return err
		}
		if d >= len(distanceBase) {
			return errors.New("an undefined distance")
		}
		distance := distanceBase[d] + i.bits(max(0, d/2-1))
		if distance > len(i.out) {
			return errors.New("a distance before the beginning of the data")
		}
		i.reach = max(i.reach, distance)
		for range length {
			i.out = append(i.out, i.out[len(i.out)-distance])
		}
	}
}

// dynamic reads a block with dynamic codes.
func (i *inflater) dynamic() error {
	literals, distances, n := 257+i.bits(5), 1+i.bits(5), 4+i.bits(4)
	lengths := make([]int, 19)
	for _, at := range codeOrder[:n] {
		lengths[at] = i.bits(3)
	}
	c := newCode(lengths)
	if c.left() != 0 {
		return errors.New("an incomplete set of codes")
	}
	lengths = nil
	for len(lengths) < literals+distances {
		s, err := i.symbol(c)
		if err != nil {
			return err
		}
		repeated, times := s, 1
		switch s {
		case 16:
			if len(lengths) == 0 {
				return errors.New("nothing to repeat")
			}
			repeated, times = lengths[len(lengths)-1], 3+i.bits(2)
		case 17:
			repeated, times = 0, 3+i.bits(3)
		case 18:
			repeated, times = 0, 11+i.bits(7)
		}
		lengths = append(lengths, slices.Repeat([]int{repeated}, times)...)
	}
	if len(lengths) != literals+distances {
		return errors.New("too many lengths")
	}
	l, d := newCode(lengths[:literals]), newCode(lengths[literals:])
	switch {
	case literals > 286 || distances > 30:
		return errors.New("too many symbols")
	case lengths[256] == 0:
		return errors.New("a block without an end symbol")
	case l.left() != 0 && !l.single(), d.left() != 0 && !d.single() && len(d.symbols) > 0:
		return errors.New("an incomplete set of codes")
	}
	return i.block(l, d)
}

// left returns the unused part of the code space. It is negative if the code has too
// many symbols. As in zlib, it must be 0. The exceptions are a single code of one bit and
// an empty set of distances.
func (c code) left() int {
	left := 1
	for n := 1; n < 16; n++ {
		if left = 2*left - c.count[n]; left < 0 {
			return left
		}
	}
	return left
}

func (c code) single() bool { return len(c.symbols) == 1 && c.count[1] == 1 }
