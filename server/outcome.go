package server

import (
	"context"
	"log/slog"
	"time"

	"github.com/coder/websocket"

	"example.com/wsecho/ending"
	"example.com/wsecho/heartbeat"
)

// Info describes one connection. RemoteAddr, Host and URI are for a log. Unprintable
// characters are escaped as in Go. A value over 256 bytes is truncated, followed by the
// number of omitted bytes, such as "…(+40 bytes)". So a connection does not keep a long
// request in memory. Options.Admit gets the whole request.
type Info struct {
	ID          uint64 // of this Server, from 1
	RemoteAddr  string // IP:port of the client; see Options.TrustedProxies
	Proxy       string // IP:port of the trusted proxy that has connected; "": the client has
	Host        string
	URI         string // path and query
	Subprotocol string
	Fault       string // of ConnOptions: requested, and perhaps not happened; "": nothing goes wrong on purpose

	Since        time.Time // the end of the handshake
	LastReceived time.Time // when the last byte was received

	Traffic              // of all messages
	Text, Binary Traffic // of those of each type
	WriteStalls  int64   // writes that have waited at least 20 ms for the peer, and are over
	Closing      bool    // the reason for the end is recorded
	Parked       bool    // no goroutine serves it: see Options.ParkAfter; false for a moment at each ping

	Heartbeat heartbeat.Stats // zero without one
}

// An Outcome records why and when one connection ended. Each connection has one.
type Outcome struct {
	ending.Ending
	Info
	Ended    time.Time            // when the reason was recorded
	Sent     websocket.StatusCode // of this side's close frame; 0: none was sent
	Received websocket.StatusCode // of the peer's close frame, 1005 if it had no code; 0: none was received

	// Gone reports whether [ending.Gone] is true for the error of a reader of this
	// connection. It agrees with gorilla's IsCloseError(err, 1001, 1006). Either the peer
	// sent 1001, perhaps only as an answer, or the stream ended without a close frame.
	Gone bool
}

// Info returns the current Info of c.
func (c *Conn) Info() (i Info) {
	c.setInfo(&i)
	return i
}

func (c *Conn) setInfo(i *Info) {
	i.ID, i.RemoteAddr, i.Host, i.URI, i.Subprotocol = c.id, c.remote, c.host, c.uri, c.subprotocol
	i.Since, i.LastReceived = c.tr.Began(), c.tr.LastReceived()
	i.WriteStalls, i.Closing = c.tr.Stalls(), c.isClosing()
	i.Parked = !i.Closing && c.isParked()
	i.Text, i.Binary = c.traffic()
	i.Traffic.add(i.Text)
	i.Traffic.add(i.Binary)
	if c.request != nil {
		i.Proxy = c.request.proxy
	}
	if c.connOptions != nil {
		i.Fault = logged(c.connOptions.Fault)
	}
	if m := c.heartbeat.Load(); m != nil {
		i.Heartbeat = m.Stats()
	}
}

// reportClose makes the Outcome, logs it and passes it to Options.OnEnd.
//
// The frames of reportClose and of the functions that it calls are small on purpose. The
// logger needs 4 KiB of stack. If the stack must grow for that, all its frames are copied,
// which costs more than the line.
func (c *Conn) reportClose() {
	readErr := c.tr.Err()
	var o Outcome
	c.mu.Lock()
	o.Ending, o.Ended = c.reason, c.reasonAt
	if c.peerClose != nil {
		o.Received, readErr = c.peerClose.Code, *c.peerClose
	}
	c.mu.Unlock()
	o.Gone = ending.Gone(readErr)
	c.setInfo(&o.Info)
	o.Sent, _ = c.tr.OurClose()
	defer c.srv.remove(c, &o) // also if OnEnd or Observer.Ended calls runtime.Goexit
	defer c.srv.observeEnded(c, &o)
	c.logEnd(&o)
	c.callOnEnd(&o)
}

// callOnEnd calls Options.OnEnd.
func (c *Conn) callOnEnd(o *Outcome) {
	if f := c.srv.opts.OnEnd; f != nil {
		defer c.srv.contain("OnEnd", c)
		f(*o)
	}
}

// logEnd logs the line of an ended connection.
func (c *Conn) logEnd(o *Outcome) {
	ctx := context.Background()
	if !c.srv.log.Enabled(ctx, slog.LevelInfo) {
		return
	}
	attrs := c.endAttrs(make([]slog.Attr, 0, 24), o)
	c.srv.log.LogAttrs(ctx, slog.LevelInfo, "ended", attrs...)
}

// endAttrs appends the fields of that line to attrs.
//
//go:noinline
func (c *Conn) endAttrs(attrs []slog.Attr, o *Outcome) []slog.Attr {
	attrs = append(attrs,
		slog.String("kind", o.Kind.String()),
		slog.String("by", o.By.String()),
		slog.Bool("gone", o.Gone),
		slog.Int("code", int(o.Code)),
		slog.String("reason", logged(o.Reason)),
		slog.Int("sent", int(o.Sent)),
		slog.Int("received", int(o.Received)),
		slog.Uint64("id", o.ID),
		slog.String("remote", o.RemoteAddr),
		slog.String("uri", c.srv.loggedURI(o.URI)),
	)
	attrs = append(c.request.attrs(attrs, c.subprotocol),
		seconds("age_seconds", o.Ended.Sub(o.Since), time.Millisecond),
		seconds("silent_seconds", max(0, o.Ended.Sub(o.LastReceived)), time.Millisecond),
		slog.Int64("messages_in", o.MessagesIn),
		slog.Int64("messages_out", o.MessagesOut),
		slog.Int64("bytes_in", o.BytesIn),
		slog.Int64("bytes_out", o.BytesOut),
	)
	if o.Fault != "" {
		attrs = append(attrs, slog.String("fault", o.Fault))
	}
	if o.Heartbeat.Answered > 0 {
		attrs = append(attrs, seconds("rtt_seconds", o.Heartbeat.RTT.Last, time.Microsecond))
	}
	if o.Cause != nil && (o.By != ending.Peer || o.Received == 0) { // the fields of a close frame are above
		attrs = append(attrs, slog.String("cause", logged(errorText(o.Cause))))
	}
	return attrs
}
