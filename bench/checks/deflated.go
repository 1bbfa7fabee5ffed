package checks

import (
	"bytes"
	"compress/flate"
	"fmt"
	"strings"
	"time"

	codec "example.com/wsecho/internal/deflate"
	"example.com/wsecho/wstest"
)

// offer is an extension offer. With it, both sides compress each message independently.
const offer = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"

// bomb is the size of the inflated bomb in bytes. It exceeds the limit of every server.
const bomb = 128 << 20

// deflated returns the checks of permessage-deflate (RFC 7692).
func deflated() []check {
	rows := []check{
		{name: "deflate", title: "a compressed text", want: "echoed", trials: []trial{
			with(offer, "whole", echoesDeflated(1)),
			with(offer, "fragments", echoesDeflated(3)),
		}},
		// Corrupt data must not become a message.
		{name: "deflate-corrupt", title: "a compressed message that cannot be inflated", want: "closed with 1007", trials: []trial{
			refusedCompressed("impossible block", []byte("\x07\xff\xff\xff")),
			refusedCompressed("distance too far", []byte("\x4a\x04\x5e\x00\x00\x00")),
		}},
		// RFC 7692, section 6: only the first frame of a message may have RSV1. The server
		// must fail the connection otherwise.
		{name: "deflate-bits", title: "RSV1 on other frames than the first of a message", want: "closed with 1002", trials: []trial{
			refusedDeflated("ping", wstest.PingFrame("a").WithRsv(wstest.RSV1)),
			refusedDeflated("continuation", wstest.TextFrame("a").Open(), data(wstest.Continuation, "b").WithRsv(wstest.RSV1)),
		}},
		// Section 10.4 demands a limit on messages. The table applies it to the inflated
		// message, and chooses the size.
		{name: "deflate-bomb", title: "128 KiB that inflate to 128 MiB", want: "closed with 1009", alone: true, trials: []trial{
			thenAccepts(with(offer, "", func(s *target, t *conn) (verdict, error) {
				return t.refusesCompressed(deflate(make([]byte, 1<<20), bomb>>20), 5*time.Second)
			})),
		}},
	}
	for i := range rows {
		rows[i].deflated = true
	}
	return rows
}

// deflate compresses a message that contains b several times (RFC 7692, section 7.2.1).
func deflate(b []byte, times int) []byte {
	var out bytes.Buffer
	w, err := flate.NewWriter(&out, flate.BestCompression)
	if err != nil {
		panic(err) // the level is a constant, and valid
	}
	// Writes to a bytes.Buffer do not fail.
	_, _ = w.Write(b)
	_ = w.Flush()
	// The blocks end at a byte boundary and do not refer to earlier data.
	return bytes.TrimSuffix(bytes.Repeat(out.Bytes(), times), []byte("\x00\x00\xff\xff"))
}

// echoesDeflated sends a compressed text in this number of frames. The server may echo it
// with or without compression.
func echoesDeflated(frames int) func(*target, *conn) (verdict, error) {
	return func(_ *target, t *conn) (verdict, error) {
		text := strings.Repeat("as it was, ", 100)
		b := string(deflate([]byte(text), 1))
		var parts []string
		for n := frames; n > 0; n-- {
			parts = append(parts, b[:len(b)/n])
			b = b[len(b)/n:]
		}
		sent := wstest.Fragments(wstest.Text, parts...)
		sent[0] = sent[0].WithRsv(wstest.RSV1)
		if err := t.Send(sent...); err != nil {
			return verdict{}, err
		}
		r, err := t.next(replyTimeout)
		if r.kind != message {
			return verdict{r.text, false}, err
		}
		got := r.frame.Payload
		if r.frame.Rsv == wstest.RSV1 {
			if got, err = new(codec.Decompressor).Message(got, 1<<20); err != nil {
				return verdict{fmt.Sprintf("echoed data that cannot be inflated: %v", err), false}, nil
			}
		}
		if r.frame.Opcode != wstest.Text || string(got) != text {
			return verdict{"echoed another message", false}, nil
		}
		return verdict{r.text, true}, nil
	}
}

// refusedCompressed sends payload as a compressed message that the server must refuse.
func refusedCompressed(name string, payload []byte) trial {
	return with(offer, name, func(_ *target, t *conn) (verdict, error) { return t.refusesCompressed(payload, replyTimeout) })
}

func (t *conn) refusesCompressed(payload []byte, d time.Duration) (verdict, error) {
	t.drop = true
	_ = t.Send(data(wstest.Binary, string(payload)).WithRsv(wstest.RSV1))
	return t.refuses(d)
}

func refusedDeflated(name string, frames ...wstest.Frame) trial {
	return with(offer, name, func(_ *target, t *conn) (verdict, error) {
		_ = t.Send(frames...)
		return t.refuses(replyTimeout)
	})
}
