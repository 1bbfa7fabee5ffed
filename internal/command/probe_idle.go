package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"example.com/wsecho/internal/handshake"
	"example.com/wsecho/internal/number"
	"example.com/wsecho/probe"
)

// The JSON of wsecho probe --find-idle-timeout: a line for each direction, and a summary.
type (
	idleLine struct {
		Event      string  `json:"event"` // idle
		URL        string  `json:"url"`
		Silent     string  `json:"silent"` // both, client, server
		Survived   float64 `json:"survived_seconds"`
		Failed     float64 `json:"failed_seconds,omitempty"`
		Seen       bool    `json:"seen,omitempty"`
		Code       int     `json:"code,omitempty"`
		Reason     string  `json:"reason,omitempty"`
		Trials     int     `json:"trials"`
		ServerSent bool    `json:"server_sent,omitempty"`
	}
	idleSummary struct {
		Event    string   `json:"event"` // idle_summary
		URL      string   `json:"url"`
		Interval float64  `json:"ping_interval_seconds,omitempty"`
		Suspects []string `json:"suspects,omitempty"`
	}
)

// suspectsFor describes the suspects for a timeout.
func suspectsFor(r probe.IdleResult) (names []string) {
	for _, s := range r.Suspects() {
		names = append(names, fmt.Sprintf("%s: %s", number.Duration(float64(s.Timeout)), s.Name))
	}
	return names
}

// silentSide names the side that was silent in fact.
func silentSide(r probe.IdleResult) string {
	switch {
	case r.Silent == probe.ServerSilent:
		return "server"
	case r.ServerSent:
		return "client"
	}
	return "both"
}

// findIdle finds the idle timeouts of the path to a server, in both ways at once.
func (f *probeCommand) findIdle(ctx context.Context, out streams, j *probeJob) error {
	if f.Deadline > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(f.Deadline))
		defer cancel()
	}
	var mu sync.Mutex
	results := []probe.IdleResult{{Silent: probe.BothSilent}, {Silent: probe.ServerSilent}}
	notes := out.stderr
	if f.Quiet {
		notes = io.Discard
	}
	progress := newIdleProgress(notes, f.idleTick, results)
	running, stop := context.WithCancel(ctx)
	var ticking sync.WaitGroup
	ticking.Go(func() { progress.run(running) })
	g, gctx := errgroup.WithContext(ctx)
	for i := range results {
		g.Go(func() error {
			r, err := probe.FindIdle(gctx, j.address, probe.IdleOptions{
				Connect: j.options.Connect, Silent: results[i].Silent, Max: time.Duration(f.MaxIdle),
				OnProgress: func(r probe.IdleResult) { progress.changed(i, r) },
			})
			progress.end(i)
			mu.Lock()
			results[i] = r
			mu.Unlock()
			return err
		})
	}
	err := g.Wait()
	stop()
	ticking.Wait()
	var b strings.Builder
	for _, r := range results {
		if f.JSON || r.Trials > 0 {
			b.WriteString(f.idleText(j, r))
		}
	}
	if f.JSON || err == nil || probe.PingInterval(results...) > 0 {
		b.WriteString(f.idleSummaryText(j, results))
	}
	if _, err := out.stdout.Write([]byte(b.String())); err != nil {
		return err
	}
	failure := (*probe.Error)(nil)
	switch {
	case err == nil:
		return nil
	case errors.As(err, &failure) && !errors.Is(err, context.Canceled):
		return exitError{error: certificateHint(fmt.Errorf("%s: %w", j.name, err)), code: failure.Step.ExitCode()}
	case errors.As(err, new(*handshake.FieldError)):
		return flagError(err, probeFlags)
	}
	return fmt.Errorf("%s: not finished: %w", j.name, err)
}

// idleRange describes what a result knows of the timeout.
func idleRange(r probe.IdleResult) string {
	survived := "survived " + number.Duration(float64(r.Survived))
	switch {
	case r.Failed == 0 && r.Survived == 0:
		return "nothing is known yet"
	case r.Failed == 0:
		return survived + ", and nothing has ended"
	case r.Survived == 0:
		return "ended after " + number.Duration(float64(r.Failed))
	}
	return survived + ", ended after " + number.Duration(float64(r.Failed))
}

// idleText returns the line for one result.
func (f *probeCommand) idleText(j *probeJob, r probe.IdleResult) string {
	if f.JSON {
		return jsonText(idleLine{
			Event: "idle", URL: j.name, Silent: silentSide(r), Survived: r.Survived.Seconds(), Failed: r.Failed.Seconds(),
			Seen: r.Seen, Code: r.Code, Reason: r.Reason, Trials: r.Trials, ServerSent: r.ServerSent,
		})
	}
	text := fmt.Sprintf("%-13s %s", map[string]string{"both": "both silent", "client": "client silent", "server": "server silent"}[silentSide(r)], idleRange(r))
	switch {
	case r.Code != 0:
		text += fmt.Sprintf(", with a close frame %d %s", r.Code, handshake.Quoted([]byte(r.Reason)))
	case r.Seen:
		text += ", when the connection was closed"
	case r.Failed > 0:
		text += "; its end was not seen, and the next ping had no answer"
	}
	if r.Silent == probe.ServerSilent && r.ServerSent {
		text += "; the server was not silent"
	}
	return text + "\n"
}

// idleSummaryText returns the recommendation and the suspects.
func (f *probeCommand) idleSummaryText(j *probeJob, results []probe.IdleResult) string {
	interval := probe.PingInterval(results...)
	var names []string
	for _, r := range results {
		for _, name := range suspectsFor(r) {
			if !strings.Contains(strings.Join(names, "\n"), name) {
				names = append(names, name)
			}
		}
	}
	if f.JSON {
		return jsonText(idleSummary{Event: "idle_summary", URL: j.name, Interval: interval.Seconds(), Suspects: names})
	}
	switch {
	case interval == 0 && slices.ContainsFunc(results, func(r probe.IdleResult) bool { return r.Failed > 0 }):
		return "no silence was survived, so there is no ping interval to recommend\n"
	case interval == 0:
		return "no idle timeout was found; --max-idle tries longer silences\n"
	}
	text := fmt.Sprintf("recommended ping interval: %v or less\n", interval)
	for _, name := range names {
		text += "usual suspect: " + name + "\n"
	}
	return text
}
