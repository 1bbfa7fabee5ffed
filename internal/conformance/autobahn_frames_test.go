package conformance_test

import (
	"slices"

	"example.com/wsecho/wstest"
)

const hello = "Hello, world!"

// frameCases returns the cases of section 1: messages of one frame, at the boundaries of lengths.
func frameCases() []numbered {
	var all []numbered
	for i, opcode := range []byte{wstest.Text, wstest.Binary} {
		fill := stars
		if opcode == wstest.Binary {
			fill = func(n int) string { return repeat("\xfe", n) }
		}
		var rows []exchange
		for _, n := range []int{0, 125, 126, 127, 128, 65535, 65536} {
			rows = append(rows, echoed(opcode, fill(n), together(data(opcode, fill(n)))))
		}
		rows = append(rows, echoed(opcode, fill(65536), chopped(997, data(opcode, fill(65536)))))
		all = append(all, section([]string{"1.1", "1.2"}[i], rows...)...)
	}
	return all
}

// controlCases returns the cases of section 2: pings and pongs.
func controlCases() []numbered {
	longest := repeat("\xfe", 125)
	var pings, pongs []wstest.Frame
	for i := range 10 {
		payload := "payload-" + string(rune('0'+i))
		pings = append(pings, ping(payload))
		pongs = append(pongs, pong(payload))
	}
	ponged := func(payload string, steps ...step) exchange {
		return exchange{steps: steps, want: []wstest.Frame{pong(payload)}}
	}
	return section("2",
		ponged("", together(ping(""))),
		ponged(hello, together(ping(hello))),
		ponged("\x00\xff\xfe\xfd\xfc\xfb\x00\xff", together(ping("\x00\xff\xfe\xfd\xfc\xfb\x00\xff"))),
		ponged(longest, together(ping(longest))),
		refused(1002, together(ping(longest+"\xfe"))),
		ponged(longest, chopped(1, ping(longest))),
		exchange{steps: []step{together(pong(""))}},
		exchange{steps: []step{together(pong("unsolicited pong payload"))}},
		ponged("ping payload", together(pong("unsolicited pong payload"), ping("ping payload"))),
		exchange{steps: []step{apart(pings...)}, want: pongs},
		exchange{steps: []step{chopped(1, pings...)}, want: pongs},
	)
}

// reservedCases returns the cases of sections 3 and 4: reserved bits and opcodes. The server
// answers the frames before the violation and ignores those after it.
func reservedCases() []numbered {
	first := text(hello)
	before := func(chop func(...wstest.Frame) step, bad wstest.Frame) exchange {
		return refused(1002, chop(first, bad, ping("")), first)
	}
	octets := func(f ...wstest.Frame) step { return chopped(1, f...) }
	bits := section("3",
		refused(1002, together(first.WithRsv(1))),
		before(together, first.WithRsv(2)),
		before(apart, first.WithRsv(3)),
		before(octets, first.WithRsv(4)),
		refused(1002, together(binary("\x00\xff\xfe\xfd\xfc\xfb\x00\xff").WithRsv(5))),
		refused(1002, together(ping(hello).WithRsv(6))),
		refused(1002, together(wstest.CloseFrame(1000, "").WithRsv(7))),
	)
	opcodes := func(number string, from byte) []numbered {
		return section(number,
			refused(1002, together(data(from, ""))),
			refused(1002, together(data(from+1, "reserved opcode payload"))),
			before(together, data(from+2, "")),
			before(together, data(from+3, hello)),
			before(octets, data(from+4, hello)),
		)
	}
	return slices.Concat(bits, opcodes("4.1", 3), opcodes("4.2", 11))
}

// fragmentCases returns the cases of section 5.
func fragmentCases() []numbered {
	octets := func(f ...wstest.Frame) step { return chopped(1, f...) }
	two := wstest.Fragments(wstest.Text, "fragment1", "fragment2")
	whole := text("fragment1fragment2")
	between := []wstest.Frame{two[0], ping("ping payload"), two[1]}
	ponged := []wstest.Frame{pong("ping payload"), whole}
	orphan := func(f wstest.Frame) []wstest.Frame { return []wstest.Frame{f, text(hello)} }
	fin, open := orphan(last("non-continuation payload")), orphan(more("non-continuation payload"))
	twice := func(f wstest.Frame) step {
		round := append([]wstest.Frame{f}, wstest.Fragments(wstest.Text, "fragment2", "fragment3")...)
		return together(append(round, round...)...)
	}
	five := wstest.Fragments(wstest.Text, "fragment1", "fragment2", "fragment3", "fragment4", "fragment5")
	begin := []wstest.Frame{five[0], five[1], ping("pongme 1!")}
	rest := []wstest.Frame{five[2], five[3], ping("pongme 2!"), five[4]}
	both := []wstest.Frame{pong("pongme 1!"), pong("pongme 2!"), text("fragment1fragment2fragment3fragment4fragment5")}
	return section("5",
		refused(1002, together(ping("fragment1").Open(), last("fragment2"))),
		refused(1002, together(pong("fragment1").Open(), last("fragment2"))),
		exchange{steps: []step{together(two...)}, want: []wstest.Frame{whole}},
		exchange{steps: []step{apart(two...)}, want: []wstest.Frame{whole}},
		exchange{steps: []step{octets(two...)}, want: []wstest.Frame{whole}},
		exchange{steps: []step{together(between...)}, want: ponged},
		exchange{steps: []step{apart(between...)}, want: ponged},
		exchange{steps: []step{octets(between...)}, want: ponged},
		refused(1002, together(fin...)),
		refused(1002, apart(fin...)),
		refused(1002, octets(fin...)),
		refused(1002, together(open...)),
		refused(1002, apart(open...)),
		refused(1002, octets(open...)),
		refused(1002, together(two[0], two[1], more("fragment3"), text("fragment4")), whole),
		refused(1002, twice(more("fragment1"))),
		refused(1002, twice(last("fragment1"))),
		refused(1002, together(two[0], text("fragment2"))),
		// The client sends the remaining frames after the first pong.
		exchange{steps: []step{together(begin...), awaitReplies(1), together(rest...)}, want: both},
		exchange{steps: []step{apart(begin...), awaitReplies(1), apart(rest...)}, want: both},
	)
}
