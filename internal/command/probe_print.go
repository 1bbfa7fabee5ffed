package command

import (
	"crypto/tls"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"example.com/wsecho/ending"
	"example.com/wsecho/internal/handshake"
	"example.com/wsecho/internal/number"
	"example.com/wsecho/probe"
)

// rttHistograms have the round-trip times of pings and of messages.
type rttHistograms struct {
	values [2]*hdrhistogram.Histogram
	most   [2]time.Duration // a histogram rounds up
}

func index(echo bool) int {
	if echo {
		return 1
	}
	return 0
}

// add records a round-trip time, with three digits.
func (h *rttHistograms) add(echo bool, rtt time.Duration) {
	i := index(echo)
	if h.values[i] == nil {
		h.values[i] = hdrhistogram.New(1, int64(time.Hour), 3)
	}
	h.most[i] = max(h.most[i], rtt)
	_ = h.values[i].RecordValue(min(max(int64(rtt), 1), int64(time.Hour))) // in range, so without an error
}

// at returns a percentile, 0 if there is no value.
func (h *rttHistograms) at(echo bool, percent float64) time.Duration {
	if h.values[index(echo)] == nil {
		return 0
	}
	return min(time.Duration(h.values[index(echo)].ValueAtQuantile(percent)), h.most[index(echo)])
}

// A probePrinter prints the events of all jobs.
type probePrinter struct {
	f       *probeCommand
	several bool // the lines begin with the name of the server
	plot    *plot

	mu   sync.Mutex
	w    io.Writer
	err  error  // the first of a write
	stop func() // called with it
}

func (p *probePrinter) print(text string) {
	if p.err != nil {
		return
	}
	if _, p.err = io.WriteString(p.w, text); p.err != nil {
		p.stop()
	}
}

// event prints an event.
func (p *probePrinter) event(j *probeJob, e probe.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if e.Type == probe.Replied {
		j.rtts.add(e.Echo, e.RTT)
	}
	switch {
	case p.f.JSON:
		if !p.f.Quiet {
			p.print(eventJSON(j, e))
		}
		return
	case p.f.Quiet, (e.Type == probe.Failed || e.Type == probe.Ended) && !p.several && !p.f.Reconnect: // said at the end
		return
	case p.plot != nil && (e.Type == probe.Replied || e.Type == probe.Missing):
		p.print(p.plot.add(e))
		return
	}
	text := eventText(e, j.options.Connect.DialContext != nil)
	if p.several {
		text = j.name + ": " + text
	}
	p.print(p.plot.leave() + text + "\n")
}

// eventText returns the line for an event. dialed is as in phasesText.
func eventText(e probe.Event, dialed bool) string {
	what := "pong"
	if e.Echo {
		what = "echo"
	}
	switch e.Type {
	case probe.Opened:
		return "connected to " + e.Report.Remote + ": " + phasesText(*e.Report, dialed)
	case probe.Failed:
		return "failed: " + e.Err.Error()
	case probe.Replied:
		text := fmt.Sprintf("%s %d: %s", what, e.Seq, number.Duration(float64(e.RTT)))
		if e.Late {
			text += ", late"
		}
		return text
	case probe.Missing:
		return fmt.Sprintf("%s %d: none in time", what, e.Seq)
	}
	return "ended: " + endText(*e.End)
}

// phasesText returns the times of the steps that open a connection. dialed means that a flag
// or the environment chose the way to the server, such as a proxy.
func phasesText(r probe.Report, dialed bool) string {
	var parts []string
	add := func(name string, d time.Duration) {
		if d > 0 {
			parts = append(parts, name+" "+number.Duration(float64(d)))
		}
	}
	add("DNS", r.DNS)
	add("TCP", r.TCP)
	for _, s := range r.Steps {
		switch s.Step {
		case probe.Connect:
			if rest := s.Took - r.DNS - r.TCP; dialed && rest > s.Took/2 { // a proxy, or a socket without TCP
				add("proxy and others", rest)
			}
		case probe.TLS:
			add(tls.VersionName(r.TLS.Version), s.Took)
		case probe.Handshake:
			add("upgrade", s.Took)
		}
	}
	if r.Subprotocol != "" {
		parts = append(parts, "subprotocol "+r.Subprotocol)
	}
	return strings.Join(parts, ", ")
}

// endText describes an end: kind, code, reason, side and cause.
func endText(e probe.End) string {
	text := e.Kind.String()
	if by := e.By.String(); by != "" {
		text += " by " + map[ending.Side]string{ending.Peer: "the server", ending.Local: "this side", ending.Network: "the network"}[e.By]
	}
	if e.Code != 0 {
		text += fmt.Sprintf(", code %d", e.Code)
	}
	if e.Reason != "" {
		text += ", reason " + handshake.Quoted([]byte(e.Reason))
	}
	if e.Kind == ending.Closed && e.Received != int(e.Code) {
		text += fmt.Sprintf(", answered with %d", e.Received)
		if e.Received == 0 {
			text = strings.Replace(text, "answered with 0", "not answered", 1)
		}
	}
	if e.Cause != nil && e.By != ending.Peer || e.Kind == ending.Abnormal || e.Kind == ending.Reset {
		text += ": " + handshake.Printable(handshake.Innermost(e.Cause))
	}
	return fmt.Sprintf("%s, after %s", text, number.Duration(float64(e.Age)))
}

// silent reports whether the result of j has only a failure, which is the error of the
// command. Then there is no summary for people.
func (p *probePrinter) silent(j *probeJob) bool {
	return !p.several && !p.f.Reconnect && j.result.Opened == 0
}

// summaries prints the summary of each job, and a table if there are several.
func (p *probePrinter) summaries(jobs []*probeJob) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.print(p.plot.leave())
	for _, j := range jobs {
		switch {
		case p.f.JSON:
			p.print(summaryJSON(j))
		case !p.several && !p.silent(j):
			p.print(summaryText(j))
		}
	}
	if p.several && !p.f.JSON {
		p.print(tableText(jobs))
	}
}

// pongsTexts describe the source of pongs.
var pongsTexts = map[probe.PongSource]string{
	probe.PongsByServer: "by the server",
	probe.PongsAhead:    "perhaps not by the server",
	probe.PongsUnknown:  "source not known",
}

// summaryText returns the summary of one server.
func summaryText(j *probeJob) string {
	var b strings.Builder
	r := j.result
	fmt.Fprintf(&b, "\n%s\n", r.URL)
	for _, echo := range []bool{false, true} {
		name, replies := "pings", r.Pings
		if echo {
			name, replies = "echoes", r.Echoes
		}
		if replies.Sent == 0 {
			continue
		}
		fmt.Fprintf(&b, "%-8s sent %d, received %d, lost %d (%s), late %d", name, replies.Sent, replies.Received, replies.Lost,
			number.Percent(float64(replies.Lost)/float64(replies.Sent)), replies.Late)
		if replies.Pending > 0 {
			fmt.Fprintf(&b, ", pending %d", replies.Pending)
		}
		b.WriteString("\n")
		if replies.Received == 0 {
			continue
		}
		ms := func(d time.Duration) string { return number.Duration(float64(d)) }
		fmt.Fprintf(&b, "RTT      min %s, mean %s, max %s, deviation %s, jitter %s\n", ms(replies.Min), ms(replies.Mean), ms(replies.Max), ms(replies.Deviation), ms(replies.Jitter))
		fmt.Fprintf(&b, "         p50 %s, p90 %s, p99 %s, p99.9 %s\n", ms(j.rtts.at(echo, 50)), ms(j.rtts.at(echo, 90)), ms(j.rtts.at(echo, 99)), ms(j.rtts.at(echo, 99.9)))
	}
	if r.Opened > 0 {
		fmt.Fprintf(&b, "pongs    %s: %s\n", pongsTexts[j.pongs], j.pongsWhy)
	}
	if r.Others > 0 {
		fmt.Fprintf(&b, "others   %s\n", number.Plural(r.Others, "message"))
	}
	if r.Gaps > 0 || r.Opened+r.Failed > 1 {
		fmt.Fprintf(&b, "gaps     %d, %s; connections opened %d, failed %d\n", r.Gaps, number.Duration(float64(r.GapTime)), r.Opened, r.Failed)
	}
	switch {
	case r.Err != nil:
		fmt.Fprintf(&b, "failed   %s\n", r.Err)
	case r.End != nil:
		fmt.Fprintf(&b, "ended    %s\n", endText(*r.End))
	}
	return b.String()
}

// tableText returns one row for each server, or two if messages were sent beside pings.
func tableText(jobs []*probeJob) string {
	var b strings.Builder
	b.WriteString("\n")
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	both := slices.ContainsFunc(jobs, func(j *probeJob) bool { return j.result.Pings.Sent > 0 && j.result.Echoes.Sent > 0 })
	fmt.Fprintln(t, "server\topen\tsent\treceived\tlost\tlate\tmin\tmean\tp99\tmax\tend")
	for _, j := range jobs {
		r := j.result
		open := "–"
		if r.Opened > 0 {
			open = number.Duration(float64(r.First.Took))
		}
		end := "–"
		switch {
		case r.Err != nil:
			end = r.Err.Error()
		case r.End != nil:
			end = endText(*r.End)
		}
		row := func(name string, replies probe.Replies, echo bool) {
			times := "–\t–\t–\t–"
			if replies.Received > 0 {
				var texts []string
				for _, d := range []time.Duration{replies.Min, replies.Mean, j.rtts.at(echo, 99), replies.Max} {
					texts = append(texts, number.Duration(float64(d)))
				}
				times = strings.Join(texts, "\t")
			}
			fmt.Fprintf(t, "%s\t%s\t%d\t%d\t%d\t%d\t%s\t%s\n", name, open, replies.Sent, replies.Received, replies.Lost, replies.Late, times, end)
		}
		switch {
		case both: // for each server, so that the rows can be compared
			row(r.URL+" pings", r.Pings, false)
			row(r.URL+" echoes", r.Echoes, true)
		case r.Pings.Sent > 0:
			row(r.URL, r.Pings, false)
		default:
			row(r.URL, r.Echoes, true)
		}
	}
	_ = t.Flush() // to memory
	return b.String()
}
