package soak

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"example.com/wsecho/bench/measure"
)

// Options are the options of Run.
type Options struct {
	For         time.Duration // the duration of the load
	Conns       int           // concurrent visits to each server
	Seed        uint64
	Compression bool          // some peers offer permessage-deflate
	Every       time.Duration // between two quiet points; 0: depends on For
}

// The median memory may grow by this factor and this many bytes between the two halves of
// the quiet points. The runtime releases memory late and in varying amounts.
const (
	growth      = 0.25
	growthBytes = 24 << 20
)

// drained is the number of connected peers during the drain.
const drained = 40

// ErrWrong means that the soak has found a fault. The report describes it.
var ErrWrong = errors.New("the soak found faults")

// Run tests the servers and stops them. It writes a line to out at every quiet point, and a
// summary at the end. If ctx ends, Run ends early without an error.
func Run(ctx context.Context, servers []*Server, o Options, out io.Writer) error {
	if o.Every <= 0 {
		o.Every = min(time.Minute, max(5*time.Second, o.For/4))
	}
	loading, stop := context.WithTimeout(ctx, o.For)
	defer stop()
	var watching sync.WaitGroup
	for _, s := range servers {
		watching.Go(func() {
			select {
			case <-s.logEnded:
				s.ComplainFirst("%s ended during the load", s.Name)
				stop()
			case <-loading.Done():
			}
		})
	}
	start := time.Now()
	l := NewLoad(loading, servers, o.Conns, o.Seed, o.Compression)
	resident := make([]measure.Sample, len(servers))
	reported := make(map[string]bool)
	point := func() {
		line := l.String()
		for i, s := range servers {
			q, err := s.Quiet(stepTimeout)
			if err != nil {
				s.Complain("measuring %s: %v", s.Name, err)
				continue
			}
			resident[i] = append(resident[i], float64(q.Resident))
			line += fmt.Sprintf("; %s: %.1f MiB, %d files", s.Name, float64(q.Resident)/(1<<20), q.Files)
		}
		all, wrong := complaints(servers)
		fmt.Fprintf(out, "%v: %s; %d wrong\n    %s\n", time.Since(start).Round(time.Second), line, wrong, kindsOf(servers))
		for _, text := range all {
			if !reported[text] {
				reported[text] = true
				fmt.Fprintln(out, "!!", text)
			}
		}
	}
	for loading.Err() == nil {
		t := time.NewTimer(o.Every)
		select {
		case <-t.C:
		case <-loading.Done():
			t.Stop()
			continue
		}
		l.Pause()
		if loading.Err() == nil {
			point()
		}
		l.Resume()
	}
	stop()
	l.Wait()
	watching.Wait()
	point()
	for _, s := range servers {
		l.Drain(s, drained)
	}
	fmt.Fprintf(out, "\nin %v: %s\n", time.Since(start).Round(time.Second), kindsOf(servers))
	for i, s := range servers {
		text, bad := grown(resident[i])
		fmt.Fprintf(out, "%s: %s\n", s.Name, text)
		if bad {
			s.Complain("the memory of %s grows: %s", s.Name, text)
		}
	}
	all, n := complaints(servers)
	for _, text := range all {
		fmt.Fprintln(out, "!!", text)
	}
	fmt.Fprintf(out, "%d wrong\n", n)
	if n > 0 {
		return ErrWrong
	}
	return nil
}

func complaints(servers []*Server) (all []string, n int) {
	for _, s := range servers {
		texts, count := s.Problems()
		all = append(all, texts...)
		n += count
	}
	return all, n
}

// grown describes the memory at the quiet points and reports whether it has grown. It
// ignores the first point, because the first minutes fill the pools.
func grown(resident measure.Sample) (text string, bad bool) {
	if len(resident) < 5 {
		return "too few quiet points to detect growing memory", false
	}
	rest := resident[1:]
	first, second := rest[:len(rest)/2].Median(), rest[len(rest)/2:].Median()
	return fmt.Sprintf("median resident memory: first half %.1f MiB, second half %.1f MiB, limit %.1f MiB",
		first/(1<<20), second/(1<<20), bound(first)/(1<<20)), second > bound(first)
}

func bound(first float64) float64 { return first*(1+growth) + growthBytes }
