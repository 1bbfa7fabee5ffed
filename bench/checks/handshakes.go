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
		// Section 4.2.1: a request that lacks something is answered with an error of
		// HTTP, such as 400.
		{name: "no-key", title: "a handshake without Sec-WebSocket-Key", want: "answered with 400 or the like", trials: []trial{
			asked("", http.Header{sampled: {}}, func(r *http.Response) bool { return r.StatusCode/100 == 4 }),
		}},
		// Section 4.2.1 says what a key is, and 4.2.2 that the server need not decode
		// it: to accept it as it is, is right too.
		{name: "bad-key", title: "a Sec-WebSocket-Key that is not 16 bytes in base64", want: "answered with 400 or the like, or accepted as it is", trials: []trial{
			badKey("short", "AAAA"), badKey("no base64", "!!!!!!!!!!!!!!!!!!!!!!=="),
		}},
		// Section 4.2.2: an error of HTTP, such as 426, and the header with the version
		// that the server speaks. The status is free; the header is what the rule is about.
		{name: "version", title: "a handshake of version 12", want: "an error such as 400 or 426, with Sec-WebSocket-Version: 13", trials: []trial{
			asked("", http.Header{"Sec-WebSocket-Version": {"12"}}, func(r *http.Response) bool {
				return r.StatusCode/100 == 4 && strings.Contains(r.Header.Get("Sec-WebSocket-Version"), "13")
			}),
		}},
	}
}

func badKey(name, key string) trial {
	return asked(name, http.Header{"Sec-WebSocket-Key": {key}}, func(r *http.Response) bool {
		return r.StatusCode/100 == 4 ||
			r.StatusCode == http.StatusSwitchingProtocols && r.Header.Get("Sec-WebSocket-Accept") == wstest.AcceptKey(key)
	})
}

// asked sends an opening handshake with a header and judges the answer.
func asked(name string, header http.Header, right func(*http.Response) bool) trial {
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
			return verdict{fmt.Sprintf("nothing in %v", patience), false}, nil
		}
		if err != nil {
			if s.ctx.Err() != nil {
				return verdict{}, s.cause(err)
			}
			return verdict{fmt.Sprintf("no answer of HTTP: %v", err), false}, nil
		}
		_ = r.Body.Close()
		got := fmt.Sprintf("answered with %d", r.StatusCode)
		if v := r.Header.Get("Sec-WebSocket-Version"); v != "" {
			got += ", with Sec-WebSocket-Version: " + v
		}
		return verdict{got, right(r)}, nil
	}}
}
