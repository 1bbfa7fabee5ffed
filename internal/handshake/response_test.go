package handshake

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestOpen checks which responses a client accepts, byte for byte.
func TestOpen(t *testing.T) {
	const (
		status  = "HTTP/1.1 101 Switching Protocols\r\n"
		upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\n"
		accept  = "Sec-WebSocket-Accept: KEY\r\n"
		good    = status + upgrade + accept + "\r\n"
	)
	deflate := Offer{Extensions: "permessage-deflate"}
	chat := Offer{Subprotocols: []string{"a", "b"}}
	for name, test := range map[string]struct {
		offer    Offer
		response string
		wrong    string // a pattern; "": the client accepts the response
	}{
		"101":                     {Offer{}, good, ""},
		"any case":                {Offer{}, status + "UPGRADE: WebSocket\r\nconnection: keep-alive, upgrade\r\nsec-websocket-accept: KEY\r\n\r\n", ""},
		"100 first":               {Offer{}, "HTTP/1.1 100 Continue\r\n\r\n" + good, ""},
		"102 twice":               {Offer{}, strings.Repeat("HTTP/1.1 102 Processing\r\n\r\n", 2) + good, ""},
		"103 first":               {Offer{}, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + good, ""},
		"103, then 404":           {Offer{}, "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 404 Not Found\r\n\r\n", "^the answer is 404 Not Found; the server probably has no WebSocket at this path$"},
		"only 100":                {Offer{}, "HTTP/1.1 100 Continue\r\n\r\n", "^it ended the connection inside its answer$"},
		"endless 102":             {Offer{}, strings.Repeat("HTTP/1.1 102 Processing\r\n\r\n", 4000), "^the header of the answer is over 65536 bytes$"},
		"HTTP/1.0":                {Offer{}, strings.Replace(good, "1.1", "1.0", 1), `^the answer is 101 in HTTP/1\.0$`},
		"no Upgrade":              {Offer{}, status + "Connection: Upgrade\r\n" + accept + "\r\n", `^the answer is 101 with Upgrade ""$`},
		"no Connection":           {Offer{}, status + "Upgrade: websocket\r\n" + accept + "\r\n", "^the answer is 101 without Connection: Upgrade$"},
		"no accept":               {Offer{}, status + upgrade + "\r\n", "^Sec-WebSocket-Accept does not match the key$"},
		"accept twice":            {Offer{}, status + upgrade + accept + accept + "\r\n", "^Sec-WebSocket-Accept does not match the key$"},
		"an extension":            {Offer{}, status + upgrade + accept + "Sec-WebSocket-Extensions: a\r\n\r\n", `^it chose the extension "a", which was not offered$`},
		"empty extensions":        {Offer{}, status + upgrade + accept + "Sec-WebSocket-Extensions:\r\n\r\n", "^the answer has an empty Sec-WebSocket-Extensions$"},
		"empty, offered":          {deflate, status + upgrade + accept + "Sec-WebSocket-Extensions: \r\n\r\n", "^the answer has an empty Sec-WebSocket-Extensions$"},
		"an extension and empty":  {deflate, status + upgrade + accept + "Sec-WebSocket-Extensions: permessage-deflate\r\nSec-WebSocket-Extensions:\r\n\r\n", "^the answer has an empty Sec-WebSocket-Extensions$"},
		"an extension, offered":   {deflate, status + upgrade + accept + "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n", ""},
		"none of them":            {deflate, good, ""},
		"a subprotocol":           {chat, status + upgrade + accept + "Sec-WebSocket-Protocol: b\r\n\r\n", ""},
		"another subprotocol":     {chat, status + upgrade + accept + "Sec-WebSocket-Protocol: c\r\n\r\n", `^it chose the subprotocol "c", which was not offered$`},
		"no subprotocol":          {chat, good, "^it chose none of the offered subprotocols: a, b$"},
		"empty subprotocol":       {Offer{}, status + upgrade + accept + "Sec-WebSocket-Protocol:\r\n\r\n", `^it chose the subprotocol "", which was not offered$`},
		"unknown code":            {Offer{}, "HTTP/1.1 199 Strange\r\n\r\n" + good, ""},
		"refused with a sentence": {Offer{}, "HTTP/1.1 403 Forbidden\r\nContent-Length: 5\r\n\r\nno\ngo", `^the answer is 403 Forbidden: "no"; the server probably does not allow the Origin of the request$`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client, server := net.Pipe()
			defer client.Close()
			go func() {
				defer server.Close()
				r, err := http.ReadRequest(bufio.NewReader(server))
				if err != nil {
					return
				}
				key := AcceptKey(r.Header.Get("Sec-WebSocket-Key"))
				response := strings.ReplaceAll(test.response, "KEY", key)
				if test.wrong == "" {
					response += "behind"
				}
				_, _ = io.WriteString(server, response)
			}()
			deadline := time.Now().Add(30 * time.Second)
			_ = client.SetDeadline(deadline)
			u, err := ParseURL("ws://a.example/")
			if err != nil {
				t.Fatal(err)
			}
			test.offer.URL = u
			in, _, err := Open(client, test.offer, deadline)
			if test.wrong != "" {
				if err == nil || !regexp.MustCompile(test.wrong).MatchString(err.Error()) {
					t.Fatalf("got %v, want %s", err, test.wrong)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			behind, err := io.ReadAll(in)
			if string(behind) != "behind" || err != nil {
				t.Errorf("got %q, %v behind the response", behind, err)
			}
		})
	}
}

// TestSpell checks that only the names of the handshake change.
func TestSpell(t *testing.T) {
	h := http.Header{"Sec-Websocket-Accept": {"a"}, "Sec-Websocket-Key": {"b", "c"}, "Sec-Websocket-Other": {"d"}, "X-Sec-Websocket-Key": {"e"}}
	Spell(h)
	var b strings.Builder
	if err := h.Write(&b); err != nil {
		t.Fatal(err)
	}
	const want = "Sec-WebSocket-Accept: a\r\nSec-WebSocket-Key: b\r\nSec-WebSocket-Key: c\r\nSec-Websocket-Other: d\r\nX-Sec-Websocket-Key: e\r\n"
	if b.String() != want {
		t.Errorf("got %q, want %q", &b, want)
	}
}
