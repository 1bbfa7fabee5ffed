package deflate

import "encoding/binary"

// readLengths reads the code lengths of a block, RFC 1951, section 3.2.7. It returns false
// if it needs more input. It sets z.err if the lengths are invalid.
func (z *Inflater) readLengths(src []byte, used *int) bool {
	for all := z.nlit + z.ndist; z.i < all; {
		z.need(src, used, 7+7)
		e := z.own[1].find(z.bits)
		n, extra := uint(e&15), uint(e>>4&15)
		if n == 0 {
			z.err = ErrSymbol
			return true
		}
		value := uint8(e >> 16)
		if value == 16 && z.i == 0 && n <= z.nb { // an error with any extra bits
			z.err = ErrRepeat
			return true
		}
		if n+extra > z.nb {
			return false
		}
		z.take(n)
		if value < 16 {
			z.lens[z.i] = value
			z.i++
			continue
		}
		var length uint8
		repeat := int(z.take(extra)) + 3
		switch value {
		case 16:
			length = z.lens[z.i-1]
		case 18:
			repeat += 11 - 3
		}
		if repeat > all-z.i {
			z.err = ErrRepeat
			return true
		}
		for ; repeat > 0; repeat-- {
			z.lens[z.i] = length
			z.i++
		}
	}
	return true
}

// dynamic builds the codes of the block.
func (z *Inflater) dynamic() error {
	if z.lens[endOfBlock] == 0 {
		return ErrNoEnd
	}
	z.lit, z.dst = &z.own[0], &z.own[1]
	if err := z.lit.init(z.lens[:z.nlit], litSymbols[:], true); err != nil {
		return err
	}
	return z.dst.init(z.lens[z.nlit:z.nlit+z.ndist], distSymbols[:], true)
}

// decode makes at most room bytes from the symbols of a block. It is the hot loop. It
// keeps its state in local variables and reads eight bytes of input at a time.
func (z *Inflater) decode(src []byte, room int, limit uint64) (used, made int) {
	w, lit, dst := z.win, z.lit, z.dst
	b := &w.b
	bits, nb, at := z.bits, z.nb, w.at
	begin := at
	end := at + uint64(room)
	for at != end {
		if nb < 48 { // a length and a distance have at most 48 bits
			if len(src)-used >= 8 {
				bits |= binary.LittleEndian.Uint64(src[used:]) << nb
				used += int(63-nb) >> 3
				nb |= 56
			} else {
				for nb <= 56 && used < len(src) {
					bits |= uint64(src[used]) << nb
					nb += 8
					used++
				}
			}
		}
		e := lit.fast[uint(bits)&lit.mask%fastSize]
		if e == 0 {
			e = lit.find(bits)
		}
		n := uint(e & 15)
		if n > nb {
			break
		}
		if e&literal != 0 {
			b[at%WindowSize] = byte(e >> 16)
			at++
			bits >>= n
			nb -= n
			continue
		}
		if e&special != 0 || n == 0 {
			if e>>16 == endOfBlock && n > 0 {
				bits >>= n
				nb -= n
				z.state = blockHeader
			} else {
				z.err = ErrSymbol
			}
			break
		}
		extra := uint(e >> 4 & 15)
		rest := bits >> n
		length := uint64(e>>16) + rest&(1<<extra-1)
		rest >>= extra
		d := dst.fast[uint(rest)&dst.mask%fastSize]
		if d == 0 {
			d = dst.find(rest)
		}
		dn, dextra := uint(d&15), uint(d>>4&15)
		n += extra + dn + dextra
		if n > nb {
			break
		}
		rest >>= dn
		distance := uint64(d>>16) + rest&(1<<dextra-1)
		if dn == 0 || d&special != 0 {
			z.err = ErrSymbol
			break
		}
		if distance > min(at, limit) {
			z.err = ErrDistance
			break
		}
		bits >>= n
		nb -= n
		if length > end-at {
			z.rest, z.dist = int(length-(end-at)), distance
			z.state = copying
			length = end - at
		}
		w.at = at
		w.repeat(distance, int(length))
		at = w.at
		if z.state == copying {
			break
		}
	}
	w.at = at
	z.bits, z.nb = bits&(1<<nb-1), nb
	if z.state == blockHeader {
		z.end()
	}
	return used, int(at - begin)
}
