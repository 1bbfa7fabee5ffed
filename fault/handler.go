package fault

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/coder/websocket"
	"golang.org/x/sync/semaphore"

	"example.com/wsecho/echo"
	"example.com/wsecho/ending"
	"example.com/wsecho/server"
)

// A faultyConn is one connection with faults.
type faultyConn struct {
	plan
	serve    func(context.Context, echo.Conn) error
	greeting *greeting           // nil: none
	stream   *stream             // nil: the plan needs none
	delayed  *semaphore.Weighted // memory of the delayed messages of all connections
	pongs    pongs
	maxWrite time.Duration
}

// changeHeader is the Header of server.ConnOptions.
func (f *faultyConn) changeHeader(h http.Header) {
	if f.wrongAccept {
		h.Set("Sec-WebSocket-Accept", "AAAAAAAAAAAAAAAAAAAAAAAAAAA=")
	}
	if f.greeting != nil {
		f.greeting.Subprotocol = h.Get("Sec-WebSocket-Protocol")
		f.greeting.Extensions = h.Get("Sec-WebSocket-Extensions")
	}
}

// wrap is the Wrap of server.ConnOptions.
func (f *faultyConn) wrap(sock net.Conn) net.Conn {
	f.stream = newStream(sock, &f.plan)
	return f.stream
}

// handle is the Handler of server.ConnOptions. Its goroutines have ended when it returns.
func (f *faultyConn) handle(ctx context.Context, c *server.Conn) error {
	var goroutines sync.WaitGroup
	var line *delayLine
	defer func() {
		goroutines.Wait()
		if line != nil {
			line.end()
		}
	}()
	running, cancel := context.WithCancel(ctx) // c.Write gets ctx, because the end of another one would close c
	defer cancel()
	defer f.pongs.stop()
	if f.stream != nil {
		defer context.AfterFunc(running, f.stream.endInsert)()
		defer f.stream.endInsert()
	}
	if f.acts() && f.afterTime > 0 {
		goroutines.Go(func() {
			if sleep(running, f.afterTime) {
				_ = f.act(c) // ends the handler by ending c
			}
		})
	}
	if f.greeting != nil {
		if err := c.Write(ctx, websocket.MessageText, f.greeting.json()); err != nil {
			return err
		}
		f.greeting = nil
	}
	if f.acts() && f.after == 0 && f.afterTime == 0 {
		if err := f.act(c); err != nil {
			return err
		}
	}
	if f.ping > 0 {
		goroutines.Go(func() { f.sendPings(running, c) })
	}
	if f.send > 0 {
		goroutines.Go(func() { f.sendMessages(running, ctx, c) })
	}
	e := &echoConn{Conn: c, f: f}
	if f.delay > 0 || f.jitter > 0 {
		e.line = newDelayLine(running, &f.plan, f.delayed, func(typ websocket.MessageType, p []byte) error { return e.echo(ctx, typ, p) })
		line = e.line
		goroutines.Go(e.line.run)
	}
	return f.serve(ctx, e)
}

// errEnded is the error of a handler whose connection a fault has ended.
var errEnded = errors.New("the requested fault has ended the connection")

// act does what the parameter after delays. The error means that c has ended.
func (f *faultyConn) act(c *server.Conn) error {
	var inserted []byte
	if f.badUTF8 {
		inserted = append(inserted, 0x81, 4, 'b', 'a', 0xff, 'd')
	}
	if f.garbage {
		inserted = append(inserted, 0x83, 0)
	}
	if inserted != nil {
		if f.stream.insert(inserted) != nil {
			return nil // the next read reports the cause
		}
	}
	switch {
	case f.closeCode != 0:
		_ = c.Close(f.closeCode, f.reason) // fails only if c has ended for another reason
	case f.drop != "", f.truncate:
		if f.truncate {
			f.stream.truncate(append([]byte{0x82, 126, 0, 200}, "truncated"...))
		}
		f.stream.drop(f.drop == "rst")
		_ = c.CloseNow()
	default:
		return nil
	}
	return errEnded
}

// sendPings sends pings until ctx ends.
func (f *faultyConn) sendPings(ctx context.Context, c *server.Conn) {
	t := time.NewTicker(f.ping)
	defer t.Stop()
	for {
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
		wait, cancel := context.WithTimeout(ctx, f.ping)
		_ = c.Ping(wait) // the next ping is due in any case
		cancel()
	}
}

// sendMessages sends the messages of the parameter send until running ends. ctx is that of
// the handler.
func (f *faultyConn) sendMessages(running, ctx context.Context, c *server.Conn) {
	t := time.NewTicker(f.every)
	defer t.Stop()
	for i := range f.send {
		select {
		case <-t.C:
		case <-running.Done():
			return
		}
		if c.Write(ctx, websocket.MessageText, fmt.Appendf(nil, "message %d of %d", i+1, f.send)) != nil {
			return
		}
	}
}

// An echoConn is the connection that the echo handler uses. Its Write applies the faults.
type echoConn struct {
	*server.Conn
	f      *faultyConn
	line   *delayLine // nil: echoes are sent at once
	echoed int        // of the goroutine that sends
}

// shortMessage is the length of the longest message that the memory budget of package echo
// does not count. Its echo may take any time.
const shortMessage = 16 << 10

// Write sends the message, perhaps later.
func (c *echoConn) Write(ctx context.Context, typ websocket.MessageType, p []byte) error {
	if len(p) > shortMessage && c.f.echoTime(len(p)) > c.f.maxWrite {
		return &ending.Choice{Err: ending.Error{Kind: ending.TooBig,
			Reason: fmt.Sprintf("an echo with the requested delay and rate takes over %v", c.f.maxWrite)}}
	}
	if c.line != nil {
		return c.line.write(typ, p)
	}
	return c.echo(ctx, typ, p)
}

// echo sends the message, and acts behind it.
func (c *echoConn) echo(ctx context.Context, typ websocket.MessageType, p []byte) error {
	if err := c.Conn.Write(ctx, typ, p); err != nil {
		return err
	}
	if c.echoed++; c.f.acts() && c.echoed == c.f.after {
		return c.f.act(c.Conn)
	}
	return nil
}
