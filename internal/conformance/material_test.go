package conformance_test

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
)

// A material is the data from which a test cuts compressed messages. Each resembles one
// of the suite's files.
type material struct {
	text bool // ASCII, so that every piece is valid UTF-8
	make func() []byte
	once sync.Once
	b    []byte
}

// at returns n bytes from an offset on. After the last byte it continues at the first.
func (m *material) at(from, n int) []byte {
	m.once.Do(func() { m.b = m.make() })
	b := make([]byte, 0, n)
	for len(b) < n {
		rest := m.b[(from+len(b))%len(m.b):]
		b = append(b, rest[:min(len(rest), n-len(b))]...)
	}
	return b
}

var materials = []*material{
	{text: true, make: jsonLike},
	{make: pictureLike},
	{make: proseLike},
	{text: true, make: htmlLike},
	{make: documentLike},
}

// Sizes of materials in bytes. They are primes, so no message size divides them.
const (
	materialSize = 200_003
	documentSize = 1_000_003
)

var words = bytes.Fields([]byte(`the spirit that for ever says no and rightly so since all that comes to be
deserves to perish wretchedly it were better nothing would begin thus everything that your terms sin destruction
evil represent that is my proper element part of the darkness which gave birth to light`))

// fill calls add until the buffer has n bytes, and returns n bytes.
func fill(n int, seed uint64, add func(*bytes.Buffer, *rand.Rand)) []byte {
	r := rand.New(rand.NewPCG(seed, seed))
	var b bytes.Buffer
	for b.Len() < n {
		add(&b, r)
	}
	return b.Bytes()[:n]
}

func jsonLike() []byte {
	return fill(materialSize, 1, func(b *bytes.Buffer, r *rand.Rand) {
		fmt.Fprintf(b, `{"id":%d,"name":"%s %s","score":%.3f,"tags":["%s","%s"],"open":%t},`+"\n",
			r.IntN(1e6), word(r), word(r), r.Float64(), word(r), word(r), r.IntN(2) == 0)
	})
}

func htmlLike() []byte {
	return fill(materialSize, 2, func(b *bytes.Buffer, r *rand.Rand) {
		fmt.Fprintf(b, "<tr class=\"row-%d\">\n  <td><a href=\"/%s/%d\">%s</a></td>\n  <td>", r.IntN(9), word(r), r.IntN(999), word(r))
		prose(b, r)
		b.WriteString("</td>\n</tr>\n")
	})
}

func proseLike() []byte { return fill(materialSize, 3, prose) }

func prose(b *bytes.Buffer, r *rand.Rand) {
	for range 3 + r.IntN(9) {
		b.Write(word(r))
		b.WriteByte(' ')
	}
	b.WriteString("and for itself.\r\n")
}

// pictureLike returns a smooth picture with noise, one byte per pixel.
func pictureLike() []byte {
	x := 0.0
	return fill(materialSize, 4, func(b *bytes.Buffer, r *rand.Rand) {
		x++
		b.WriteByte(byte(128 + 100*math.Sin(x/97)*math.Cos(x/51200) + 6*r.NormFloat64()))
	})
}

// documentLike returns text between long incompressible pieces.
func documentLike() []byte {
	return fill(documentSize, 5, func(b *bytes.Buffer, r *rand.Rand) {
		fmt.Fprintf(b, "%d 0 obj\n<< /Type /Page /Length %d >>\nstream\n", r.IntN(999), r.IntN(9999))
		for range 2000 + r.IntN(2000) {
			b.WriteByte(byte(r.Uint32()))
		}
		b.WriteString("\nendstream\nendobj\n")
		prose(b, r)
	})
}

func word(r *rand.Rand) []byte { return words[r.IntN(len(words))] }
