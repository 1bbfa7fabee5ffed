package load

import (
	"fmt"
	"time"

	"example.com/wsecho/internal/number"
)

// Figures are the figures that are compared, by their names in JSON.
var Figures = []string{"rate", "p50_ns", "p99_ns", "p999_ns"}

// Spread returns one of the Figures. It returns false if t has no value of it.
func (t *Target) Spread(figure string) (Spread, bool) {
	values := t.figure(figure)
	if len(values) == 0 {
		return Spread{}, false
	}
	return spreadOf(values), true
}

// figure returns one value for each round that was measured.
func (t *Target) figure(name string) []float64 {
	var values []float64
	for _, r := range t.Rounds {
		if v, ok := r.figure(name); ok {
			values = append(values, v)
		}
	}
	return values
}

func (r Round) figure(name string) (float64, bool) {
	some := r.Latency.Max > 0 // without echoes a round has a rate of 0 and no latency
	switch name {
	case "rate":
		return r.Rate, r.Measured > 0
	case "p50_ns":
		return float64(r.Latency.P50), some
	case "p99_ns":
		return float64(r.Latency.P99), some
	}
	return float64(r.Latency.P999), some
}

// summarize computes the figures that follow from the rounds.
func (r *Report) summarize() {
	for i, t := range r.Targets {
		t.Failures = append([]Failure{}, t.failures...) // in JSON no null
		t.Rate, _ = t.Spread("rate")
		t.P50, _ = t.Spread("p50_ns")
		t.P99, _ = t.Spread("p99_ns")
		t.P999, _ = t.Spread("p999_ns")
		if i == 0 {
			continue
		}
		t.Ratios = map[string]Ratio{}
		for _, name := range Figures {
			var own, first []float64
			for j := range min(len(t.Rounds), len(r.Targets[0].Rounds)) {
				a, ok := t.Rounds[j].figure(name)
				b, ok2 := r.Targets[0].Rounds[j].figure(name)
				if ok && ok2 {
					own, first = append(own, a), append(first, b)
				}
			}
			if ratio, ok := Compare(own, first); ok {
				t.Ratios[name] = ratio
			}
		}
	}
	r.Notes = r.notes()
}

const (
	// maxShare is the largest share of its processors that the client may use. With more,
	// the figures may be those of the client.
	maxShare = 0.85
	// maxLate is the same for the share of messages that left late.
	maxLate = 0.01
)

// notes returns sentences that limit the meaning of the figures.
func (r *Report) notes() []string {
	notes := []string{} // in JSON no null
	for _, t := range r.Targets {
		var used, measured time.Duration
		var messages, sent, late int64
		for _, round := range t.Rounds {
			used += round.Processor
			measured += round.Measured
			messages += round.Messages
			sent += round.Sent
			late += round.SentLate
		}
		share := float64(used) / (float64(measured) * float64(r.Processors))
		if share > maxShare {
			notes = append(notes, fmt.Sprintf("%s: this client was the bottleneck: it used %s of its processors, so the server may be faster", t.URL, number.Percent(share)))
		}
		if float64(late) > maxLate*float64(sent) {
			notes = append(notes, fmt.Sprintf("%s: this client or its machine was the bottleneck: %s of the messages left more than %v after they were due; their latencies contain that delay", t.URL, number.Percent(float64(late)/float64(sent)), lateBy))
		}
		if t.Local && messages > 0 && used > 0 {
			notes = append(notes, fmt.Sprintf("%s: it is on this machine, so client and server share the processors: the client used %s of its %d, %s per message",
				t.URL, number.Percent(share), r.Processors, number.Duration(float64(used.Nanoseconds())/float64(messages))))
		}
	}
	if r.Interrupted {
		notes = append(notes, "interrupted: these are the figures so far")
	}
	return notes
}
