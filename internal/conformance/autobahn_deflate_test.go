package conformance_test

import (
	"errors"
	"fmt"
	"strings"

	"example.com/wsecho/wstest"
)

// sizes12 lists the cases of each section of 12 and 13. A case has the size of a message,
// and that of the fragments of the compressed message.
var sizes12 = []struct{ message, fragment int }{
	{16, 0}, {64, 0}, {256, 0}, {1 << 10, 0}, {4 << 10, 0}, {8 << 10, 0}, {16 << 10, 0}, {32 << 10, 0}, {64 << 10, 0}, {128 << 10, 0},
	{8 << 10, 256}, {16 << 10, 256}, {32 << 10, 256}, {64 << 10, 256}, {128 << 10, 256},
	{128 << 10, 1 << 10}, {128 << 10, 4 << 10}, {128 << 10, 32 << 10},
}

// many returns the number of messages for a case in which the suite sends a thousand.
// It is smaller for long messages and for a sample, which would otherwise last minutes.
func many(size int) int {
	switch {
	case *exhaustive:
		return thousand
	case sampled():
		return min(50, max(2, 64<<10/max(1, size)))
	}
	return min(thousand, 2<<20/max(1, size))
}

// The offer of the suite's client, and the parameters that some cases add.
const (
	plainOffer = "permessage-deflate; client_no_context_takeover; client_max_window_bits"
	noTakeover = "; server_no_context_takeover"
	bits9      = "; server_max_window_bits=9"
	bits15     = "; server_max_window_bits=15"
)

// deflateCases returns the cases of sections 12 and 13.
func deflateCases() []numbered {
	var all []numbered
	add := func(number, offer string, opcode byte, content *material, want params) {
		cases := lazily(number, len(sizes12), func(i int) exchange {
			size := sizes12[i]
			message := func(i int) wstest.Frame {
				return wstest.Frame{Fin: true, Opcode: opcode, Payload: content.at(i*size.message, size.message)}
			}
			return exchange{steps: []step{agreed(want), oneByOne(many(size.message), message, size.fragment)}}
		})
		for i := range cases {
			cases[i].offer = offer
		}
		all = append(all, cases...)
	}
	for i, m := range materials {
		opcode := wstest.Binary
		if m.text {
			opcode = wstest.Text
		}
		add(fmt.Sprintf("12.%d", i+1), plainOffer, opcode, m, params{})
	}
	for i, tt := range []struct {
		offer string
		want  params
	}{
		{plainOffer, params{}},
		{plainOffer + noTakeover, params{serverFresh: true}},
		{plainOffer + bits9, params{serverBits: 9}},
		{plainOffer + bits15, params{serverBits: 15}},
		{plainOffer + noTakeover + bits9, params{serverFresh: true, serverBits: 9}},
		{plainOffer + noTakeover + bits15, params{serverFresh: true, serverBits: 15}},
		{strings.Join([]string{plainOffer + noTakeover + bits9, plainOffer + noTakeover, plainOffer}, ", "), params{serverFresh: true, serverBits: 9}},
	} {
		add(fmt.Sprintf("13.%d", i+1), tt.offer, wstest.Text, materials[0], tt.want)
	}
	return all
}

// agreed checks that compression was negotiated, with at least these parameters for
// the server's direction.
func agreed(want params) step {
	return func(t *clientConn) error {
		switch {
		case t.codec == nil:
			return errors.New("compression was not negotiated")
		case want.serverFresh && !t.codec.serverFresh, want.serverBits != t.codec.serverBits:
			return fmt.Errorf("negotiated %+v, want %+v", t.codec.params, want)
		}
		return nil
	}
}
