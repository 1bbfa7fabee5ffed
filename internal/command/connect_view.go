package command

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/coder/websocket"

	"example.com/wsecho/internal/number"
	"example.com/wsecho/internal/quote"
	"example.com/wsecho/probe"
)

// A talkView prints what happens on the connection. Its methods may be called concurrently.
// They block while the output accepts no bytes.
type talkView struct {
	f      *connectCommand
	url    string // without a password
	human  bool   // out is a terminal and has the lines for people
	edited bool   // lines are edited on it
	dialed bool   // as in phasesText

	mu  sync.Mutex
	out io.Writer

	notesMu sync.Mutex // apart from mu, so that a note does not wait for stdout
	notes   io.Writer
}

// The JSON of wsecho connect. docs/connect.md describes the fields, and a test compares
// both.
type talkLine struct {
	Event    string      `json:"event"` // open, failed, message, ping, pong, missing, end
	Time     time.Time   `json:"time"`
	URL      string      `json:"url"`
	Remote   string      `json:"remote,omitempty"`
	Protocol string      `json:"subprotocol,omitempty"`
	Phases   *phasesLine `json:"phases,omitempty"`
	Status   int         `json:"status,omitempty"`
	Type     string      `json:"type,omitempty"`
	Bytes    *int        `json:"bytes,omitempty"`
	Text     *string     `json:"text,omitempty"`
	Base64   *string     `json:"base64,omitempty"`
	RTT      float64     `json:"rtt_seconds,omitempty"`
	Step     string      `json:"step,omitempty"`
	Error    string      `json:"error,omitempty"`
	Sent     *int64      `json:"sent,omitempty"`
	Received *int64      `json:"received,omitempty"`
	End      *endLine    `json:"end,omitempty"`
	ExitCode *int        `json:"exit_code,omitempty"`
}

// print writes a text to stdout.
func (v *talkView) print(text string) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	_, err := io.WriteString(v.out, text)
	return err
}

// json writes a line of JSON to stdout.
func (v *talkView) json(line talkLine) error {
	line.Time, line.URL = time.Now(), v.url
	return v.print(printableJSON(jsonText(line)))
}

// note writes a sentence beside the messages.
func (v *talkView) note(text string) {
	v.notesMu.Lock()
	defer v.notesMu.Unlock()
	_, _ = io.WriteString(v.notes, text+"\n") // a failure cannot be reported on stderr
}

// event prints an event that is no message: as JSON, or as a line for people.
func (v *talkView) event(line talkLine, text string) error {
	switch {
	case v.f.JSON:
		return v.json(line)
	case v.human:
		return v.print(time.Now().Format(clock) + " " + text + "\n")
	}
	v.note(text)
	return nil
}

// clock is the form of the time before a line for people.
const clock = "15:04:05.000"

func (v *talkView) opened(r probe.Report) error {
	if v.f.Quiet {
		return nil
	}
	text := "connected to " + r.Remote + ": " + phasesText(r, v.dialed)
	if v.edited {
		text += "\n/help lists the commands"
	}
	return v.event(talkLine{Event: "open", Remote: r.Remote, Protocol: r.Subprotocol, Status: r.Status, Phases: phasesOf(r)}, text)
}

// failed prints a failure as JSON. For people, the command prints it at its end.
func (v *talkView) failed(r probe.Report, e *probe.Error, code int) {
	if v.f.JSON && !v.f.Quiet {
		_ = v.json(talkLine{Event: "failed", Remote: r.Remote, Status: r.Status, Phases: phasesOf(r), Step: e.Step.String(), Error: e.Error(), ExitCode: &code})
	}
}

// message prints a received message.
func (v *talkView) message(typ websocket.MessageType, p []byte) error {
	binary := typ == websocket.MessageBinary
	switch {
	case v.f.JSON:
		line := payloadLine("message", p, binary)
		line.Type = map[bool]string{false: "text", true: "binary"}[binary]
		return v.json(line)
	case !v.human && binary:
		return v.print(hex.EncodeToString(p) + "\n")
	case !v.human:
		return v.print(string(p) + "\n")
	}
	return v.print(time.Now().Format(clock) + " " + messageText(typ, p, int(v.f.Show)) + "\n")
}

// ping prints a ping of the server.
func (v *talkView) ping(p []byte) error {
	return v.event(payloadLine("ping", p, !utf8.Valid(p)), "ping, "+number.Plural(len(p), "byte")+": "+quote.Quote(string(p)))
}

func (v *talkView) pong(rtt time.Duration) error {
	return v.event(talkLine{Event: "pong", RTT: rtt.Seconds()}, "pong after "+number.Duration(float64(rtt)))
}

func (v *talkView) missing() error {
	return v.event(talkLine{Event: "missing"}, fmt.Sprintf("no pong within %v", time.Duration(v.f.Timeout)))
}

func (v *talkView) ended(e probe.End, code int, sent, received int64) {
	if !v.f.Quiet {
		_ = v.event(talkLine{Event: "end", End: endOf(e), ExitCode: &code, Sent: &sent, Received: &received}, "ended: "+endText(e))
	}
}

// payloadLine returns the line of JSON for a payload.
func payloadLine(event string, p []byte, binary bool) talkLine {
	n, text := len(p), string(p)
	line := talkLine{Event: event, Bytes: &n, Text: &text}
	if binary {
		text = base64.StdEncoding.EncodeToString(p)
		line.Text, line.Base64 = nil, &text
	}
	return line
}

// messageText returns the line for people about a message. limit is the length of the part
// to print. Negative means all.
func messageText(typ websocket.MessageType, p []byte, limit int) string {
	shown := p
	if limit >= 0 {
		shown = shortenedTo(limit, typ, p)
	}
	var b strings.Builder
	if typ == websocket.MessageBinary {
		fmt.Fprintf(&b, "binary, %s: %x", number.Plural(len(p), "byte"), shown)
	} else {
		fmt.Fprintf(&b, "text, %s: %s", number.Plural(len(p), "byte"), quote.Quote(string(shown)))
	}
	if len(shown) < len(p) {
		fmt.Fprintf(&b, " (the first %d bytes; --show=off shows all)", len(shown))
	}
	return b.String()
}
