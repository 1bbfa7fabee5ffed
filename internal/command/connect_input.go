package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/coder/websocket"

	"example.com/wsecho/heartbeat"
)

// input performs the lines of stdin.
func (t *talk) input() {
	next := newLineReader(t.stdin, int64(t.f.WriteLimit)).next
	if t.terminal != nil {
		next = t.terminal.next
	}
	for number := 1; ; number++ {
		line, err := next()
		var request *stopRequest
		if err == nil {
			request, err = t.perform(line)
		}
		wrong := usageError{}
		switch {
		case request != nil:
			t.drain()
			t.request(*request)
			return
		case errors.Is(err, errEnded):
			return
		case errors.Is(err, io.EOF):
			if t.drain() {
				t.request(stopRequest{code: websocket.StatusNormalClosure})
			}
			return
		case errors.As(err, &wrong) && t.terminal != nil:
			t.view.note(wrong.Error())
		case errors.As(err, &wrong):
			t.request(stopRequest{code: websocket.StatusNormalClosure, err: usageError{fmt.Errorf("line %d of stdin: %w", number, err)}})
			return
		case err != nil:
			t.request(stopRequest{code: websocket.StatusNormalClosure, err: fmt.Errorf("stdin: %w", err)})
			return
		}
	}
}

// errEnded means that the connection ends, so no further line is performed.
var errEnded = errors.New("the connection ends")

// perform performs a line. It returns a request if the line asks for a close.
func (t *talk) perform(line string) (*stopRequest, error) {
	a, err := parseAction(line, !t.f.NoCommands)
	if err != nil {
		return nil, err
	}
	switch a.kind {
	case actClose:
		return &stopRequest{code: a.code, reason: a.text}, nil
	case actHelp:
		t.view.note(actionHelp)
		return nil, nil
	case actPing:
		t.ping()
		return nil, nil
	case actFile:
		if a, err = a.load(int64(t.f.WriteLimit)); err != nil {
			return nil, err
		}
	}
	t.sent.Add(1)
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(t.f.Timeout))
	defer cancel()
	if err := t.conn.Write(ctx, a.typ, []byte(a.text)); err != nil {
		t.sent.Add(-1)
		select {
		case <-t.conn.Done(): // the read has the reason
		case <-time.After(interruptedClose):
			t.request(stopRequest{code: websocket.StatusNormalClosure, err: err})
		}
		return nil, errEnded
	}
	return nil, nil
}

// awaiting returns a context for a pong. It ends after the timeout, but not while a print
// pauses the reader.
func (t *talk) awaiting() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		defer restoreOnPanic()
		timeout := time.NewTicker(time.Duration(t.f.Timeout))
		defer timeout.Stop()
		for {
			select {
			case <-timeout.C:
				if !t.reads.ReadingSince().IsZero() {
					cancel()
				}
			case <-ctx.Done():
				return
			}
		}
	}()
	return ctx, cancel
}

// ping sends a ping and prints the time to its pong, on a goroutine of its own. It blocks
// while maxPings of them wait.
func (t *talk) ping() {
	t.pings <- struct{}{}
	go func() {
		defer restoreOnPanic()
		defer func() { <-t.pings }()
		ctx, cancel := t.awaiting()
		defer cancel()
		rtt, err := heartbeat.Check(ctx, t.conn)
		switch {
		case err == nil:
			t.printed(t.view.pong(rtt))
		case ctx.Err() != nil:
			t.lost.Add(1)
			t.printed(t.view.missing())
		}
	}()
}

// waitPings waits until no ping waits for its pong. Each has a limit.
func (t *talk) waitPings() {
	t.allPings.Lock()
	defer t.allPings.Unlock()
	for range maxPings {
		t.pings <- struct{}{}
	}
	for range maxPings {
		<-t.pings
	}
}

// drain waits for answers before a close that stdin asks for. On a terminal it does not
// wait. It reports whether this side shall close at the end of stdin.
func (t *talk) drain() bool {
	limit := time.Duration(t.f.Wait)
	switch {
	case t.terminal != nil || limit == 0:
		return true
	case limit == off:
		return false
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	go func() { // the connection may end meanwhile
		select {
		case <-t.conn.Done():
			cancel()
		case <-ctx.Done():
		}
	}()
	if t.sent.Load() > 0 {
		// A server that handles frames in order has answered all messages before it sends
		// the pong. This matters if it sends other messages too.
		if t.conn.Ping(ctx) != nil {
			<-ctx.Done() // the connection ends, or the wait
		}
	}
	for ctx.Err() == nil && t.answers.Load() < t.sent.Load() {
		select {
		case <-t.answered:
		case <-ctx.Done():
		}
	}
	t.waitPings()
	if missing := t.sent.Load() - t.answers.Load(); missing > 0 && ctx.Err() == context.DeadlineExceeded {
		t.view.note(fmt.Sprintf("no answer to %d of %d messages within %v; --wait changes that", missing, t.sent.Load(), limit))
		if t.answers.Load() == 0 && !t.reads.ReadingSince().IsZero() { // not because of stdout
			t.unanswered.Store(true)
		}
	}
	return true
}
