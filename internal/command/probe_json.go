package command

import (
	"encoding/json"
	"strings"
	"time"

	"example.com/wsecho/internal/handshake"
	"example.com/wsecho/probe"
)

// The JSON of wsecho probe. docs/probe.md describes the fields, and a test compares both.
type (
	eventLine struct {
		Event      string      `json:"event"` // open, failed, reply, missing, end
		Time       time.Time   `json:"time"`
		URL        string      `json:"url"`
		Connection int         `json:"connection"`
		Remote     string      `json:"remote,omitempty"`
		Phases     *phasesLine `json:"phases,omitempty"`
		Of         string      `json:"of,omitempty"` // ping, message
		Seq        int         `json:"seq,omitempty"`
		RTT        float64     `json:"rtt_seconds,omitempty"`
		Late       bool        `json:"late,omitempty"`
		Step       string      `json:"step,omitempty"`
		Error      string      `json:"error,omitempty"`
		Status     int         `json:"status,omitempty"`
		End        *endLine    `json:"end,omitempty"`
	}
	phasesLine struct {
		DNS     float64 `json:"dns_seconds,omitempty"`
		TCP     float64 `json:"tcp_seconds,omitempty"`
		Connect float64 `json:"connect_seconds,omitempty"`
		TLS     float64 `json:"tls_seconds,omitempty"`
		Upgrade float64 `json:"upgrade_seconds,omitempty"`
	}
	endLine struct {
		Kind     string  `json:"kind"`
		By       string  `json:"by"`
		Code     int     `json:"code"`
		Reason   string  `json:"reason,omitempty"`
		Sent     int     `json:"sent"`
		Received int     `json:"received"`
		Age      float64 `json:"age_seconds"`
		Cause    string  `json:"cause,omitempty"`
	}
	repliesLine struct {
		Sent      int     `json:"sent"`
		Received  int     `json:"received"`
		Lost      int     `json:"lost"`
		Late      int     `json:"late"`
		Pending   int     `json:"pending"`
		Min       float64 `json:"min_seconds"`
		Mean      float64 `json:"mean_seconds"`
		Max       float64 `json:"max_seconds"`
		Deviation float64 `json:"deviation_seconds"`
		Jitter    float64 `json:"jitter_seconds"`
		P50       float64 `json:"p50_seconds"`
		P90       float64 `json:"p90_seconds"`
		P99       float64 `json:"p99_seconds"`
		P999      float64 `json:"p999_seconds"`
	}
	summaryLine struct {
		Event    string       `json:"event"` // summary
		URL      string       `json:"url"`
		ExitCode int          `json:"exit_code"`
		Opened   int          `json:"opened"`
		Failed   int          `json:"failed"`
		Gaps     int          `json:"gaps"`
		GapTime  float64      `json:"gap_seconds"`
		Others   int          `json:"others"`
		Took     float64      `json:"took_seconds"`
		Phases   *phasesLine  `json:"phases"`
		Pings    *repliesLine `json:"pings,omitempty"`
		Echoes   *repliesLine `json:"echoes,omitempty"`
		PongsBy  string       `json:"pongs_by"`
		PongsWhy string       `json:"pongs_why"`
		Step     string       `json:"step,omitempty"`
		Error    string       `json:"error,omitempty"`
		End      *endLine     `json:"end,omitempty"`
	}
)

// eventNames are the names of events in JSON.
var eventNames = map[probe.EventType]string{probe.Opened: "open", probe.Failed: "failed", probe.Replied: "reply", probe.Missing: "missing", probe.Ended: "end"}

// eventJSON returns the line of JSON for an event.
func eventJSON(j *probeJob, e probe.Event) string {
	line := eventLine{Event: eventNames[e.Type], Time: e.Time, URL: j.name, Connection: e.Connection, Seq: e.Seq, RTT: e.RTT.Seconds(), Late: e.Late}
	if e.Report != nil {
		line.Remote, line.Status = e.Report.Remote, e.Report.Status
		line.Phases = phasesOf(*e.Report)
	}
	if e.Seq > 0 {
		line.Of = "ping"
		if e.Echo {
			line.Of = "message"
		}
	}
	if e.Err != nil {
		line.Step, line.Error = e.Err.Step.String(), e.Err.Error()
	}
	if e.End != nil {
		line.End = endOf(*e.End)
	}
	return jsonText(line)
}

// summaryJSON returns the line of JSON for a result.
func summaryJSON(j *probeJob) string {
	r := j.result
	line := summaryLine{
		Event: "summary", URL: r.URL, ExitCode: r.ExitCode(), Opened: r.Opened, Failed: r.Failed,
		Gaps: r.Gaps, GapTime: r.GapTime.Seconds(), Others: r.Others, Took: r.Took.Seconds(), Phases: phasesOf(r.First),
		Pings: repliesOf(j, r.Pings, false), Echoes: repliesOf(j, r.Echoes, true),
	}
	line.PongsBy, line.PongsWhy = j.pongs.String(), j.pongsWhy
	if r.Err != nil {
		line.Step, line.Error = r.Err.Step.String(), r.Err.Error()
	}
	if r.End != nil {
		line.End = endOf(*r.End)
	}
	return jsonText(line)
}

func phasesOf(r probe.Report) *phasesLine {
	line := &phasesLine{DNS: r.DNS.Seconds(), TCP: r.TCP.Seconds()}
	for _, s := range r.Steps {
		switch s.Step {
		case probe.Connect:
			line.Connect = s.Took.Seconds()
		case probe.TLS:
			line.TLS = s.Took.Seconds()
		case probe.Handshake:
			line.Upgrade = s.Took.Seconds()
		}
	}
	return line
}

func endOf(e probe.End) *endLine {
	line := &endLine{
		Kind: e.Kind.String(), By: e.By.String(), Code: int(e.Code), Reason: e.Reason,
		Sent: e.Sent, Received: e.Received, Age: e.Age.Seconds(),
	}
	if e.Cause != nil {
		line.Cause = handshake.Printable(e.Cause.Error())
	}
	return line
}

func repliesOf(j *probeJob, r probe.Replies, echo bool) *repliesLine {
	if r.Sent == 0 {
		return nil
	}
	at := func(percent float64) float64 { return j.rtts.at(echo, percent).Seconds() }
	return &repliesLine{
		Sent: r.Sent, Received: r.Received, Lost: r.Lost, Late: r.Late, Pending: r.Pending,
		Min: r.Min.Seconds(), Mean: r.Mean.Seconds(), Max: r.Max.Seconds(), Deviation: r.Deviation.Seconds(), Jitter: r.Jitter.Seconds(),
		P50: at(50), P90: at(90), P99: at(99), P999: at(99.9),
	}
}

// jsonText returns a value as one line.
func jsonText(v any) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err) // only a float that is no number, and there is none
	}
	return b.String()
}
