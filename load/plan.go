package load

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"math"
	"net/http"
	"time"

	"example.com/wsecho/internal/handshake"
)

// The defaults of a Plan.
const (
	DefaultConnections = 64
	DefaultSize        = 64 // bytes
	DefaultDuration    = 2 * time.Second
	DefaultWarmup      = 500 * time.Millisecond
	DefaultRounds      = 5
	DefaultTimeout     = 10 * time.Second
)

// The largest values of a Plan. A larger one is nearly always a mistake.
const (
	maxConnections = 1 << 20
	maxSize        = 64 << 20
	maxInFlight    = 1 << 16
	maxRounds      = 10_000
	maxRate        = 1e8
	minDuration    = time.Millisecond
	maxDuration    = 1000 * time.Hour
)

// A Plan is the work that Run does with each server. The zero value is ready to use.
type Plan struct {
	// Connections is the number of connections at once. Zero is DefaultConnections.
	Connections int `json:"connections"`

	// Size is the length of a message in bytes, before compression. Zero is DefaultSize.
	// Negative is empty messages.
	Size int `json:"size"`

	// Binary sends binary messages of random bytes. Otherwise Run sends texts of invented
	// words, which can be compressed.
	Binary bool `json:"binary"`

	// InFlight is the number of messages in flight on each connection. Zero is 1. With a
	// Rate it must be zero.
	InFlight int `json:"in_flight,omitempty"`

	// Rate is the number of messages per second, on all connections together, at equal
	// intervals (open loop). Zero is a closed loop.
	Rate float64 `json:"rate,omitempty"`

	// SkipGreeting is the number of messages that a server sends on each connection
	// before it receives any. They are ignored. A server that sends fewer within a second
	// is measured too. Zero is none; then such a message is a failure.
	SkipGreeting int `json:"skip_greeting,omitempty"`

	// Duration is the time for which a round measures one server. Zero is
	// DefaultDuration. Warmup is the time before that in which messages are sent and not
	// measured. Zero is DefaultWarmup, negative is none.
	Duration time.Duration `json:"duration_ns"`
	Warmup   time.Duration `json:"warmup_ns"`

	// Rounds is the number of times that each server is measured. Zero is DefaultRounds.
	// A ratio needs FewestRounds to be significant.
	Rounds int `json:"rounds"`

	// Timeout is the longest time to open a connection. It is also the longest time
	// without progress while messages are in flight. Zero is DefaultTimeout.
	Timeout time.Duration `json:"timeout_ns"`

	// Compression offers permessage-deflate and compresses each message by itself. A
	// server that does not agree is not measured.
	Compression bool `json:"compression"`

	// Subprotocols are offered in this order. A server that chooses none of them
	// is not measured.
	Subprotocols []string `json:"subprotocols,omitempty"`

	// Header is sent with the opening handshake. It may contain Origin and Host. Run
	// ignores the fields that belong to the handshake itself. The report does not contain
	// Header, which may hold secrets.
	Header http.Header `json:"-"`

	// TLS is for wss. Nil trusts the system's roots.
	TLS *tls.Config `json:"-"`

	// Measuring is called with true when the measured time of a server begins, and with
	// false when it ends. A caller can measure the server's cost between the two. A round
	// that ends in its warm-up does not call it. Nil is ignored.
	Measuring func(begins bool) `json:"-"`

	// Progress is called about twice a second and at the end of each round, by one
	// goroutine at a time. Nil is ignored.
	Progress func(Progress) `json:"-"`
}

// A Progress is the state of a run.
type Progress struct {
	URL       string
	Round     int           // from 1
	Rounds    int           // of the plan
	Done      float64       // of the whole run, from 0 to 1
	Rate      float64       // messages per second since the last call
	P99       time.Duration // of the messages since the last call; 0 if there were none
	Failures  int           // failed connections of this round
	RoundOver bool          // Rate and P99 are those of the whole round
}

// populated returns p with its defaults, or an error that names a wrong field.
func (p Plan) populated() (Plan, error) {
	if p.Rate != 0 && p.InFlight != 0 {
		return p, fmt.Errorf("load: %w", &handshake.FieldError{Field: "InFlight", See: "Rate",
			Err: errors.New("it has no meaning in an open loop, which sends messages when they are due")})
	}
	p.Connections = cmp.Or(p.Connections, DefaultConnections)
	p.Size = max(cmp.Or(p.Size, DefaultSize), 0)
	p.InFlight = cmp.Or(p.InFlight, 1)
	p.Duration = cmp.Or(p.Duration, DefaultDuration)
	p.Warmup = max(cmp.Or(p.Warmup, DefaultWarmup), 0)
	p.Rounds = cmp.Or(p.Rounds, DefaultRounds)
	p.Timeout = cmp.Or(p.Timeout, DefaultTimeout)
	for _, o := range []struct {
		name        string
		value, most int
	}{
		{"Connections", p.Connections, maxConnections},
		{"InFlight", p.InFlight, maxInFlight},
		{"Rounds", p.Rounds, maxRounds},
	} {
		if o.value < 1 || o.value > o.most {
			return p, wrongField(o.name, "%d is not from 1 to %d", o.value, o.most)
		}
	}
	switch {
	case p.SkipGreeting < 0 || p.SkipGreeting > maxInFlight:
		return p, wrongField("SkipGreeting", "%d is not from 0 to %d", p.SkipGreeting, maxInFlight)
	case p.Size > maxSize:
		return p, wrongField("Size", "%d is over %d bytes", p.Size, maxSize)
	case math.IsNaN(p.Rate) || p.Rate < 0 || p.Rate > maxRate:
		return p, wrongField("Rate", "%v is not from 0 to %.0f", p.Rate, float64(maxRate))
	}
	for _, o := range []struct {
		name  string
		value time.Duration
	}{
		{"Duration", p.Duration},
		{"Timeout", p.Timeout},
	} {
		if o.value < minDuration || o.value > maxDuration {
			return p, wrongField(o.name, "%v is not from %v to %v", o.value, minDuration, maxDuration)
		}
	}
	if p.Warmup > maxDuration {
		return p, wrongField("Warmup", "%v is longer than %v", p.Warmup, maxDuration)
	}
	if err := handshake.CheckFields(p.Subprotocols, p.Header); err != nil {
		return p, fmt.Errorf("load: %w", err)
	}
	if p.Rate != 0 {
		p.InFlight = 0
	}
	return p, nil
}

// wrongField returns the error for a field of a Plan.
func wrongField(field, format string, args ...any) error {
	return fmt.Errorf("load: %w", handshake.WrongField(field, format, args...))
}
