package listener

import (
	"io"
	"net"
	"net/http"
)

// UnreadBody prepares a request of c for a handler, after Begin. It returns r with a body
// whose Read waits for the peer without protection from eviction. It makes net/http send
// the answer before the rest of the body is received. Otherwise a Write of the handler
// would wait for the body, and protect a connection that waits for its peer. The answer
// ends the connection, because net/http cannot use it again if the handler has not read the
// whole body.
func (l *Limiter) UnreadBody(c net.Conn, w http.ResponseWriter, r *http.Request) *http.Request {
	if r.ContentLength == 0 && len(r.TransferEncoding) == 0 {
		return r
	}
	_ = http.NewResponseController(w).EnableFullDuplex() // the writer of net/http has it
	w.Header().Set("Connection", "close")
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
