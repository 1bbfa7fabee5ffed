package server

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A warningLog records the lines at level warn as "<seconds> <msg> <suppressed>".
type warningLog struct {
	start time.Time

	mu    sync.Mutex
	lines []string
	debug int // lines at level debug
}

func (l *warningLog) warnings() *warnings {
	l.start = time.Now()
	return &warnings{log: slog.New(l), buckets: make(map[string]*warningBucket)}
}

// got returns what has been logged.
func (l *warningLog) got() (lines []string, debug int) {
	synctest.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lines, l.debug
}

func (l *warningLog) Enabled(context.Context, slog.Level) bool { return true }
func (l *warningLog) WithAttrs([]slog.Attr) slog.Handler       { return l }
func (l *warningLog) WithGroup(string) slog.Handler            { return l }

func (l *warningLog) Handle(_ context.Context, r slog.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if r.Level != slog.LevelWarn {
		l.debug++
		return nil
	}
	line := fmt.Sprintf("%.0f %s", time.Since(l.start).Seconds(), r.Message)
	r.Attrs(func(a slog.Attr) bool {
		line += " " + a.String()
		return true
	})
	l.lines = append(l.lines, line)
	return nil
}

func TestWarnings(t *testing.T) {
	type causes struct {
		at    time.Duration // since the start
		kind  string
		times int
	}
	for name, test := range map[string]struct {
		causes []causes
		flush  time.Duration
		want   []string
		debug  int
	}{
		"a few":            {[]causes{{0, "a", 5}}, 0, []string{"0 a", "0 a", "0 a", "0 a", "0 a"}, 0},
		"a flood":          {[]causes{{0, "a", 1005}}, time.Hour, []string{"0 a", "0 a", "0 a", "0 a", "0 a", "10 a suppressed=999"}, 1000},
		"one too many":     {[]causes{{0, "a", 6}}, time.Hour, []string{"0 a", "0 a", "0 a", "0 a", "0 a", "10 a suppressed=0"}, 1},
		"before the end":   {[]causes{{0, "a", 7}}, 3 * time.Second, []string{"0 a", "0 a", "0 a", "0 a", "0 a", "3 a suppressed=1"}, 2},
		"kinds":            {[]causes{{0, "a", 6}, {1 * time.Second, "b", 1}}, time.Hour, []string{"0 a", "0 a", "0 a", "0 a", "0 a", "1 b", "10 a suppressed=0"}, 1},
		"one by one":       {[]causes{{0, "a", 5}, {10 * time.Second, "a", 1}, {20 * time.Second, "a", 1}}, time.Hour, []string{"0 a", "0 a", "0 a", "0 a", "0 a", "10 a", "20 a"}, 0},
		"a slow flood":     {[]causes{{0, "a", 6}, {4 * time.Second, "a", 1}, {13 * time.Second, "a", 3}}, time.Hour, []string{"0 a", "0 a", "0 a", "0 a", "0 a", "10 a suppressed=1", "20 a suppressed=2"}, 5},
		"after a pause":    {[]causes{{0, "a", 5}, {50 * time.Second, "a", 6}}, time.Hour, []string{"0 a", "0 a", "0 a", "0 a", "0 a", "50 a", "50 a", "50 a", "50 a", "50 a", "60 a suppressed=0"}, 1},
		"a debt remains":   {[]causes{{0, "a", 5}, {20 * time.Second, "a", 4}}, time.Hour, []string{"0 a", "0 a", "0 a", "0 a", "0 a", "20 a", "20 a", "30 a suppressed=1"}, 2},
		"nothing to flush": {nil, time.Second, nil, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log warningLog
				w := log.warnings()
				for _, c := range test.causes {
					time.Sleep(c.at - time.Since(log.start))
					for range c.times {
						w.warn(c.kind, c.kind)
					}
				}
				time.Sleep(test.flush - time.Since(log.start))
				w.flush()
				w.flush()
				time.Sleep(time.Hour) // no timer is left
				if lines, debug := log.got(); !slices.Equal(lines, test.want) || debug != test.debug {
					t.Errorf("got %q and %d at level debug, want %q and %d", lines, debug, test.want, test.debug)
				}
			})
		})
	}
}

// TestWarningsConcurrently counts the warnings of many goroutines.
func TestWarningsConcurrently(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const goroutines, each = 8, 500
		var log warningLog
		w := log.warnings()
		var all sync.WaitGroup
		for i := range goroutines {
			all.Go(func() {
				for range each {
					w.warn("a", "a")
					time.Sleep(time.Duration(1+i) * 10 * time.Millisecond)
				}
			})
		}
		all.Wait()
		took := time.Since(log.start)
		w.flush()
		lines, _ := log.got()
		sum := 0
		for _, line := range lines {
			var at, suppressed int
			var msg string
			_, _ = fmt.Sscanf(line, "%d %s suppressed=%d", &at, &msg, &suppressed) // the first have no third field
			sum += 1 + suppressed
		}
		if most := warningBurst + int(took/warningInterval) + 1; sum != goroutines*each || len(lines) > most {
			t.Errorf("got %d lines for %d warnings in %v, want %d warnings in at most %d lines: %q", len(lines), sum, took, goroutines*each, most, lines)
		}
	})
}
