package soak

import (
	"math/rand/v2"
	"slices"

	"example.com/wsecho/wstest"
)

// text is the source of payloads. It is random, so no two parts of it are equal.
var text = func() []byte {
	r := rand.New(rand.NewPCG(1, 2))
	b := make([]byte, 4<<20)
	for i := range b {
		b[i] = ' ' + byte(r.IntN(64))
	}
	return b
}()

// payload returns n bytes. Some payloads repeat bytes, so that compression has an effect.
func (v *visit) payload(n int) []byte {
	at := v.r.IntN(len(text) - n)
	if n > 100 && v.r.IntN(3) == 0 {
		b := slices.Clone(text[at : at+n])
		copy(b[n/2:], b[:n/2])
		return b
	}
	return text[at : at+n]
}

func (v *visit) opcode() byte { return wstest.Text + byte(v.r.IntN(2)) }

// size returns the size of a message: mostly small, sometimes up to 1 MiB.
func (v *visit) size() int {
	switch v.r.IntN(20) {
	case 0:
		return 0
	case 1:
		return 64<<10 + v.r.IntN(1<<20-64<<10+1)
	case 2, 3, 4:
		return 126 + v.r.IntN(64<<10)
	}
	return v.r.IntN(126)
}
