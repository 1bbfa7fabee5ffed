package checks

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"

	"example.com/wsecho/wstest"
)

func handshakes() []check {
	const sampled = "Sec-WebSocket-Key"
	return []check{
		// Section 4.2.1: the server answers an incomplete request with an HTTP error such
		// as 400.
		{name: "no-key", title: "a handshake without Sec-WebSocket-Key", want: "an HTTP status from 400 to 499", trials: []trial{
			handshakeTrial("", http.Header{sampled: {}}, func(r *http.Response) bool { return r.StatusCode/100 == 4 }),
		}},
		// Section 4.2.1 defines the key. The server need not decode it (section 4.2.2), so
		// it may also accept the key.
		{name: "bad-key", title: "a Sec-WebSocket-Key that is not 16 bytes in base64", want: "an HTTP status from 400 to 499, or the key accepted", trials: []trial{
			badKey("short", "AAAA"), badKey("no base64", "!!!!!!!!!!!!!!!!!!!!!!=="),
		}},
		// Section 4.2.2: an HTTP error such as 426, and a header with the supported
		// version. The server chooses the status. The header is required.
		{name: "version", title: "a handshake of version 12", want: "an error such as 400 or 426, with Sec-WebSocket-Version: 13", trials: []trial{
			handshakeTrial("", http.Header{"Sec-WebSocket-Version": {"12"}}, func(r *http.Response) bool {
				return r.StatusCode/100 == 4 && strings.Contains(r.Header.Get("Sec-WebSocket-Version"), "13")
			}),
		}},
	}
}

func badKey(name, key string) trial {
	return handshakeTrial(name, http.Header{"Sec-WebSocket-Key": {key}}, func(r *http.Response) bool {
		return r.StatusCode/100 == 4 ||
			r.StatusCode == http.StatusSwitchingProtocols && r.Header.Get("Sec-WebSocket-Accept") == wstest.AcceptKey(key)
	})
}

// handshakeTrial sends an opening handshake with a header and evaluates the answer.
func handshakeTrial(name string, header http.Header, right func(*http.Response) bool) trial {
	return trial{name, func(s *target) (verdict, error) {
		t, err := s.dial(wstest.RawDial, "")
		if err != nil {
			return verdict{}, err
		}
		defer t.end()
		if err := t.SendRaw(wstest.Request(s.url, "", header)); err != nil {
			return verdict{}, s.cause(err)
		}
		r, err := t.ReadResponse()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return verdict{fmt.Sprintf("nothing in %v", replyTimeout), false}, nil
		}
		if err != nil {
			if s.ctx.Err() != nil {
				return verdict{}, s.cause(err)
			}
			return verdict{fmt.Sprintf("no HTTP answer: %v", err), false}, nil
		}
		_ = r.Body.Close()
		got := fmt.Sprintf("answered with %d", r.StatusCode)
		if v := r.Header.Get("Sec-WebSocket-Version"); v != "" {
			got += ", with Sec-WebSocket-Version: " + v
		}
		return verdict{got, right(r)}, nil
	}}
}
