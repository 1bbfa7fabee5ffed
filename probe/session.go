package probe

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/coder/websocket"

	"example.com/wsecho/ending"
	"example.com/wsecho/heartbeat"
	"example.com/wsecho/internal/frame"
)

// A session is one connection of a Watch.
type session struct {
	w       *watcher
	p       *probing
	conn    *websocket.Conn
	monitor *heartbeat.Monitor
	reads   heartbeat.Reads // OnEvent pauses the reader
	prefix  string          // of the messages that this side sends
	opened  time.Time

	all  chan struct{}      // closed when Count pings were sent
	done chan struct{}      // closed when each of them is answered or overdue
	stop context.CancelFunc // the heartbeat

	mu       sync.Mutex
	pings    map[string]*waiting // by payload, which is coder's number
	echoes   map[string]*waiting
	numbers  int // of pings on this connection
	finished bool
}

// connect opens a connection. Its error is an event too.
func (w *watcher) connect(parent context.Context) (*session, *Error) {
	p, ctx, cancel, err := newProbing(parent, w.rawURL, w.o.Connect)
	if err != nil {
		panic(err) // Watch has checked the arguments
	}
	defer cancel()
	s := &session{
		w: w, p: p, prefix: "wsecho probe " + rand.Text() + " ",
		all: make(chan struct{}), done: make(chan struct{}),
		pings: map[string]*waiting{}, echoes: map[string]*waiting{},
	}
	var failure *Error
	if s.monitor, err = w.monitor(); err != nil {
		failure = &Error{Step: Connect, Err: err, what: Connect.failed(false)}
	} else {
		s.monitor.Use(&s.reads)
		s.conn, failure = p.establish(ctx, &websocket.DialOptions{OnPingReceived: s.monitor.OnPing, OnPongReceived: s.onPong})
	}
	if w.number == 1 {
		w.result.First = p.report
	}
	if failure != nil {
		w.emit(Event{Type: Failed, Report: &p.report, Err: failure}, func(r *Watched) {
			r.Failed++
			r.Err, r.End = failure, nil
		})
		return nil, failure
	}
	s.conn.SetReadLimit(-1) // a message is not kept
	s.opened = time.Now()
	w.emit(Event{Type: Opened, Report: &p.report}, func(r *Watched) { r.Opened++; r.Err = nil })
	return s, nil
}

// run pings the server until the end of the connection.
func (s *session) run(ctx context.Context) {
	var wg sync.WaitGroup
	var readErr error
	read := make(chan struct{})
	wg.Go(func() { readErr = s.read(); close(read) })
	beating, stop := context.WithCancel(context.Background())
	s.stop = stop
	verdict := make(chan error, 1)
	wg.Go(func() { verdict <- s.monitor.Run(beating, s.reads.Pinger(s)) })
	wg.Go(func() {
		select {
		case <-s.all: // no further ping
			stop()
		case <-beating.Done():
		}
	})

	closing := time.NewTimer(time.Duration(1<<63 - 1))
	defer closing.Stop()
	if end, ok := ctx.Deadline(); ok { // the closing handshake must fit, too
		closing.Reset(max(0, time.Until(end)-min(closeLimit, time.Until(end)/4)))
	}
	var end End
	over := false
	for !over {
		over = true
		select {
		case <-read:
			end = endOf(readErr)
			s.p.refuse(readErr)
		case err := <-verdict:
			if err == nil { // the read has the reason, or all pings were sent
				verdict, over = nil, false
				continue
			}
			end = End{Ending: ending.Of(err)}
			if end.Kind == ending.NoPong {
				s.expireMissed()
			}
			_ = s.conn.CloseNow()
			<-read
		case <-s.done:
			end = s.close(ctx, read, &readErr)
		case <-closing.C:
			end = s.close(ctx, read, &readErr)
		case <-ctx.Done():
			end = s.close(ctx, read, &readErr)
		}
	}
	stop()
	_ = s.conn.CloseNow()
	_ = s.p.conn.tcp.Close()
	wg.Wait()
	end.Age = time.Since(s.opened)
	s.abandon()
	s.w.emit(Event{Type: Ended, End: &end}, func(r *Watched) { r.End = &end })
}

// endOf returns the end for the error of a read, unless this side has closed.
func endOf(err error) End {
	end := End{Ending: ending.Of(err)}
	if end.Kind == ending.Closed {
		// coder has closed the connection, because a write was not finished in time. Its
		// error says only that the connection is closed.
		end.Ending = (&ending.Error{Kind: ending.WriteStalled, Reason: "a ping or a message could not be sent", Cause: os.ErrDeadlineExceeded}).Ending()
	}
	if code := websocket.CloseStatus(err); code != -1 {
		end.Received = int(code)
	}
	switch end.Kind {
	case ending.Protocol, ending.InvalidUTF8, ending.TooBig:
		end.Sent = int(end.Code)
	case ending.Normal, ending.GoingAway, ending.PeerCode: // coder has answered with the same code
		end.Sent = end.Received
	}
	return end
}

// refuse sends a close frame if this package, and not coder, refuses what the server has
// sent.
func (p *probing) refuse(readErr error) {
	own := (*ending.Error)(nil)
	if !errors.As(readErr, &own) || own.Kind != ending.Protocol && own.Kind != ending.InvalidUTF8 {
		return
	}
	_ = p.conn.tcp.SetWriteDeadline(time.Now().Add(closeLimit))
	_ = p.conn.write(frame.Close, binary.BigEndian.AppendUint16(nil, uint16(own.Kind.Code())))
}

// close performs the closing handshake. It takes a second at most, and no longer than ctx
// if ctx has a deadline.
func (s *session) close(ctx context.Context, read <-chan struct{}, readErr *error) End {
	limit := closeLimit
	if end, ok := ctx.Deadline(); ok {
		limit = max(min(limit, time.Until(end)), time.Millisecond)
	}
	limited, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	s.stop()
	end := closeConn(limited, s.conn, s.p.conn.tcp, websocket.StatusNormalClosure, "", read, readErr)
	_ = s.conn.CloseNow()
	<-read
	return end
}

// read reads until the connection ends, and returns the error.
func (s *session) read() error {
	s.reads.Waiting(true)
	buffer, rest := make([]byte, maxKept), make([]byte, maxKept)
	for {
		kind, r, err := s.conn.Reader(context.Background())
		if err != nil {
			return err
		}
		n, into := 0, buffer
		for text := (frame.TextCheck{}); err == nil; {
			var m int
			m, err = r.Read(into)
			if kind == websocket.MessageText && !(text.Next(into[:m]) && (err != io.EOF || text.Whole())) {
				return refusal(ending.InvalidUTF8, errBadText.Error())
			}
			if n < maxKept {
				n += m
			}
			if into = buffer[n:]; n == maxKept {
				into = rest
			}
		}
		if err != io.EOF { // ending.Stream has another error for the end of the stream
			return err
		}
		s.monitor.Received()
		s.onMessage(kind, string(buffer[:n]))
	}
}

// completed reports whether all pings of the Watch were sent.
func (s *session) completed() bool {
	select {
	case <-s.all:
		return true
	default:
		return false
	}
}

// Ping sends a ping, a message, or both. It waits for the pong, or for the echo if it
// sent no ping. It is for package heartbeat.
func (s *session) Ping(parent context.Context) error {
	w, mode := s.w, s.w.o.Echo
	s.mu.Lock() // OnEvent may have it for long
	if s.finished || parent.Err() != nil || w.o.Count > 0 && w.sent >= w.o.Count {
		s.mu.Unlock()
		return nil
	}
	w.sent++
	seq := w.sent
	now := time.Now()
	var ping, echo *waiting
	text := s.prefix + strconv.Itoa(seq)
	if mode != EchoOnly {
		s.numbers++
		ping = s.await(false, seq, now)
		s.pings[strconv.Itoa(s.numbers)] = ping
	}
	if mode != NoEcho {
		echo = s.await(true, seq, now)
		s.echoes[text] = echo
	}
	if seq == w.o.Count {
		close(s.all)
	}
	s.mu.Unlock()

	// coder closes the connection if the context ends during a write. A late ping has this
	// time to be written, too.
	ctx, cancel := context.WithCancel(context.WithoutCancel(parent))
	defer cancel()
	defer context.AfterFunc(parent, func() { time.AfterFunc(pingGrace, cancel) })()
	if echo != nil {
		limit, cancel := context.WithTimeout(ctx, w.o.Connect.Timeout)
		err := s.conn.Write(limit, websocket.MessageText, []byte(text))
		cancel()
		if err != nil {
			return err
		}
	}
	if ping != nil {
		return s.conn.Ping(ctx)
	}
	select {
	case <-echo.replied:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// onPong is for each pong. coder numbers its pings from 1, and the payload is the number.
func (s *session) onPong(ctx context.Context, payload []byte) {
	now := time.Now()
	s.monitor.OnPong(ctx, payload)
	s.reads.Waiting(false)
	defer s.reads.Waiting(true)
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.pings[string(payload)]; p != nil {
		delete(s.pings, string(payload))
		s.replied(p, false, now)
	}
}

// onMessage is for each message.
func (s *session) onMessage(kind websocket.MessageType, text string) {
	now := time.Now()
	s.reads.Waiting(false)
	defer s.reads.Waiting(true)
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.echoes[text]; p != nil && kind == websocket.MessageText {
		delete(s.echoes, text)
		s.replied(p, true, now)
		return
	}
	s.w.mu.Lock()
	s.w.result.Others++
	s.w.mu.Unlock()
}
