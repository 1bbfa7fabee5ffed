package handshake

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"
)

// maxHeader is the longest header of a response, with those of interim responses.
const maxHeader = 64 << 10

// An Error describes what is wrong with a server's response.
type Error struct {
	Text  string
	Cause error // nil if there is no other error
}

func (e *Error) Error() string { return e.Text }

func (e *Error) Unwrap() error { return e.Cause }

func errorf(format string, args ...any) error { return &Error{Text: fmt.Sprintf(format, args...)} }

// Open sends the opening handshake over c, and reads and checks the response. It
// blocks as long as the deadlines of c allow; deadline is the read deadline of c, zero
// for none. Open shortens it to one second to read the body of a refusal.
//
// The reader reads c, and holds what has arrived behind the response. The error is an
// [*Error] if the response is wrong, or an error of c. The response is nil if there
// was none.
func Open(c net.Conn, o Offer, deadline time.Time) (*bufio.Reader, *http.Response, error) {
	key := cmp.Or(o.Key, NewKey())
	request := o.request(key)
	if err := request.Write(c); err != nil {
		return nil, nil, err
	}
	limited := &io.LimitedReader{R: c, N: maxHeader}
	in := bufio.NewReader(limited)
	response, err := read(in, limited, request)
	if err != nil {
		return nil, nil, err
	}
	if response.StatusCode != http.StatusSwitchingProtocols {
		if until := time.Now().Add(time.Second); deadline.IsZero() || until.Before(deadline) {
			_ = c.SetReadDeadline(until)
		}
		return nil, response, refusal(response)
	}
	limited.N = math.MaxInt64
	err = Check(response, key)
	if err == nil {
		err = o.check(response.Header)
	}
	return in, response, err
}

// read reads the response. Its errors describe a wrong response.
func read(in *bufio.Reader, limited *io.LimitedReader, request *http.Request) (*http.Response, error) {
	first, err := in.Peek(1) // a server that sends nothing does not send bad HTTP
	if err != nil {
		return nil, err
	}
	if first[0] != 'H' {
		first, _ = in.Peek(in.Buffered())
		return nil, errorf("the answer is not HTTP: %s", Quoted(first))
	}
	response, err := ReadResponse(in, request)
	switch {
	case err == nil:
		return response, nil
	case limited.N == 0:
		return nil, errorf("the header of the answer is over %d bytes", maxHeader)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return nil, &Error{"it ended the connection inside its answer", err}
	case errors.As(err, new(net.Error)): // from the connection, not from the parser
		return nil, err
	}
	return nil, &Error{"the answer is not HTTP: " + Quoted([]byte(err.Error())), err}
}

// ReadResponse reads the response to a request. It skips interim responses, such as 103
// (RFC 9110, section 15.2). Nil stands for a GET request.
func ReadResponse(in *bufio.Reader, request *http.Request) (*http.Response, error) {
	for {
		response, err := http.ReadResponse(in, request)
		if err != nil || response.StatusCode/100 != 1 || response.StatusCode == http.StatusSwitchingProtocols {
			return response, err
		}
	}
}

// refusal describes a response other than 101, with the first line of its body and the
// usual cause. The words for the status are ours: the server's could address the terminal.
func refusal(response *http.Response) error {
	text := strings.TrimSpace(fmt.Sprintf("the answer is %d %s", response.StatusCode, http.StatusText(response.StatusCode)))
	if to := response.Header.Get("Location"); to != "" {
		text += ", to " + Quoted([]byte(to))
	}
	b := make([]byte, 512)
	n, _ := io.ReadFull(response.Body, b) // a part of the body explains, too
	b = bytes.TrimSpace(b[:n])
	line, _, _ := bytes.Cut(b, []byte("\n"))
	if len(line) > 0 {
		text += ": " + Quoted(line)
	}
	if cause := usualCause(response, bytes.ToLower(b)); cause != "" {
		text += "; " + cause
	}
	return &Error{Text: text}
}

// usualCause returns the usual cause of a refusal whose body begins with these bytes, in
// lower case. It is empty if the body names the cause, or if none is usual.
func usualCause(response *http.Response, body []byte) string {
	names := func(word string) bool { return bytes.Contains(body, []byte(word)) }
	secure := response.Request != nil && response.Request.URL.Scheme == "wss"
	switch code := response.StatusCode; {
	case code == http.StatusForbidden && !names("origin"):
		return "the server probably does not allow the Origin of the request"
	case (code == http.StatusOK || code == http.StatusUpgradeRequired) && !names("proxy"):
		return "a proxy has probably removed the Upgrade header of the request"
	case code == http.StatusBadRequest && !secure && (names("https") || names("tls") || names("ssl")):
		return "the port expects TLS, so use wss:// in place of ws://"
	case code == http.StatusUnauthorized:
		return "the server wants a login, such as the header Authorization"
	case code == http.StatusNotFound:
		return "the server probably has no WebSocket at this path"
	case code == http.StatusBadGateway || code == http.StatusGatewayTimeout:
		return "the proxy probably cannot reach the server behind it"
	}
	return ""
}

// Check returns an [*Error] unless a response with status 101 accepts the key.
func Check(response *http.Response, key string) error {
	h := response.Header
	accept := h.Values("Sec-WebSocket-Accept")
	switch {
	case !response.ProtoAtLeast(1, 1):
		return errorf("the answer is 101 in HTTP/%d.%d", response.ProtoMajor, response.ProtoMinor)
	case !strings.EqualFold(h.Get("Upgrade"), "websocket"):
		return errorf("the answer is 101 with Upgrade %s", Quoted([]byte(h.Get("Upgrade"))))
	case !HasToken(h.Values("Connection"), "upgrade"):
		return errorf("the answer is 101 without Connection: Upgrade")
	case len(accept) != 1 || accept[0] != AcceptKey(key):
		return errorf("Sec-WebSocket-Accept does not match the key")
	}
	return nil
}

// check returns an [*Error] if the server has chosen something that o does not offer.
func (o Offer) check(h http.Header) error {
	chosen := h.Values("Sec-WebSocket-Protocol")
	extensions := h.Values("Sec-WebSocket-Extensions")
	switch {
	case slices.Contains(extensions, ""): // the field is a list of at least one (RFC 6455, section 9.1)
		return errorf("the answer has an empty Sec-WebSocket-Extensions")
	case len(extensions) > 0 && o.Extensions == "":
		return errorf("it chose the extension %s, which was not offered", Quoted([]byte(strings.Join(extensions, ", "))))
	case len(chosen) > 1, len(chosen) == 1 && !slices.Contains(o.Subprotocols, chosen[0]):
		return errorf("it chose the subprotocol %s, which was not offered", Quoted([]byte(strings.Join(chosen, ", "))))
	case len(chosen) == 0 && len(o.Subprotocols) > 0:
		return errorf("it chose none of the offered subprotocols: %s", strings.Join(o.Subprotocols, ", "))
	}
	return nil
}
