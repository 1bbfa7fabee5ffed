package ending

import (
	"errors"
	"io"
	"net/http"
)

// Stream translates the error of a Read of the byte stream under a WebSocket.
// coder/websocket treats an io.EOF inside a message as the end of the message. So a
// wrapper of the net.Conn must hide it. An io.EOF becomes an [*Error] of kind Abnormal. An
// io.ErrUnexpectedEOF, which only crypto/tls returns here, becomes one of kind Truncated.
// Neither wraps the original error. Stream returns any other error, and nil, unchanged.
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

// A RoundTripper wraps the connections of a client's WebSockets with [Stream]. So a
// truncated message is an error and never a whole message.
//
//	client := &http.Client{Transport: ending.RoundTripper{}}
//	conn, _, err := websocket.Dial(ctx, url, &websocket.DialOptions{HTTPClient: client})
//
// It does not change responses other than 101. It may be used concurrently if Base
// may.
type RoundTripper struct {
	// Base sends the requests; nil means http.DefaultTransport.
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
