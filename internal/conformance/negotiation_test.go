package conformance_test

import (
	"errors"
	"fmt"
	"net/http"
	"testing"

	"github.com/coder/websocket"

	"example.com/wsecho/server"
	"example.com/wsecho/wstest"
)

// An offer is a row of the table of negotiation: values of Sec-WebSocket-Extensions and
// the required answer.
type offer struct {
	lines []string
	no    bool // the answer must have no extension
	bad   bool // it violates the grammar: RFC 6455, section 9.1, requires a failure
	// The required answer. A server may always add a parameter that disables context
	// takeover.
	serverFresh bool
	serverBits  int
	// The largest legal client_max_window_bits of the answer; 0: it must be absent.
	clientBits int
}

const pmd = "permessage-deflate"

// TestNegotiation makes offers with each parameter of RFC 7692, section 7.1, and with all
// of them. It also makes several offers and illegal ones, in both modes.
func TestNegotiation(t *testing.T) {
	t.Parallel()
	for name, mode := range modes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := serve(t, server.Options{Compression: mode})
			sweep(t, offers(), func(o offer) error {
				if err := negotiate(url, o, mode); err != nil {
					return fmt.Errorf("%q: %w", o.lines, err)
				}
				return nil
			})
		})
	}
}

var modes = map[string]websocket.CompressionMode{
	"takeover":    websocket.CompressionContextTakeover,
	"no takeover": websocket.CompressionNoContextTakeover,
}

// TestNotNegotiated checks that a server without compression answers no offer and
// refuses compressed messages.
func TestNotNegotiated(t *testing.T) {
	t.Parallel()
	url := serve(t, server.Options{})
	sweep(t, offers(), func(o offer) error {
		o.no, o.bad = true, false // a server without extensions need not parse the offers
		if err := negotiate(url, o, websocket.CompressionDisabled); err != nil {
			return fmt.Errorf("%q: %w", o.lines, err)
		}
		return nil
	})
	sweep(t, []exchange{
		refused(1002, together(text(hello).WithRsv(wstest.RSV1))),
		refused(1002, together(binary(hello).WithRsv(wstest.RSV1).Open(), last(""))),
	}, func(e exchange) error { return e.with(url, wstest.DialOptions{Extensions: plainOffer}) })
}

func offers() []offer {
	var all []offer
	yes := func(o offer, lines ...string) { o.lines = lines; all = append(all, o) }
	no := func(lines ...string) { all = append(all, offer{lines: lines, no: true}) }

	yes(offer{}, pmd)
	yes(offer{}, "  "+pmd+"  ")
	yes(offer{serverFresh: true}, pmd+"; server_no_context_takeover")
	yes(offer{}, pmd+"; client_no_context_takeover")
	yes(offer{clientBits: 15}, pmd+"; client_max_window_bits")
	for n := 8; n <= 15; n++ {
		yes(offer{serverBits: n}, fmt.Sprintf("%s; server_max_window_bits=%d", pmd, n))
		yes(offer{serverBits: n}, fmt.Sprintf("%s; server_max_window_bits=\"%d\"", pmd, n))
		yes(offer{clientBits: n}, fmt.Sprintf("%s; client_max_window_bits=%d", pmd, n))
		yes(offer{serverBits: n, serverFresh: true}, fmt.Sprintf("%s; server_max_window_bits=%d; server_no_context_takeover", pmd, n))
	}
	yes(offer{serverFresh: true, serverBits: 10, clientBits: 12},
		pmd+"; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=10; client_max_window_bits=12")
	yes(offer{serverFresh: true, serverBits: 10, clientBits: 15},
		pmd+";client_max_window_bits;server_max_window_bits=10;client_no_context_takeover;server_no_context_takeover")
	yes(offer{serverBits: 10}, pmd+" ;\tserver_max_window_bits\t=\t10")

	// The server accepts the first acceptable offer in the client's order, across lines.
	yes(offer{serverFresh: true}, pmd+"; server_no_context_takeover, "+pmd)
	yes(offer{}, pmd+", "+pmd+"; server_no_context_takeover")
	yes(offer{serverBits: 9}, pmd+"; server_max_window_bits=9", pmd+"; server_max_window_bits=15")
	yes(offer{}, "x-webkit-deflate-frame, "+pmd)
	yes(offer{}, "x-other; a=1; b=\"2\"; c=\"\\3\", "+pmd)
	yes(offer{}, pmd+", x-other")
	yes(offer{}, "x-other", pmd)
	yes(offer{}, ", ,"+pmd+",") // empty elements of a list are ignored

	declined := []string{
		"; unknown", "; unknown=1", "; x=\"y\"",
		"; server_no_context_takeover=1", "; client_no_context_takeover=true",
		"; server_no_context_takeover; server_no_context_takeover",
		"; client_no_context_takeover; client_no_context_takeover",
		"; server_max_window_bits=9; server_max_window_bits=9",
		"; client_max_window_bits; client_max_window_bits=9",
		"; server_max_window_bits", "; server_max_window_bits; client_max_window_bits",
		"; Server_max_window_bits=10",
	}
	for _, name := range []string{"server_max_window_bits", "client_max_window_bits"} {
		for _, value := range []string{"0", "7", "16", "08", "015", "-8", "+9", "9.0", "1e1", "0x9", "abc", "115", "18446744073709551625", `"16"`, `"08"`} {
			declined = append(declined, "; "+name+"="+value)
		}
	}
	for _, d := range declined {
		no(pmd + d)
		// The server skips an unacceptable offer.
		yes(offer{serverFresh: true}, pmd+d+", "+pmd+"; server_no_context_takeover")
	}
	no(pmd + "-x")
	no("x-" + pmd)

	for _, list := range []string{
		pmd + ";", pmd + "; ;server_no_context_takeover", pmd + "; =1", pmd + " server_no_context_takeover", pmd + ", " + pmd + ";",
		";", "=", `"` + pmd + `"`, pmd + "/1", pmd + "; server_max_window_bits=", pmd + "; server_max_window_bits=10=10",
		pmd + `; server_max_window_bits="9`, pmd + `; server_max_window_bits="9\`, pmd + `; server_max_window_bits="9"9`,
		pmd + "; server_max_window_bits=9 9", pmd + "; client_max_window_bits=@",
		// A quoted value must be a token too.
		pmd + `; server_max_window_bits=""`, pmd + `; server_no_context_takeover=""`, `x-other; a="1, 2", ` + pmd,
	} {
		all = append(all, offer{lines: []string{list}, bad: true})
	}
	return all
}

// negotiate makes an offer, checks the answer, and sends messages accordingly.
func negotiate(url string, o offer, mode websocket.CompressionMode) error {
	p, err := wstest.Dial(url, wstest.DialOptions{Header: http.Header{"Sec-WebSocket-Extensions": o.lines}, Timeout: soon})
	if o.bad {
		var refusal *wstest.HandshakeError
		switch {
		case err == nil:
			return errors.Join(errors.New("accepted, want 400"), p.Close())
		case !errors.As(err, &refusal) || refusal.Response.StatusCode != http.StatusBadRequest:
			return err
		}
		return nil
	}
	if err != nil {
		return err
	}
	defer p.Close()
	got, err := answered(p.Response.Header)
	if err != nil {
		return err
	}
	t := &clientConn{Peer: p}
	switch {
	case o.no && got != nil:
		return fmt.Errorf("negotiated %+v, want no extension", *got)
	case o.no:
		return echoed(wstest.Text, hello, together(text(hello))).on(t)
	case got == nil:
		return errors.New("the offer was not accepted")
	case o.serverFresh && !got.serverFresh, got.serverBits != o.serverBits, got.clientBits > o.clientBits:
		return fmt.Errorf("negotiated %+v, want %+v", *got, o)
	case mode == websocket.CompressionNoContextTakeover && !(got.serverFresh && got.clientFresh):
		return fmt.Errorf("negotiated %+v, in the mode without context takeover", *got)
	}
	if t.codec, err = newCodec(*got); err != nil {
		return err
	}
	m := data(wstest.Text, repeat("to be or not to be, ", 3000))
	return exchange{steps: []step{oneByOne(3, func(int) wstest.Frame { return m }, 0)}}.on(t)
}
