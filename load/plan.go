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

// What the zero values of a Plan stand for.
const (
	DefaultConnections = 64
	DefaultSize        = 64 // bytes
	DefaultDuration    = 2 * time.Second
	DefaultWarmup      = 500 * time.Millisecond
	DefaultRounds      = 5
	DefaultTimeout     = 10 * time.Second
)

// What is more is refused: it would be a mistake in nearly every case.
const (
	maxConnections = 1 << 20
	maxSize        = 64 << 20
	maxInFlight    = 1 << 16
	maxRounds      = 10_000
	maxRate        = 1e8
	minDuration    = time.Millisecond
	maxDuration    = 1000 * time.Hour
)

// A Plan says what is done to each server. The zero value is good.
type Plan struct {
	// Connections is the number of connections to the server that is measured; zero is
	// DefaultConnections.
	Connections int `json:"connections"`

	// Size is the length of a message in bytes, before compression; zero is
	// DefaultSize and negative is empty messages.
	Size int `json:"size"`

	// Binary sends binary messages, which are random bytes, and not texts, which
	// are words and can be compressed.
	Binary bool `json:"binary"`

	// InFlight is how many messages are on their way on each connection; zero is
	// 1. With a Rate it has no meaning and has to be zero.
	InFlight int `json:"in_flight,omitempty"`

	// Rate is how many messages are due in a second, on all connections
	// together and evenly; zero is a closed loop.
	Rate float64 `json:"rate,omitempty"`

	// Duration is how long a round measures one server; zero is DefaultDuration. Warmup is
	// how long it runs before that; zero is DefaultWarmup and negative is none.
	Duration time.Duration `json:"duration_ns"`
	Warmup   time.Duration `json:"warmup_ns"`

	// Rounds is how many turns each server has; zero is DefaultRounds. Fewer
	// than five are too few to tell a difference from noise.
	Rounds int `json:"rounds"`

	// Timeout is how long a connection may take to be made, and then how long it
	// may be silent while something is due; zero is DefaultTimeout.
	Timeout time.Duration `json:"timeout_ns"`

	// Compression asks for permessage-deflate and sends compressed messages, each
	// by itself. A server that does not agree is not measured.
	Compression bool `json:"compression"`

	// Subprotocols are offered in this order. A server that chooses none of them
	// is not measured.
	Subprotocols []string `json:"subprotocols,omitempty"`

	// Header is sent with the handshake, Origin and Host among it. What belongs to
	// the handshake itself is not taken from here. It is not in the report, since
	// it may hold secrets.
	Header http.Header `json:"-"`

	// TLS is for wss; nil trusts the system's roots.
	TLS *tls.Config `json:"-"`

	// Measuring is called with true when a round begins to measure, after its
	// connections are made and its warm-up is over, and with false when it ends, if it
	// had begun: for whoever reads meanwhile what the server costs. Nil is nobody.
	Measuring func(begins bool) `json:"-"`

	// Progress is called about twice a second and at the end of each round, never
	// at the same time as itself. Nil is nobody.
	Progress func(Progress) `json:"-"`
}

// A Progress is how far a run is.
type Progress struct {
	URL       string
	Round     int           // from 1
	Rounds    int           // of the plan
	Done      float64       // of the whole run, from 0 to 1
	Rate      float64       // messages a second since the last call
	P99       time.Duration // the same; 0 if none came
	Failures  int           // connections of this round that have failed
	RoundOver bool          // then Rate and P99 are of the whole round
}

// populated returns p with its defaults, or what makes no sense in it.
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
