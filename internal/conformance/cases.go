package conformance

import "fmt"

// A Section is a group of cases of the Autobahn test suite (fuzzing client,
// version 0.8).
type Section struct {
	Number string // a case's number is Number, a dot and 1 to Cases
	Title  string
	Cases  int
}

// Sections returns all sections in the suite's order. Sections 8 and 11 never had
// cases. The suite does not run 9.9 and 9.10, which are endless messages.
func Sections() []Section {
	s := []Section{
		{"1.1", "text in one frame", 8},
		{"1.2", "binary in one frame", 8},
		{"2", "pings and pongs", 11},
		{"3", "reserved bits", 7},
		{"4.1", "reserved data opcodes", 5},
		{"4.2", "reserved control opcodes", 5},
		{"5", "fragments", 20},
		{"6.1", "UTF-8: empty fragments", 3},
		{"6.2", "UTF-8: valid, cut between and inside code points", 4},
		{"6.3", "UTF-8: invalid, whole and cut", 2},
		{"6.4", "UTF-8: failing fast", 4},
		{"6.5", "UTF-8: valid", 5},
		{"6.6", "UTF-8: all prefixes of a text", 11},
		{"6.7", "UTF-8: first of each length", 4},
		{"6.8", "UTF-8: first of five and six bytes", 2},
		{"6.9", "UTF-8: last of each length", 4},
		{"6.10", "UTF-8: last beyond Unicode", 3},
		{"6.11", "UTF-8: other boundaries", 5},
		{"6.12", "UTF-8: stray continuation bytes", 8},
		{"6.13", "UTF-8: lonely first bytes", 5},
		{"6.14", "UTF-8: last byte missing", 10},
		{"6.15", "UTF-8: incomplete ones in a row", 1},
		{"6.16", "UTF-8: impossible bytes", 3},
		{"6.17", "UTF-8: overlong slash", 5},
		{"6.18", "UTF-8: longest overlong", 5},
		{"6.19", "UTF-8: overlong NUL", 5},
		{"6.20", "UTF-8: single surrogates", 7},
		{"6.21", "UTF-8: paired surrogates", 8},
		{"6.22", "UTF-8: noncharacters, which are valid", 34},
		{"6.23", "UTF-8: specials", 7},
		{"7.1", "closing", 6},
		{"7.3", "length of a close frame", 6},
		{"7.5", "invalid UTF-8 in a close reason", 1},
		{"7.7", "close codes that are legal", 13},
		{"7.9", "close codes that are not", 9},
		{"7.13", "close codes beyond the RFC", 2},
		{"9.1", "large text", 6},
		{"9.2", "large binary", 6},
		{"9.3", "large text in fragments", 9},
		{"9.4", "large binary in fragments", 9},
		{"9.5", "large text in chops", 6},
		{"9.6", "large binary in chops", 6},
		{"9.7", "many texts", 6},
		{"9.8", "many binaries", 6},
		{"10.1", "automatic fragmentation", 1},
	}
	for i, data := range []string{"JSON", "a picture", "prose", "HTML", "a document"} {
		s = append(s, Section{fmt.Sprintf("12.%d", i+1), "compressed: " + data, 18})
	}
	for i, offer := range []string{
		"the plain offer",
		"without the server's context takeover",
		"a window of 9 bits",
		"a window of 15 bits",
		"9 bits, without takeover",
		"15 bits, without takeover",
		"three offers",
	} {
		s = append(s, Section{fmt.Sprintf("13.%d", i+1), "compressed: " + offer, 18})
	}
	return s
}

// Numbers returns the numbers of the section's cases.
func (s Section) Numbers() []string {
	n := make([]string, s.Cases)
	for i := range n {
		n[i] = fmt.Sprintf("%s.%d", s.Number, i+1)
	}
	return n
}
