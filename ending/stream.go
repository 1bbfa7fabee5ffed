package ending

import (
	"errors"
	"io"
	"net/http"
)

// Stream turns the error of a Read of the byte stream under a WebSocket into one
// that tells the truth through coder/websocket, which takes an io.EOF inside a
// message for the message's end. It is for those who wrap a net.Conn of their
// own. An io.EOF becomes an [*Error] of kind Abnormal. An io.ErrUnexpectedEOF,
// which at this level only crypto/tls says, becomes one of kind Truncated. Neither
// wraps what it stands for. Every other error, and nil, is returned as it is.
func Stream(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, io.ErrUnexpectedEOF):
		return &Error{Kind: Truncated, Cause: errors.New("TLS ended inside a record")}
	case errors.Is(err, io.EOF):
		return &Error{Kind: Abnormal, Cause: errors.New("end of stream without a close frame")}
	}
	return err
}

// A RoundTripper makes the endings of a client's WebSockets true: a message that
// the server cuts short comes back as an error and never as a whole message.
//
//	client := &http.Client{Transport: ending.RoundTripper{}}
//	conn, _, err := websocket.Dial(ctx, url, &websocket.DialOptions{HTTPClient: client})
//
// It changes nothing of responses other than 101. It may be used by several
// goroutines at once if Base may.
type RoundTripper struct {
	// Base does the requests; nil means http.DefaultTransport.
	Base http.RoundTripper
}

// RoundTrip implements [http.RoundTripper].
func (t RoundTripper) RoundTrip(r *http.Request) (*http.Response, error) {
	base := t.Base
	if base == nil {
		base = http.DefaultTransport
	}
	resp, err := base.RoundTrip(r)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		return resp, err
	}
	if body, ok := resp.Body.(io.ReadWriteCloser); ok {
		resp.Body = stream{body}
	}
	return resp, nil
}

type stream struct{ io.ReadWriteCloser }

func (s stream) Read(p []byte) (int, error) {
	n, err := s.ReadWriteCloser.Read(p)
	return n, Stream(err)
}
