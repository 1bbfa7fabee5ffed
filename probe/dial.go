package probe

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/coder/websocket"

	"example.com/wsecho/ending"
	"example.com/wsecho/heartbeat"
	"example.com/wsecho/internal/handshake"
)

// DefaultReadLimit is the default of ConnOptions.ReadLimit, in bytes.
const DefaultReadLimit = 16 << 20

// ConnOptions configure [Dial]. The zero value is ready to use.
type ConnOptions struct {
	// Connect is about the connection. Its Timeout is the longest time to open it. Its Ping
	// has no effect.
	Connect Options

	// ReadLimit is the length of the longest message that Read returns, in bytes. A longer
	// one ends the connection with 1009. Zero means DefaultReadLimit, negative no limit.
	ReadLimit int64

	// OnPing is called with the payload of each ping that the server sends, before the
	// answer. Read waits for it. Nil: not called.
	OnPing func(payload []byte)

	// Heartbeat receives the signs of life. The caller runs it. A caller that pauses between
	// its calls of Read also needs a [heartbeat.Reads]. Nil: none.
	Heartbeat *heartbeat.Monitor
}

// A Conn is an open WebSocket. One goroutine must call Read until it returns an error.
// Other methods may be called concurrently, also beside Read. Each Conn must end with a
// call of Close or Ended.
type Conn struct {
	p      *probing
	ws     *websocket.Conn
	opened time.Time
	beat   *heartbeat.Monitor

	once    sync.Once
	done    chan struct{} // closed after readErr is set
	readErr error
}

// Check returns the error of Dial for these arguments. It sends nothing.
func (o ConnOptions) Check(rawURL string) error {
	if _, err := handshake.ParseURL(rawURL); err != nil {
		return fmt.Errorf("probe: %w", err)
	}
	o.Connect.Timeout = cmp.Or(o.Connect.Timeout, DefaultTimeout)
	return o.Connect.check()
}

// Dial opens a WebSocket for a caller that sends and receives messages itself. Its steps
// and errors are those of [Watch]. It blocks until the connection is open, until the
// Timeout, or until ctx ends. Later ctx has no effect.
//
// The error is an [*Error] if a step failed. Otherwise it is about the arguments, and
// nothing was sent. The Report has the steps that succeeded.
func Dial(ctx context.Context, rawURL string, o ConnOptions) (*Conn, Report, error) {
	o.Connect.Ping = false
	p, limited, cancel, err := newProbing(ctx, rawURL, o.Connect)
	if err != nil {
		return nil, Report{}, err
	}
	defer cancel()
	c := &Conn{beat: o.Heartbeat, done: make(chan struct{})}
	ws, failure := p.establish(limited, &websocket.DialOptions{
		OnPingReceived: func(ctx context.Context, payload []byte) bool {
			if o.OnPing != nil {
				o.OnPing(payload)
			}
			return c.beat == nil || c.beat.OnPing(ctx, payload)
		},
		OnPongReceived: func(ctx context.Context, payload []byte) {
			if c.beat != nil {
				c.beat.OnPong(ctx, payload)
			}
		},
	})
	if failure != nil {
		return nil, p.report, failure
	}
	limit := cmp.Or(o.ReadLimit, DefaultReadLimit)
	ws.SetReadLimit(max(limit, -1))
	c.p, c.ws, c.opened = p, ws, time.Now()
	return c, p.report, nil
}

// establish performs the steps that open a WebSocket. Afterwards the socket has no
// deadline. If a step fails, nothing stays open.
func (p *probing) establish(ctx context.Context, o *websocket.DialOptions) (*websocket.Conn, *Error) {
	var ws *websocket.Conn
	dial := func(ctx context.Context) (err error) {
		o.HTTPClient = &http.Client{Transport: ending.RoundTripper{Base: opener{p}}}
		o.Subprotocols = p.o.Subprotocols
		ws, _, err = websocket.Dial(ctx, p.url.String(), o)
		return err
	}
	began := time.Now()
	err := p.run(ctx, stepFunc{Connect, p.connect}, stepFunc{TLS, p.secure}, stepFunc{Handshake, dial})
	p.report.Took = time.Since(began)
	if err == nil && !p.conn.stop() { // the context has ended the deadline of the connection
		err = p.failure(ctx, Handshake, os.ErrDeadlineExceeded)
	}
	if err == nil {
		_ = p.conn.tcp.SetDeadline(time.Time{})
		return ws, nil
	}
	failure := (*Error)(nil)
	if !errors.As(err, &failure) {
		failure = &Error{Step: Connect, Err: err, what: Connect.failed(false)}
	}
	if ws != nil {
		_ = ws.CloseNow()
	}
	p.teardown(ctx, false)
	return nil, failure
}

// Read returns the next message. It blocks until there is one, or until the connection
// ends. A text message that is not UTF-8 is returned with an error, and ends the connection.
// Call Ended or Close after an error.
func (c *Conn) Read() (websocket.MessageType, []byte, error) {
	typ, b, err := c.ws.Read(context.Background())
	switch {
	case err != nil:
		b = nil
	case typ == websocket.MessageText && !utf8.Valid(b):
		err = refusal(ending.InvalidUTF8, "a text message is not UTF-8")
	case c.beat != nil:
		c.beat.Received()
	}
	if err != nil {
		c.once.Do(func() { c.readErr = err; close(c.done) })
	}
	return typ, b, err
}

// Write sends a message. It blocks while the server accepts no bytes. If ctx ends first,
// the connection ends with the kind [ending.WriteStalled].
func (c *Conn) Write(ctx context.Context, typ websocket.MessageType, p []byte) error {
	return c.ws.Write(ctx, typ, p)
}

// Ping sends a ping and waits for its pong. [heartbeat.Check] measures the time. If the
// ping cannot be sent before ctx ends, or within 5 s, the connection ends.
func (c *Conn) Ping(ctx context.Context) error { return c.ws.Ping(ctx) }

// Done returns a channel that is closed when Read has returned an error.
func (c *Conn) Done() <-chan struct{} { return c.done }

// Ended releases the connection and returns its end. The reason is the error of Read, or
// verdict if it is not nil, such as that of a heartbeat. It blocks until Read has returned
// an error, which a verdict causes.
func (c *Conn) Ended(verdict error) End {
	var end End
	if verdict != nil {
		end = End{Ending: ending.Of(verdict)}
		c.release()
	}
	<-c.done
	if verdict == nil {
		end = endOf(c.readErr)
		c.p.refuse(c.readErr)
		c.release()
	}
	end.Age = time.Since(c.opened)
	return end
}

// release closes the connection.
func (c *Conn) release() {
	_ = c.ws.CloseNow()
	_ = c.p.conn.tcp.Close()
}

// Close performs the closing handshake with this code and reason, and returns the end. It
// blocks until the server has answered, until ctx ends, or for 5 s. A write that is stuck
// ends then too.
func (c *Conn) Close(ctx context.Context, code websocket.StatusCode, reason string) End {
	select {
	case <-c.done: // the server has closed first
		return c.Ended(nil)
	default:
	}
	end := closeConn(ctx, c.ws, c.p.conn.tcp, code, reason, c.done, &c.readErr)
	c.release()
	end.Age = time.Since(c.opened)
	return end
}

// closeConn performs the closing handshake until ctx ends. The reader closes read when
// readErr has the error of its last read. A reader that does not come back until ctx ends
// is ignored.
func closeConn(ctx context.Context, ws *websocket.Conn, tcp net.Conn, code websocket.StatusCode, reason string, read <-chan struct{}, readErr *error) End {
	if deadline, ok := ctx.Deadline(); ok {
		_ = tcp.SetDeadline(deadline)
	}
	stop := context.AfterFunc(ctx, func() { _ = tcp.SetDeadline(past) })
	defer stop()
	closeErr := ws.Close(code, reason)
	var err error
	select {
	case <-read:
		err = *readErr
	case <-ctx.Done():
	}
	end := End{Ending: ending.Ending{Kind: ending.Closed, Code: code, Reason: reason, By: ending.Local}, Sent: int(code)}
	switch answer := websocket.CloseStatus(err); {
	case answer != -1:
		end.Received = int(answer)
	case websocket.CloseStatus(closeErr) != -1:
		end.Received = int(websocket.CloseStatus(closeErr))
	case closeErr == nil:
		end.Received = int(code)
	default:
		end.Cause = fmt.Errorf("no close frame was received: %w", closeErr)
	}
	return end
}
