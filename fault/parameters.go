package fault

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/coder/websocket"

	"example.com/wsecho/internal/frame"
)

// A plan has the faults of one connection. The zero value has none.
type plan struct {
	fault string // the parameters as requested, without reason

	closeCode websocket.StatusCode // 0: none
	reason    string
	drop      string // "", fin or rst
	truncate  bool
	garbage   bool
	badUTF8   bool
	after     int           // echoed messages before these; 0: afterTime
	afterTime time.Duration // since the opening

	delay, jitter time.Duration
	pong          pongPlan
	readStall     bool
	readRate      int // bytes per second; 0: any
	writeRate     int
	fragment      int // bytes of a frame; 0: any
	mask          bool

	status      int // 0: 101
	hold        time.Duration
	wrongAccept bool

	hello hello
	ping  time.Duration // 0: none
	send  int
	every time.Duration
}

// A hello is a value of the parameter hello.
type hello uint8

const (
	helloNone hello = iota
	helloPublic
	helloAll
)

// acts reports whether something happens at the time of after.
func (p *plan) acts() bool { return p.ends() || p.garbage || p.badUTF8 }

// ends reports whether the connection ends at the time of after.
func (p *plan) ends() bool { return p.closeCode != 0 || p.drop != "" || p.truncate }

// needsStream reports whether the faults need a connection of their own beneath the frames.
func (p *plan) needsStream() bool {
	return p.drop != "" || p.truncate || p.garbage || p.badUTF8 || p.mask || p.fragment > 0 || p.readStall || p.readRate > 0 || p.writeRate > 0
}

// minWriteRate returns the MinWriteRate of server.ConnOptions. A write at the rate of the
// fault is no stall. A peer that reads slower than a quarter of it is one. The server counts
// its own bytes, without the headers of the fragments.
func (p *plan) minWriteRate() int64 {
	least := p.writeRate / 4
	if p.fragment > 0 {
		least = int(float64(least) / float64(p.fragment+p.headerSize(p.fragment)) * float64(p.fragment))
	}
	if p.writeRate > 0 && least == 0 {
		return -1
	}
	return int64(least)
}

// headerSize returns the size of the header of a frame with n bytes.
func (p *plan) headerSize(n int) int {
	return len(frame.Header{Length: uint64(n), Masked: p.mask}.Append(nil, 0))
}

// echoTime returns the longest time that the faults delay and write take for a message of n
// bytes.
func (p *plan) echoTime(n int) time.Duration {
	t := p.delay + p.jitter
	if p.writeRate == 0 {
		return t
	}
	size := min(n, cmp.Or(p.fragment, n))
	frames := (n-1)/max(1, size) + 1
	bytes := float64(n) + float64(frames)*float64(p.headerSize(size))
	return t + time.Duration(min(bytes/float64(p.writeRate), maxTime.Seconds()*2)*float64(time.Second))
}

// Bounds of the values.
const (
	maxTime     = time.Hour
	minEvery    = 10 * time.Millisecond
	maxCount    = 1_000_000
	maxRate     = 1 << 30
	maxFragment = 16 << 20
	maxValue    = 32 // bytes of any value but reason
)

// A Parameter is a query parameter that requests a fault, as in docs/faults.md.
type Parameter struct {
	Name    string // such as drop
	Example string // a valid value, or N, CODE or TEXT
	Valid   string // the valid values, in words
	Effect  string // what the server does, in words
}

// Parameters returns all parameters, in the order of Outcome.Fault. The caller may change
// the result.
func Parameters() []Parameter {
	all := make([]Parameter, len(parameters))
	for i, a := range parameters {
		all[i] = Parameter{a.name, a.example, a.valid, a.effect}
	}
	return all
}

// A parameter is a Parameter and how to parse its value.
type parameter struct {
	name, example string
	valid, effect string // for errors, docs/faults.md and Parameters
	set           func(p *plan, value string) bool
}

// parameters are all of them, in the order of Outcome.Fault.
var parameters = []parameter{
	{"close", "CODE", "a close code: 1000 to 1003, 1007 to 1014, or 3000 to 4999", "closes with this code",
		func(p *plan, v string) bool {
			code, ok := count(v, 1000, 4999)
			p.closeCode = websocket.StatusCode(code)
			return ok && frame.LegalCode(p.closeCode)
		}},
	{"reason", "TEXT", "at most 123 bytes of UTF-8, beside close", "is the reason of that close frame",
		func(p *plan, v string) bool { p.reason = v; return len(v) <= 123 && utf8.ValidString(v) }},
	{"drop", "fin", "fin or rst", "ends TCP with FIN or RST, without a close frame and without the end of TLS",
		func(p *plan, v string) bool { p.drop = v; return v == "fin" || v == "rst" }},
	{"truncate", "1", "1", "ends TCP inside a frame, with FIN, or as drop says",
		func(p *plan, v string) bool { p.truncate = true; return v == "1" }},
	{"garbage", "1", "1", "sends an invalid frame, which has the reserved opcode 3",
		func(p *plan, v string) bool { p.garbage = true; return v == "1" }},
	{"utf8", "bad", "bad", "sends a text message that is not UTF-8",
		func(p *plan, v string) bool { p.badUTF8 = true; return v == "bad" }},
	{"after", "N", "1 to 1000000 messages, or a time from 1ms to 1h, beside close, drop, truncate, garbage or utf8", "does these after N echoed messages, or this time after the opening; at once without it",
		func(p *plan, v string) (ok bool) {
			if p.after, ok = count(v, 1, maxCount); ok {
				return true
			}
			p.after = 0
			p.afterTime, ok = duration(v, time.Millisecond, maxTime)
			return ok
		}},
	{"delay", "100ms", "1ms to 1h", "delays each echo by this time; meanwhile the server reads on and answers pings",
		func(p *plan, v string) (ok bool) { p.delay, ok = duration(v, time.Millisecond, maxTime); return ok }},
	{"jitter", "50ms", "1ms to 1h", "varies the delay of each echo at random by this much, up or down; their order stays",
		func(p *plan, v string) (ok bool) { p.jitter, ok = duration(v, time.Millisecond, maxTime); return ok }},
	{"pong", "off", "off, other, 1 to 1000000, or late: and 1ms to 1h, such as late:2s", "answers no ping, or with another payload, or N pings and then none, or late",
		func(p *plan, v string) (ok bool) { p.pong, ok = parsePong(v); return ok }},
	{"read", "stall", "stall, or slow: and 1B/s to 1GiB/s, such as slow:1KiB/s", "reads nothing, or slowly",
		func(p *plan, v string) (ok bool) {
			if p.readStall = v == "stall"; p.readStall {
				return true
			}
			p.readRate, ok = rate(v)
			return ok
		}},
	{"write", "slow:1KiB/s", "slow: and 1B/s to 1GiB/s", "writes at this rate; a message that would take too long is refused with 1009",
		func(p *plan, v string) (ok bool) { p.writeRate, ok = rate(v); return ok }},
	{"fragment", "N", "1 to 16777216 bytes", "sends each message in frames of N bytes",
		func(p *plan, v string) (ok bool) { p.fragment, ok = count(v, 1, maxFragment); return ok }},
	{"mask", "1", "1", "masks its frames, which only a client may do",
		func(p *plan, v string) bool { p.mask = true; return v == "1" }},
	{"status", "503", "200 to 599", "refuses the handshake with this status",
		func(p *plan, v string) (ok bool) { p.status, ok = count(v, 200, 599); return ok }},
	{"hold", "3s", "1ms to the handshake timeout of the server less a tenth, and at most 1m", "delays the response of the handshake by this time",
		func(p *plan, v string) (ok bool) { p.hold, ok = duration(v, time.Millisecond, maxHold); return ok }},
	{"accept", "wrong", "wrong", "answers with a wrong Sec-WebSocket-Accept",
		func(p *plan, v string) bool { p.wrongAccept = true; return v == "wrong" }},
	{"hello", "1", "1 or all", "sends JSON with what the server sees of the request; only all includes credentials",
		func(p *plan, v string) bool {
			p.hello = map[string]hello{"1": helloPublic, "all": helloAll}[v]
			return p.hello != helloNone
		}},
	{"ping", "2s", "10ms to 1h", "sends a ping this often, in addition to the heartbeat",
		func(p *plan, v string) (ok bool) { p.ping, ok = duration(v, minEvery, maxTime); return ok }},
	{"send", "N", "1 to 1000000", "sends N messages that are no echo, one at a time",
		func(p *plan, v string) (ok bool) { p.send, ok = count(v, 1, maxCount); return ok }},
	{"every", "1s", "10ms to 1h, beside send", "is the time between the messages of send; 1s by default",
		func(p *plan, v string) (ok bool) { p.every, ok = duration(v, minEvery, maxTime); return ok }},
}

// pathParameters are the parameters that a path such as /close/4001 has.
var pathParameters = []string{"close", "delay", "status"}

// fromPath returns the parameter and the value of a path such as /close/4001.
func fromPath(path string) (name, value string, ok bool) {
	name, value, ok = strings.Cut(strings.TrimPrefix(path, "/"), "/")
	return name, value, ok && slices.Contains(pathParameters, name)
}

func isFaultPath(path string) bool {
	_, _, ok := fromPath(path)
	return ok
}

// parse returns the faults that a URL requests, and nil for none.
func parse(u *url.URL, longestHold time.Duration) (*plan, error) {
	query, err := url.ParseQuery(u.RawQuery)
	if name, value, ok := fromPath(u.Path); ok {
		query[name] = append(query[name], value)
	}
	p := new(plan)
	var requested []string
	for _, a := range parameters {
		values, ok := query[a.name]
		switch {
		case !ok:
			continue
		case len(values) > 1:
			return nil, fmt.Errorf("the fault %s has %d values; give it one", a.name, len(values))
		case a.name != "reason" && len(values[0]) > maxValue, !a.set(p, values[0]):
			return nil, fmt.Errorf("the fault %s=%.100s is wrong; right is %s", a.name, strconv.Quote(values[0]), a.valid)
		}
		if a.name != "reason" { // which is free text, and a field of its own in the Outcome
			requested = append(requested, a.name+"="+values[0])
		}
	}
	requestsFault := requested != nil || query.Has("reason")
	if err != nil && (requestsFault || namesFault(u.RawQuery)) {
		return nil, errors.New("the query cannot be parsed; separate parameters by &, and write % and the code of a character in two hexadecimal digits")
	}
	if err := mistyped(query, requestsFault); err != nil {
		return nil, err
	}
	if !requestsFault {
		return nil, nil
	}
	p.fault = strings.Join(requested, "&")
	p.every = cmp.Or(p.every, time.Second)
	return p, p.check(query, longestHold)
}

// namesFault reports whether a query that cannot be parsed has a parameter.
func namesFault(query string) bool {
	for pair := range strings.SplitSeq(query, "&") {
		name, _, _ := strings.Cut(pair, "=")
		if isParameter(name) {
			return true
		}
	}
	return false
}

// check returns an error if the parameters do not fit together.
func (p *plan) check(query url.Values, longestHold time.Duration) error {
	switch {
	case p.closeCode != 0 && (p.drop != "" || p.truncate):
		return errors.New("the fault close ends a connection with a close frame, so neither drop nor truncate can end it too")
	case query.Has("reason") && p.closeCode == 0:
		return errors.New("the parameter reason needs close, such as close=4001")
	case query.Has("after") && !p.acts():
		return errors.New("the parameter after needs close, drop, truncate, garbage or utf8, such as drop=rst")
	case query.Has("every") && p.send == 0:
		return errors.New("the parameter every needs send, such as send=10")
	case p.hold > longestHold:
		return fmt.Errorf("the fault hold is at most %v here; --handshake-timeout changes it", longestHold)
	}
	return nil
}

// count parses a decimal number.
func count(s string, least, most int) (n int, ok bool) {
	n, err := strconv.Atoi(s)
	return n, err == nil && n >= least && n <= most && s[0] != '+'
}

func duration(s string, least, most time.Duration) (d time.Duration, ok bool) {
	d, err := time.ParseDuration(s)
	return d, err == nil && d >= least && d <= most && s[0] != '+'
}

// rate parses a rate such as slow:1KiB/s.
func rate(s string) (bytes int, ok bool) {
	s, slow := strings.CutPrefix(s, "slow:")
	s, perSecond := strings.CutSuffix(s, "/s")
	unit := 1
	for _, u := range []struct {
		name string
		size int
	}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"kB", 1e3}, {"KB", 1e3}, {"MB", 1e6}, {"B", 1}} {
		if n, has := strings.CutSuffix(s, u.name); has {
			s, unit = n, u.size
			break
		}
	}
	n, ok := count(s, 1, maxRate/unit)
	return n * unit, ok && slow && perSecond
}
