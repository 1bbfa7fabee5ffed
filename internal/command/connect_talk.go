package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"example.com/wsecho/ending"
	"example.com/wsecho/heartbeat"
	"example.com/wsecho/probe"
)

const (
	// maxPings bounds the pings of /ping that wait for their pongs.
	maxPings = 100
	// interruptedClose bounds the closing handshake after a signal.
	interruptedClose = time.Second
	// stopLimit bounds the end after a signal. It is longer than the closing handshake. It
	// matters only if the output accepts no more bytes.
	stopLimit = 3 * time.Second
)

// A talk is one run of wsecho connect.
type talk struct {
	f             *connectCommand
	address, name string
	options       probe.ConnOptions
	stdin         io.Reader
	view          *talkView
	terminal      *terminal // nil unless lines are edited
	conn          *probe.Conn
	reads         heartbeat.Reads // a print to stdout pauses the reader

	stop     chan stopRequest // the first request to close
	answered chan struct{}    // a message was received
	sent     atomic.Int64     // messages
	answers  atomic.Int64     // messages received after the first sent one
	received atomic.Int64     // messages
	pings    chan struct{}    // slots for pings that wait
	allPings sync.Mutex       // for waitPings
	lost     atomic.Int64     // pings without a pong

	unanswered atomic.Bool // no message had an answer within the wait
}

// A stopRequest is a request to close the connection.
type stopRequest struct {
	code   websocket.StatusCode
	reason string
	err    error // the error of the command; nil: that of the ending
}

// request asks for a close. Only the first request counts.
func (t *talk) request(c stopRequest) {
	select {
	case t.stop <- c:
	default:
	}
}

// printed asks for a close if a write to stdout has failed.
func (t *talk) printed(err error) {
	if err != nil {
		t.request(stopRequest{code: websocket.StatusNormalClosure, err: fmt.Errorf("stdout: %w", err)})
	}
}

// runBounded is run, but returns soon after the end of ctx even if the output is stuck.
func (t *talk) runBounded(ctx context.Context) error {
	defer restoreTerminal()
	result := make(chan error, 1)
	go func() {
		defer restoreOnPanic()
		result <- t.run(ctx)
	}()
	select {
	case err := <-result:
		return err
	case <-ctx.Done():
	}
	select {
	case err := <-result:
		return err
	case <-time.After(stopLimit):
		return errors.New("stopped before the end: stdout or stderr accepts no more bytes")
	}
}

// run connects, and talks until the connection ends. Only the goroutine that waits for
// stdin may be left.
func (t *talk) run(ctx context.Context) error {
	conn, report, err := probe.Dial(ctx, t.address, t.options)
	failure := (*probe.Error)(nil)
	switch {
	case errors.As(err, &failure):
		code := failure.Step.ExitCode()
		if errors.Is(failure, context.Canceled) {
			code = exitFailure
		}
		t.view.failed(report, failure, code)
		return exitError{error: certificateHint(fmt.Errorf("%s: %w", t.name, failure)), code: code}
	case err != nil:
		return flagError(err, connectFlagNames)
	}
	t.conn = conn
	if err := t.edit(); err != nil {
		t.end(stopRequest{code: websocket.StatusNormalClosure})
		return err
	}
	t.printed(t.view.opened(report))

	var members sync.WaitGroup
	start := func(f func()) {
		members.Go(func() {
			defer restoreOnPanic()
			f()
		})
	}
	start(t.read)
	verdict := make(chan error, 1)
	beating, stopBeating := context.WithCancel(context.Background())
	if t.options.Heartbeat != nil {
		start(func() {
			if err := t.options.Heartbeat.Run(beating, t.reads.Pinger(conn)); err != nil {
				verdict <- err
			}
		})
	}
	go func() { // not a member: a read of stdin may block for ever
		defer restoreOnPanic()
		t.input()
	}()

	var end probe.End
	var why error
	select {
	case <-conn.Done():
		end = conn.Ended(nil)
	case err := <-verdict:
		end = conn.Ended(err)
	case c := <-t.stop:
		end, why = t.close(ctx, c), c.err
	case <-ctx.Done():
		end = t.close(ctx, stopRequest{code: websocket.StatusNormalClosure})
	}
	stopBeating()
	members.Wait()
	t.waitPings()
	code := end.ExitCode(t.lost.Load() > 0 || t.unanswered.Load())
	if why != nil {
		code = exitCode(why)
	}
	t.view.ended(end, code, t.sent.Load(), t.received.Load())
	t.terminal.close()
	printed := false
	switch {
	case why != nil:
		return why
	case code == 0:
		return nil
	case code == exitLost && t.unanswered.Load() && end.Kind != ending.NoPong:
		err = errors.New("no message was answered")
	case code == exitLost && end.Kind != ending.NoPong:
		err = fmt.Errorf("pongs were lost: %d", t.lost.Load())
	default:
		err = errors.New("the connection ended: " + endText(end))
		printed = !t.f.Quiet && !t.f.JSON // by ended
	}
	return exitError{fmt.Errorf("%s: %w", t.name, err), code, printed}
}

// edit starts the editing of lines if stdin and stdout are terminals.
func (t *talk) edit() (err error) {
	in, ok := t.stdin.(*os.File)
	if !ok || !isTerminal(in) || !isTerminal(t.view.out) {
		return nil
	}
	if t.terminal, err = openTerminal(in, t.view.out.(*os.File)); err != nil {
		return fmt.Errorf("the terminal: %w", err)
	}
	t.view.out, t.view.notes, t.view.edited = t.terminal, t.terminal, true
	return nil
}

// end closes a connection that nothing reads yet.
func (t *talk) end(c stopRequest) {
	go t.read()
	t.close(context.Background(), c)
}

// close performs the closing handshake within the timeout. After the end of ctx it has a
// second.
func (t *talk) close(ctx context.Context, c stopRequest) probe.End {
	limited, cancel := context.WithTimeout(context.Background(), time.Duration(t.f.Timeout))
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(interruptedClose, cancel) })()
	return t.conn.Close(limited, c.code, c.reason)
}

// read prints the messages until the connection ends.
func (t *talk) read() {
	for {
		t.reads.Waiting(true)
		typ, p, err := t.conn.Read()
		t.reads.Waiting(false)
		if p != nil {
			t.received.Add(1)
			t.printed(t.view.message(typ, p))
			if t.sent.Load() > 0 {
				t.answers.Add(1)
				select {
				case t.answered <- struct{}{}:
				default:
				}
			}
		}
		if err != nil {
			return
		}
	}
}
