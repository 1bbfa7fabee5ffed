package load

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

func TestSpread(t *testing.T) {
	for _, test := range []struct {
		values []float64
		want   Spread
	}{
		{nil, Spread{}},
		{[]float64{7}, Spread{7, 7, 7}},
		{[]float64{3, 1}, Spread{2, 1, 3}},
		{[]float64{9, 1, 5}, Spread{5, 1, 9}},
	} {
		if got := spreadOf(test.values); got != test.want {
			t.Errorf("%v: %+v, want %+v", test.values, got, test.want)
		}
	}
}

func TestRatio(t *testing.T) {
	for name, test := range map[string]struct {
		a, first []float64
		want     Ratio
	}{
		"the same": {[]float64{3, 4, 5, 6, 7}, []float64{3, 4, 5, 6, 7}, Ratio{1, 1, 1, 5, true}},
		// Other work of the machine affected both.
		"twice in each round": {[]float64{2, 20, 4, 60, 10}, []float64{1, 10, 2, 30, 5}, Ratio{2, 2, 2, 5, false}},
		"once the other way":  {[]float64{2, 2, 2, 2, 0.5}, []float64{1, 1, 1, 1, 1}, Ratio{2, 0.5, 2, 5, true}},
		"too few":             {[]float64{2, 2, 2, 2}, []float64{1, 1, 1, 1}, Ratio{2, 0, 0, 4, true}},
		"half":                {[]float64{1, 1, 1, 1, 1, 1}, []float64{2, 2, 2, 2, 2, 2}, Ratio{0.5, 0.5, 0.5, 6, false}},
		"nothing to divide":   {[]float64{1, 2, 3, 4, 5, 6}, []float64{0, 2, 3, 4, 5, 6}, Ratio{1, 1, 1, 5, true}},
	} {
		if got, ok := Compare(test.a, test.first); !ok || got != test.want {
			t.Errorf("%s: %+v, want %+v", name, got, test.want)
		}
	}
	if _, ok := Compare([]float64{1}, []float64{0}); ok {
		t.Error("there is a ratio to nothing")
	}
}

// TestInterval checks how often the interval is right. Without a difference it seldom shows
// one. With a difference and enough rounds it nearly always does.
func TestInterval(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	found := func(rounds int, factor float64) int {
		n := 0
		for range 50 {
			a, b := make([]float64, rounds), make([]float64, rounds)
			for i := range a {
				a[i] = factor * (1 + 0.1*random.NormFloat64())
				b[i] = 1 + 0.1*random.NormFloat64()
			}
			if r, ok := Compare(a, b); !ok || !r.Noise {
				n++
			}
		}
		return n
	}
	// By chance, in 6 % of the cases all of five rounds are on one side.
	if n := found(5, 1); n > 8 {
		t.Errorf("five rounds: a difference was found in %d of 50, and there is none", n)
	}
	if n := found(15, 1); n > 8 {
		t.Errorf("fifteen rounds: a difference was found in %d of 50, and there is none", n)
	}
	if n := found(15, 1.3); n < 45 {
		t.Errorf("fifteen rounds: a difference of 30 %% was found in %d of 50 only", n)
	}
}

// TestNotes checks that a note appears if the client was the bottleneck.
func TestNotes(t *testing.T) {
	round := func(processor time.Duration, sent, late int64) Round {
		return Round{Measured: time.Second, Messages: 1000, Processor: processor, Sent: sent, SentLate: late}
	}
	for name, test := range map[string]struct {
		target Target
		want   []string // a part of each note
	}{
		"at ease":       {Target{Rounds: []Round{round(time.Second, 1000, 10)}}, nil},
		"busy":          {Target{Rounds: []Round{round(1800*time.Millisecond, 0, 0)}}, []string{"the bottleneck: it used 90 %"}},
		"busy at times": {Target{Rounds: []Round{round(1800*time.Millisecond, 0, 0), round(time.Second, 0, 0)}}, nil},
		"late":          {Target{Rounds: []Round{round(time.Second, 1000, 11)}}, []string{"the bottleneck: 1.1 % of the messages left more than 1ms after they were due"}},
		"here":          {Target{Rounds: []Round{round(time.Second, 0, 0)}, Local: true}, []string{"share the processors: the client used 50 % of its 2, 1.00 ms per message"}},
		"unknown":       {Target{Rounds: []Round{round(0, 0, 0)}, Local: true}, nil},
		"not measured":  {Target{Rounds: []Round{{}}}, nil},
	} {
		r := Report{Processors: 2, Targets: []*Target{&test.target}}
		got := r.notes()
		if len(got) != len(test.want) {
			t.Errorf("%s: %q, want %q", name, got, test.want)
			continue
		}
		for i := range got {
			if !strings.Contains(got[i], test.want[i]) {
				t.Errorf("%s: %q, want %q", name, got[i], test.want[i])
			}
		}
	}
}

func TestRecorder(t *testing.T) {
	r := newRecorder()
	for conn := range 100 {
		p := r.shard(conn)
		p.mu.Lock()
		p.record(time.Duration(conn+1)*time.Millisecond, 2)
		p.count += 2
		p.mu.Unlock()
	}
	if fresh := r.collect(); fresh.TotalCount() != 200 {
		t.Errorf("%d were new", fresh.TotalCount())
	}
	p := r.shard(0)
	p.record(-time.Second, 1)
	p.record(100*time.Hour, 1)
	if fresh := r.collect(); fresh.TotalCount() != 2 {
		t.Errorf("%d were new", fresh.TotalCount())
	}
	if n := r.count(); n != 200 {
		t.Errorf("the count is %d", n)
	}
	near := func(got, want time.Duration) bool { return got >= want-want/500 && got <= want+want/500 }
	if l := latencyOf(r.total); l.Min > time.Microsecond || !near(l.P50, 50*time.Millisecond) || !near(l.P90, 91*time.Millisecond) || !near(l.Max, longest) {
		t.Errorf("%+v", l)
	}
}

// TestRatioText checks that the number is always printed, and marked if it is not
// significant.
func TestRatioText(t *testing.T) {
	for r, want := range map[Ratio][2]string{
		{Median: 0.234, Low: 0.221, High: 0.25, Rounds: 5}:            {"0.234×", "(0.221–0.250)"},
		{Median: 0.98, Low: 0.93, High: 1.07, Rounds: 5, Noise: true}: {"0.980× n.s.", "(0.930–1.07)"},
		{Median: 0.5, Rounds: 4, Noise: true}:                         {"0.500× n.s.", ""},
		{Rounds: 5}:                                                   {"0×", "(0–0)"},
	} {
		if median, interval := r.Text("×"); [2]string{median, interval} != want {
			t.Errorf("%+v: got %q %q, want %q", r, median, interval, want)
		}
	}
}
