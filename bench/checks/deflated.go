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

// offer has every message compressed on its own.
const offer = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"

// bomb is how much the bomb becomes: more than any server's limit here.
const bomb = 128 << 20

// deflated are the checks of permessage-deflate (RFC 7692).
func deflated() []check {
	rows := []check{
		{name: "deflate", title: "a compressed text", want: "echoed", trials: []trial{
			with(offer, "whole", echoesDeflated(1)),
			with(offer, "fragments", echoesDeflated(3)),
		}},
		// Corrupt data is no message.
		{name: "deflate-corrupt", title: "a compressed message that cannot be inflated", want: "closed with 1007", trials: []trial{
			squeezed("impossible block", []byte("\x07\xff\xff\xff")),
			squeezed("distance too far", []byte("\x4a\x04\x5e\x00\x00\x00")),
		}},
		// RFC 7692, section 6: RSV1 is for the first frame of a message alone, and
		// any other must fail the connection.
		{name: "deflate-bits", title: "RSV1 on other frames than the first of a message", want: "closed with 1002", trials: []trial{
			refusedDeflated("ping", wstest.PingFrame("a").WithRsv(wstest.RSV1)),
			refusedDeflated("continuation", wstest.TextFrame("a").Open(), data(wstest.Continuation, "b").WithRsv(wstest.RSV1)),
		}},
		// Section 10.4, of the message as it is after inflation. Where the bound is
		// has been chosen here.
		{name: "deflate-bomb", title: "128 KiB that inflate to 128 MiB", want: "closed with 1009", alone: true, trials: []trial{
			survived(with(offer, "", func(s *target, t *talk) (verdict, error) {
				return t.squeezes(deflate(make([]byte, 1<<20), bomb>>20), 5*time.Second)
			})),
		}},
	}
	for i := range rows {
		rows[i].deflated = true
	}
	return rows
}

// deflate compresses b so many times over as one message (RFC 7692, section 7.2.1).
func deflate(b []byte, times int) []byte {
	var out bytes.Buffer
	w, err := flate.NewWriter(&out, flate.BestCompression)
	if err != nil {
		panic(err) // of the level, which is a constant
	}
	// A bytes.Buffer takes all.
	_, _ = w.Write(b)
	_ = w.Flush()
	// The blocks end with a byte and refer to nothing before them.
	return bytes.TrimSuffix(bytes.Repeat(out.Bytes(), times), []byte("\x00\x00\xff\xff"))
}

// echoesDeflated sends a compressed text in as many frames. It may come back
// compressed or not.
func echoesDeflated(frames int) func(*target, *talk) (verdict, error) {
	return func(_ *target, t *talk) (verdict, error) {
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
		r, err := t.next(patience)
		if r.kind != message {
			return verdict{r.said, false}, err
		}
		got := r.frame.Payload
		if r.frame.Rsv == wstest.RSV1 {
			if got, err = new(codec.Decompressor).Message(got, 1<<20); err != nil {
				return verdict{fmt.Sprintf("echoed what cannot be inflated: %v", err), false}, nil
			}
		}
		if r.frame.Opcode != wstest.Text || string(got) != text {
			return verdict{"echoed something else", false}, nil
		}
		return verdict{r.said, true}, nil
	}
}

// squeezed has this as the payload of a compressed message.
func squeezed(name string, payload []byte) trial {
	return with(offer, name, func(_ *target, t *talk) (verdict, error) { return t.squeezes(payload, patience) })
}

func (t *talk) squeezes(payload []byte, d time.Duration) (verdict, error) {
	t.drop = true
	_ = t.Send(data(wstest.Binary, string(payload)).WithRsv(wstest.RSV1))
	return t.refuses(d)
}

func refusedDeflated(name string, frames ...wstest.Frame) trial {
	return with(offer, name, func(_ *target, t *talk) (verdict, error) {
		_ = t.Send(frames...)
		return t.refuses(patience)
	})
}
