package load

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"runtime"
	"time"

	"example.com/wsecho/internal/handshake"
)

// Run measures the servers at the URLs according to p. It blocks until all rounds are
// done. If ctx ends, it waits one second at most for the echoes of messages in flight.
// Then the report has the results so far.
//
// A URL is ws://, wss://, or tcp://HOST:PORT for a server that echoes bytes without
// WebSocket.
//
// An error means that the plan or a URL is not valid. Then Run has done nothing. The
// report holds the failures of the servers.
func Run(ctx context.Context, p Plan, urls ...string) (*Report, error) {
	p, parsed, err := p.check(urls)
	if err != nil {
		return nil, err
	}
	messages, err := newMessages(p)
	if err != nil {
		return nil, err
	}
	r := &Report{Plan: p, Began: time.Now().UTC(), Processors: runtime.GOMAXPROCS(0)}
	for _, u := range parsed {
		r.Targets = append(r.Targets, &Target{URL: u.Redacted()})
	}
	for round := range p.Rounds {
		for i, target := range r.Targets {
			if target.GivenUp || ctx.Err() != nil {
				continue
			}
			t := &run{plan: &p, url: parsed[i], messages: messages, recorder: newRecorder()}
			if t.url.Scheme == tcpScheme {
				t.messages = messages.asBytes()
			}
			now := Progress{URL: target.URL, Round: round + 1, Rounds: p.Rounds}
			t.progress = func(rate float64, p99 time.Duration, failures int) {
				if p.Progress == nil {
					return
				}
				now.Rate, now.P99, now.Failures = rate, p99, failures
				part := 1.0
				if !now.RoundOver {
					part = min(float64(t.now())/float64(t.to), 1)
				}
				now.Done = (float64(round*len(urls)+i) + part) / float64(p.Rounds*len(urls))
				p.Progress(now)
			}
			t.run(ctx)
			target.add(t)
			now.RoundOver = true
			t.progress(target.lastRate(), time.Duration(t.recorder.total.ValueAtQuantile(99)), t.failures.count())
		}
	}
	r.Interrupted = ctx.Err() != nil
	r.summarize()
	return r, nil
}

// Check returns the error that Run would return, and does nothing else.
func (p Plan) Check(urls ...string) error {
	_, _, err := p.check(urls)
	return err
}

// check returns p with its defaults, and the URLs.
func (p Plan) check(urls []string) (Plan, []*url.URL, error) {
	p, err := p.populated()
	if err != nil {
		return p, nil, err
	}
	if len(urls) == 0 {
		return p, nil, errors.New("load: there is no URL")
	}
	parsed := make([]*url.URL, len(urls))
	for i, s := range urls {
		if parsed[i], err = parseURL(s, p.Compression); err != nil {
			return p, nil, fmt.Errorf("load: %w", err)
		}
	}
	return p, parsed, nil
}

// tcpScheme is the scheme of a server that echoes bytes over TCP, without WebSocket.
const tcpScheme = "tcp"

func parseURL(s string, compression bool) (*url.URL, error) {
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Scheme != tcpScheme:
		return handshake.ParseURL(s)
	case u.Hostname() == "" || u.Port() == "" || s != tcpScheme+"://"+u.Host:
		return nil, fmt.Errorf("%q is not tcp://HOST:PORT", s)
	case compression:
		return nil, fmt.Errorf("%q echoes bytes and cannot have Compression", s)
	}
	return u, nil
}

// add adds the result of a run that has ended.
func (target *Target) add(t *run) {
	t.recorder.collect()
	target.failures.merge(t.failures...)
	target.Messages += t.echoed
	target.Lost += t.lost
	target.Local = target.Local || t.local
	// Another attempt to connect would fail too, perhaps after a timeout.
	target.GivenUp = len(t.conns) == 0 && len(t.failures) > 0
	round := Round{Connections: len(t.conns)}
	if t.measured > 0 {
		round.Measured = t.measured
		round.Messages = t.recorder.count()
		round.Rate = float64(round.Messages) / t.measured.Seconds()
		round.Latency = latencyOf(t.recorder.total)
		round.Processor = t.cpu[1] - t.cpu[0]
		for _, c := range t.conns {
			round.Sent += c.late.sent
			round.SentLate += c.late.late
		}
	}
	target.Rounds = append(target.Rounds, round)
}

func (target *Target) lastRate() float64 {
	if len(target.Rounds) == 0 {
		return 0
	}
	return target.Rounds[len(target.Rounds)-1].Rate
}

// A Report is the result of Run.
type Report struct {
	Plan        Plan      `json:"plan"` // with its defaults
	Began       time.Time `json:"began"`
	Interrupted bool      `json:"interrupted"`
	Processors  int       `json:"processors"` // this client may use so many
	Targets     []*Target `json:"targets"`
	Notes       []string  `json:"notes"` // sentences that limit the meaning of the figures
}

// A Target is the result of one server.
type Target struct {
	URL      string    `json:"url"` // without a password
	Rounds   []Round   `json:"rounds"`
	Messages int64     `json:"messages"` // that came back unchanged, in warm-ups too
	Lost     int64     `json:"lost"`     // in flight when their connection failed
	Failures []Failure `json:"failures"`
	GivenUp  bool      `json:"given_up"` // no connection was opened; later rounds leave it out
	Local    bool      `json:"local"`    // it is on this machine

	Rate Spread `json:"rate"` // messages per second
	P50  Spread `json:"p50_ns"`
	P99  Spread `json:"p99_ns"`
	P999 Spread `json:"p999_ns"`

	// Ratios are the same figures divided by those of the first server, by the
	// names that they have in JSON. The first has none.
	Ratios map[string]Ratio `json:"ratios,omitempty"`

	failures failures
}

// A Round is the result of one server in one round.
type Round struct {
	Connections int           `json:"connections"` // that were opened
	Measured    time.Duration `json:"measured_ns"` // 0: the round ended in its warm-up
	Messages    int64         `json:"messages"`    // that came back in that time
	Rate        float64       `json:"rate"`        // messages per second
	Latency     Latency       `json:"latency"`     // of the messages sent in that time

	// Processor is the processor time of this client in that time; 0 if unknown.
	Processor time.Duration `json:"client_processor_ns"`

	// Sent counts the messages of an open loop. SentLate counts those that left more than
	// a millisecond late because of this client or its machine.
	Sent     int64 `json:"sent,omitempty"`
	SentLate int64 `json:"sent_late,omitempty"`
}

// OK reports whether each message to each server was echoed unchanged, and there was at
// least one.
func (r *Report) OK() bool {
	for _, t := range r.Targets {
		if !t.OK() {
			return false
		}
	}
	return true
}

// OK reports the same of one server.
func (t *Target) OK() bool { return len(t.Failures) == 0 && t.Lost == 0 && t.Messages > 0 }

// Problems returns a sentence for each problem of t, none if t is OK.
func (t *Target) Problems() []string {
	var s []string
	for _, f := range t.Failures {
		s = append(s, fmt.Sprintf("%s: %v", t.URL, f))
	}
	if t.Lost > 0 {
		s = append(s, fmt.Sprintf("%s: %d messages never came back", t.URL, t.Lost))
	}
	if len(s) == 0 && t.Messages == 0 {
		s = append(s, t.URL+": no message came back")
	}
	return s
}
