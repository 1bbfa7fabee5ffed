package wstest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"example.com/wsecho/internal/greeting"
)

// maxMessage is the most bytes of a message that an EchoServer accepts.
const maxMessage = 16 << 20

// serverConn is one connection of an EchoServer. The goroutine of run reads. Others write
// at the times of the plan.
type serverConn struct {
	*Peer
	plan
	ctx        context.Context // ends with the connection
	cancel     context.CancelFunc
	active     context.Context // ends when one side begins to end the connection
	deactivate context.CancelFunc
	ending     sync.Once
	dropped    bool // set before active ends

	message []byte // in progress
	opcode  byte   // of it; 0: none is in progress

	goroutines sync.WaitGroup // all goroutines but that of run
	queue      chan delayed   // of echoes; nil: they are sent at once
	room       *semaphore.Weighted
	lastDue    time.Time // when the newest echo in queue is due
	latePongs  atomic.Int32
	broken     bool // under Peer.writing: a frame was not written completely

	report Report // each field is written by one goroutine, and read after all have ended
}

// run serves the connection until it ends.
func (c *serverConn) run() {
	c.shrinkBuffers()
	if c.report.Err = c.handshakeTLS(); c.report.Err != nil {
		return
	}
	subprotocol, opened := c.open()
	if !opened {
		return
	}
	c.report.Opened = true
	c.conn.SetDeadline(time.Time{})
	c.limit = maxMessage
	began := time.Now()
	if c.hello {
		g := greeting.New(c.Request, c.helloAll)
		g.Subprotocol = subprotocol
		c.write(Text, g.JSON())
	}
	for _, e := range c.events {
		if e.after == 0 && e.afterTime == 0 {
			c.act(e)
		}
	}
	c.startSenders(began)
	if c.stall {
		c.awaitInputEnd()
	}
	if c.readRate > 0 {
		c.paceReads()
	}
	c.report.End, c.report.Err = c.readAll(began)
	c.cancel()
	c.Close() // ends the writes
	c.goroutines.Wait()
}

// readAll reads until the stream ends.
func (c *serverConn) readAll(began time.Time) (End, error) {
	e, err := c.drain(began, c.frame)
	if errors.Is(err, errTooBig) {
		c.violation(1009, errTooBig.Error())
		io.Copy(io.Discard, c.br) // until the deadline at most
		frames := e.Frames
		e, err = c.drain(began, c.frame)
		e.Frames += frames
	}
	return e, err
}

// open answers the opening handshake. It reports false if no WebSocket was opened.
func (c *serverConn) open() (subprotocol string, ok bool) {
	key, err := c.readHandshake()
	if r := c.Request; r != nil {
		r.RemoteAddr = c.NetConn().RemoteAddr().String()
		if c.tls != nil {
			state := c.tls.ConnectionState()
			r.TLS = &state
		}
	}
	c.report.Request = c.Request
	if err == nil && c.hold > 0 {
		err = c.awaitHold()
	}
	if err != nil {
		c.report.Err = err
		return "", false
	}
	if c.status != 0 {
		c.refuse()
		return "", false
	}
	header := make(http.Header)
	first, _, _ := strings.Cut(c.Request.Header.Get(subprotocolField), ",")
	if subprotocol = strings.TrimSpace(first); subprotocol != "" {
		header[subprotocolField] = []string{subprotocol}
	}
	if c.wrongAccept {
		header["Sec-WebSocket-Accept"] = []string{"AAAAAAAAAAAAAAAAAAAAAAAAAAA="}
	}
	if c.report.Err = c.SendRaw(Response(key, header)); c.report.Err != nil {
		return "", false
	}
	return subprotocol, true
}

// awaitHold waits for the time of Hold, or for the end of the client.
func (c *serverConn) awaitHold() error {
	until := time.Now().Add(c.hold)
	c.conn.SetReadDeadline(until)
	_, err := c.br.Peek(1)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil
	case errors.Is(err, net.ErrClosed):
		return err
	case err != nil:
		return fmt.Errorf("the client has disconnected during Hold(%v): %w", c.hold, err)
	case !c.sleep(time.Until(until)): // the client has sent a frame already
		return net.ErrClosed
	}
	return nil
}

// refuse answers the handshake with the status, and reads until the client ends.
func (c *serverConn) refuse() {
	c.report.Fault = fmt.Sprintf("Status(%d)", c.status)
	body := fmt.Sprintf("the fault %s was requested\n", c.report.Fault)
	if c.status == http.StatusNotModified {
		body = ""
	}
	b := message("HTTP/1.1 "+strconv.Itoa(c.status)+" "+http.StatusText(c.status), nil,
		"Connection", "close",
		"Content-Type", "text/plain; charset=utf-8",
		"Content-Length", strconv.Itoa(len(body)))
	if c.report.Err = c.SendRaw(append(b, body...)); c.report.Err != nil {
		return
	}
	c.FIN()
	c.report.End, c.report.Err = c.End(DefaultTimeout)
}

// startSenders starts the goroutines that send at the times of the plan. They end with
// c.active.
func (c *serverConn) startSenders(began time.Time) {
	c.goroutines.Go(func() {
		for _, e := range c.events { // sorted by time
			if e.afterTime == 0 {
				continue
			}
			if !c.sleep(time.Until(began.Add(e.afterTime))) {
				return
			}
			c.act(e)
		}
	})
	if c.ping > 0 {
		c.goroutines.Go(func() {
			for c.sleep(c.ping) && c.write(Ping, strconv.AppendInt(nil, int64(c.report.PingsSent+1), 10)) == nil {
				c.report.PingsSent++
			}
		})
	}
	if c.send > 0 {
		c.goroutines.Go(func() {
			for i := 0; i < c.send && c.sleep(c.every); i++ {
				c.write(Text, fmt.Appendf(nil, "message %d of %d", i+1, c.send))
			}
		})
	}
	if c.delay > 0 || c.jitter > 0 {
		c.queue, c.room = make(chan delayed, maxDelayed), semaphore.NewWeighted(maxDelayedBytes)
		c.goroutines.Go(c.echoDelayed)
	}
}

// act does what an event demands, unless the connection ends already.
func (c *serverConn) act(e event) {
	if e.insert != nil {
		c.insert(e.insert)
	}
	if e.end == endNot || !c.beginEnd(e.end != endClose) {
		return
	}
	c.report.Fault = e.call
	switch {
	case e.end == endClose:
		c.write(Close, CloseBody(e.code, e.reason))
	case e.end == endRST:
		c.RST()
	case c.tls != nil:
		c.CutTLS()
	default:
		c.FIN()
	}
}

// beginEnd ends all waits. From then on the server answers nothing, and the client has five
// seconds to end its stream. drop means that no close frame is sent. It reports whether
// this is the first call.
func (c *serverConn) beginEnd(drop bool) (first bool) {
	c.ending.Do(func() {
		first, c.dropped = true, drop
		c.deactivate()
		c.conn.SetDeadline(time.Now().Add(DefaultTimeout))
	})
	return first
}

// sleep waits for d. It reports false if the connection begins to end before.
func (c *serverConn) sleep(d time.Duration) bool { return sleep(c.active, d) }

// sleep waits for d. It reports false if ctx ends before.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
