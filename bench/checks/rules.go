package checks

// A rule groups the checks of one requirement. A server that fails several of them breaks
// one rule.
type rule struct {
	name    string
	section string // of the RFC that demands it; empty: a limit of this table
}

const rfc6455, rfc7692 = "RFC 6455, ", "RFC 7692, "

var (
	fragmentation    = rule{"fragmentation", rfc6455 + "5.4"}
	truncation       = rule{"truncated messages", rfc6455 + "5.4"}
	utf8Text         = rule{"UTF-8", rfc6455 + "8.1"}
	controlFrames    = rule{"control frames", rfc6455 + "5.5"}
	pingPong         = rule{"ping and pong", rfc6455 + "5.5.3"}
	closingHandshake = rule{"closing handshake", rfc6455 + "5.5.1"}
	payloadLength    = rule{"payload length", rfc6455 + "5.2"}
)

// rules contains the rule of each check, by the name of the check.
var rules = map[string]rule{
	"echo":                   {"empty and long messages", rfc6455 + "5.6"},
	"fragments":              fragmentation,
	"split-utf8":             fragmentation,
	"lone-continuation":      fragmentation,
	"interleaved":            fragmentation,
	"cut-frame":              truncation,
	"cut-message":            truncation,
	"invalid-utf8":           utf8Text,
	"invalid-utf8-fragments": utf8Text,
	"fail-fast":              utf8Text,
	"close-reason":           utf8Text,
	"unmasked":               {"masking", rfc6455 + "5.1"},
	"reserved-bits":          {"reserved bits", rfc6455 + "5.2"},
	"reserved-opcodes":       {"reserved opcodes", rfc6455 + "5.2"},
	"long-length":            payloadLength,
	"length-top-bit":         payloadLength,
	"fragmented-control":     controlFrames,
	"long-control":           controlFrames,
	"ping":                   pingPong,
	"ping-in-message":        pingPong,
	"pong":                   pingPong,
	"close":                  closingHandshake,
	"close-empty":            closingHandshake,
	"close-one-byte":         closingHandshake,
	"tcp-close":              {"end of TCP after the closing handshake", rfc6455 + "7.1.1"},
	"close-illegal":          {"close codes", rfc6455 + "7.4"},
	"no-key":                 {"Sec-WebSocket-Key", rfc6455 + "4.2.1"},
	"bad-key":                {"Sec-WebSocket-Accept", rfc6455 + "4.2.2"},
	"version":                {"Sec-WebSocket-Version in a refusal", rfc6455 + "4.2.2"},
	"deflate":                {"compressed messages", rfc7692 + "7.2.2"},
	"deflate-corrupt":        {"corrupt compressed messages", rfc7692 + "7.2.2"},
	"deflate-bits":           {"RSV1", rfc7692 + "6"},

	"length-2^62":    {name: "limit on messages"},
	"tiny-fragments": {name: "fairness during an endless message"},
	"deflate-bomb":   {name: "limit on inflated messages"},
}
