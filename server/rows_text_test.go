package server_test

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"example.com/wsecho/ending"
	"example.com/wsecho/server"
	"example.com/wsecho/wstest"
)

// notUTF8 sends invalid UTF-8 as text and as the reason of a close frame, whole and in
// fragments. The server echoes valid UTF-8.
func notUTF8(t *testing.T, w way) {
	s := w.serve(t, echoes, server.Options{PingInterval: -1})
	for _, text := range []string{
		"\x80", "\xbf", "\xff", "\xfe", "a\xffb",
		"\xc0\xaf", "\xc1\xbf", "\xe0\x80\xaf", "\xf0\x80\x80\xaf", "\xf8\x88\x80\x80\x80", // overlong encodings
		"\xed\xa0\x80", "\xed\xbf\xbf", "\xed\xa0\x80\xed\xb0\x80", // surrogates
		"\xf4\x90\x80\x80", "\xf5\x80\x80\x80", // beyond the last rune
		"\xc3(", "\xe2\x82", "\xf0\x9f\x98", "ok\xc3", // truncated sequences
	} {
		for name, frames := range map[string][]wstest.Frame{
			"one frame": {wstest.TextFrame(text)},
			"fragments": append(wstest.Fragments(wstest.Text, text[:1], text[1:]), wstest.PingFrame("behind")),
			"behind":    {wstest.TextFrame("whole"), wstest.TextFrame("ok " + text)},
			"reason":    {wstest.CloseFrame(1000, text)},
		} {
			p := s.dial(t, wstest.DialOptions{Timeout: soon})
			_ = p.Send(frames...)
			o := s.refused(t, p, ending.InvalidUTF8)
			if o.MessagesOut > 1 || o.Received != 0 {
				t.Errorf("%s of %q: got %d messages out, close code %d", name, text, o.MessagesOut, o.Received)
			}
		}
	}
	p := s.dial(t, wstest.DialOptions{Timeout: soon})
	for _, text := range []string{"", "a", "é", "€", "😀", "\xed\x9f\xbf", "\xee\x80\x80", "\xf4\x8f\xbf\xbf", "\ufffd", "\x00"} {
		var bytewise []string
		for i := range len(text) {
			bytewise = append(bytewise, text[i:i+1])
		}
		send(t, p, wstest.TextFrame(text))
		receive(t, p, wstest.Text, text)
		send(t, p, wstest.Fragments(wstest.Text, append(bytewise, "")...)...)
		receive(t, p, wstest.Text, text)
		other := s.dial(t, wstest.DialOptions{Timeout: soon})
		send(t, other, wstest.CloseFrame(1000, text))
		if e := finish(t, other, 1000); e.Reason != text {
			t.Errorf("the reason %q was echoed as %q", text, e.Reason)
		}
		_ = other.Close()
		wantKind(t, s.end(t), ending.Normal)
	}
}

// atOnce is the longest time from an invalid byte to the close frame.
const atOnce = 100 * time.Millisecond

// notUTF8AtOnce sends one invalid byte and nothing after it, so the frame or the
// message stays incomplete. The test compares the median of many times, and tries three
// times, because a busy machine can delay a measurement.
func notUTF8AtOnce(t *testing.T, w way) {
	header := func(first byte, size uint64) []byte { return wstest.Header(first, true, [4]byte{}, size, 0) }
	cat := func(parts ...any) (b []byte) {
		for _, p := range parts {
			switch p := p.(type) {
			case string:
				b = append(b, p...)
			case []byte:
				b = append(b, p...)
			}
		}
		return b
	}
	letters := func(n int) string { return string(bytes.Repeat([]byte("a"), n)) }
	for name, tt := range map[string]struct {
		before []byte // legal so far
		how    how
		wrong  string
	}{
		"first frame":             {before: cat(header(0x81, 100), "ok"), wrong: "\xff"},
		"first byte":              {before: header(0x81, 100), wrong: "\x80"},
		"second byte of a rune":   {before: cat(header(0x81, 100), "ok\xc3"), wrong: "("},
		"third byte of a rune":    {before: cat(header(0x81, 100), "ok\xe2\x82"), wrong: "\xc0"},
		"a surrogate":             {before: cat(header(0x81, 100), "ok\xed"), wrong: "\xa0"},
		"continuation":            {before: cat(header(0x01, 2), "ok", header(0x80, 100), "go on"), wrong: "\xc0"},
		"a rune in two frames":    {before: cat(header(0x01, 3), "ok\xf0", header(0x80, 100), "\x9f"), wrong: "x"},
		"between fragments":       {before: cat(header(0x01, 3), "ok"), wrong: "\xff"},
		"after a ping":            {before: cat(header(0x01, 2), "ok", header(0x89, 0), header(0x00, 9)), wrong: "\xff"},
		"dripped":                 {before: cat(header(0x81, 100), "drop by drop"), how: byByte, wrong: "\xff"},
		"behind 256 bytes":        {before: cat(header(0x81, 1000), letters(256-8)), wrong: "\xff"},
		"the last of 256 bytes":   {before: cat(header(0x81, 1000), letters(256-8-1)), how: with, wrong: "\xff"},
		"behind a whole buffer":   {before: cat(header(0x81, 1<<20), letters(64<<10)), wrong: "\xff"},
		"in a large frame":        {before: cat(header(0x81, 1<<20), letters(300_000)), wrong: "\xff"},
		"in a large frame, mid":   {before: cat(header(0x81, 1<<20), letters(100_000)), wrong: "\xff" + letters(10_000)},
		"close reason":            {before: cat(header(0x88, 100), "\x03\xe8", "ok"), wrong: "\xff"},
		"close reason, dripped":   {before: cat(header(0x88, 100), "\x03\xe8", "ok"), how: byByte, wrong: "\xff"},
		"close reason, a rune":    {before: cat(header(0x88, 100), "\x03\xe8", "\xe2"), wrong: "\xe2"},
		"close reason, whole":     {before: cat(header(0x88, 4), "\x03\xe8", "\xc3"), wrong: "\xff"},
		"close reason, in a text": {before: cat(header(0x01, 2), "ok", header(0x88, 100), "\x03\xe8"), wrong: "\xff"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := w.serve(t, echoes, server.Options{PingInterval: -1})
			var median time.Duration
			for range 3 {
				var took []time.Duration
				for range trials {
					took = append(took, s.refusal(t, tt.before, tt.wrong, tt.how))
				}
				slices.Sort(took)
				if median = took[len(took)/2]; median <= atOnce {
					return
				}
				t.Logf("the close frame came after %v (from %v to %v)", median, took[0], took[len(took)-1])
			}
			t.Errorf("the close frame came after %v, want %v", median, atOnce)
		})
	}
}

// The ways to send the legal bytes before an invalid one.
type how int

const (
	before how = iota // in one write, which the server reads before the invalid byte is sent
	byByte            // byte by byte
	with              // in one write with the invalid byte
)

// refusal returns the time from the write of the invalid byte to the close frame.
func (s *testServer) refusal(t *testing.T, legal []byte, wrong string, h how) time.Duration {
	t.Helper()
	p := s.dial(t, wstest.DialOptions{Timeout: soon})
	bad := []byte(wrong)
	switch h {
	case with:
		bad = append(slices.Clone(legal), bad...)
	case byByte:
		_ = p.Drip(legal, 100*time.Microsecond)
	default:
		_ = p.SendRaw(legal)
		if len(legal) > 64<<10 { // the server needs time to read that much
			eventually(t, "the bytes have come", func() bool {
				for i := range s.Connections() {
					return i.BytesIn+14 >= int64(len(legal))
				}
				return false
			})
		}
	}
	start := time.Now()
	_ = p.SendRaw(bad)
	code, _, err := p.Await(soon)
	took := time.Since(start)
	_ = p.Close()
	if err != nil || code != 1007 {
		t.Fatalf("got %d, %v, want 1007", code, err)
	}
	if o := s.end(t); o.Kind != ending.InvalidUTF8 || o.Sent != 1007 || o.MessagesOut != 0 {
		t.Fatalf("got %+v", o)
	}
	return took
}

// violations sends each framing violation in the first frame, and between whole
// messages. The server ignores the message after the violation.
func violations(t *testing.T, w way) {
	bad := map[string][]wstest.Frame{
		"fragmented ping":                  {wstest.PingFrame("x").Open()},
		"fragmented pong":                  {wstest.PongFrame("x").Open()},
		"fragmented close":                 {wstest.CloseFrame(1000, "").Open()},
		"continuation of a ping":           {wstest.PingFrame("x").Open(), {Fin: true, Payload: []byte("y")}},
		"ping of 126 bytes":                {wstest.PingFrame(string(make([]byte, 126)))},
		"pong of 126 bytes":                {wstest.PongFrame(string(make([]byte, 126)))},
		"close of 126 bytes":               {wstest.CloseFrame(1000, string(make([]byte, 124)))},
		"ping of 65536 bytes":              {wstest.PingFrame(string(make([]byte, 65536)))},
		"close of one byte":                {{Fin: true, Opcode: wstest.Close, Payload: []byte{3}}},
		"close code":                       {wstest.CloseFrame(1005, "")},
		"continuation of nothing":          {{Fin: true, Payload: []byte("x")}},
		"open continuation of nothing":     {{Payload: []byte("x")}},
		"text in a text":                   {wstest.TextFrame("x").Open(), wstest.TextFrame("y")},
		"binary in a text":                 {wstest.TextFrame("x").Open(), wstest.BinaryFrame([]byte("y"))},
		"reserved bit in a continuation":   {wstest.TextFrame("x").Open(), {Fin: true, Rsv: wstest.RSV1}},
		"reserved opcode inside a message": {wstest.TextFrame("x").Open(), {Fin: true, Opcode: 3}},
	}
	for rsv := byte(1); rsv < 8; rsv++ {
		bad["text with reserved bits "+string('0'+rune(rsv))] = []wstest.Frame{wstest.TextFrame("x").WithRsv(rsv)}
		bad["ping with reserved bits "+string('0'+rune(rsv))] = []wstest.Frame{wstest.PingFrame("x").WithRsv(rsv)}
		bad["close with reserved bits "+string('0'+rune(rsv))] = []wstest.Frame{wstest.CloseFrame(1000, "").WithRsv(rsv)}
	}
	for op := byte(0); op < 16; op++ {
		if op > wstest.Binary && op < wstest.Close || op > wstest.Pong {
			bad["opcode "+string("0123456789abcdef"[op])] = []wstest.Frame{{Fin: true, Opcode: op, Payload: []byte("x")}}
			bad["opcode, empty, "+string("0123456789abcdef"[op])] = []wstest.Frame{{Fin: true, Opcode: op}}
		}
	}
	s := w.serve(t, echoes, server.Options{PingInterval: -1})
	try := func(name string, noMask bool, before int64, behind, bad []wstest.Frame) {
		p := s.dial(t, wstest.DialOptions{Timeout: soon})
		for range before {
			send(t, p, wstest.TextFrame("whole"))
			receive(t, p, wstest.Text, "whole")
		}
		p.NoMask = noMask
		_ = p.Send(append(slices.Clone(bad), behind...)...)
		o := s.refused(t, p, ending.Protocol)
		if o.MessagesIn != before || o.MessagesOut != before || o.Received != 0 {
			t.Errorf("%s: got %d messages in, %d out, close code %d", name, o.MessagesIn, o.MessagesOut, o.Received)
		}
	}
	more := []wstest.Frame{wstest.TextFrame("not read any more")}
	for name, frames := range bad {
		try(name, false, 0, nil, frames)
		try(name+", between messages", false, 1, more, frames)
	}
	for _, f := range []wstest.Frame{wstest.TextFrame("x"), wstest.TextFrame(""), wstest.BinaryFrame(make([]byte, 70_000)), wstest.PingFrame("x"), wstest.CloseFrame(1000, "")} {
		try("unmasked "+f.String(), true, 0, nil, []wstest.Frame{f})
		try("unmasked "+f.String()+", between messages", true, 1, more, []wstest.Frame{f})
	}
}
