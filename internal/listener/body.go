package listener

import (
	"io"
	"net"
	"net/http"
)

// UnreadBody prepares a request of c for a handler, after Begin. It returns r with a body
// whose Read waits for the peer without protection from eviction. It makes net/http close
// the connection after the answer. Otherwise a Write of the handler would wait for the
// body, and protect a connection that waits for its peer. EnableFullDuplex would do that
// too, but then net/http panics when the body arrives after the answer.
func (l *Limiter) UnreadBody(c net.Conn, w http.ResponseWriter, r *http.Request) *http.Request {
	if r.ContentLength == 0 && len(r.TransferEncoding) == 0 {
		return r
	}
	if r.ProtoMajor < 2 {
		w.Header().Set("Connection", "close")
	}
	waiting := *r
	waiting.Body = waitingBody{r.Body, l, c}
	return &waiting
}

type waitingBody struct {
	io.ReadCloser
	l *Limiter
	c net.Conn
}

func (b waitingBody) Read(p []byte) (int, error) {
	b.l.Await(b.c)
	defer b.l.Begin(b.c)
	return b.ReadCloser.Read(p)
}
