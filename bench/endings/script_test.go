package endings

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"testing"
	"time"

	"example.com/wsecho/wstest"
)

// A step is one action of a scenario. The steps run in order.
type step func(*run) error

// A run is a scenario that is running.
type run struct {
	peer *wstest.Peer
	link link // the side under test

	where *namespace // the network namespace of both sides; nil: the namespace of the test

	background chan func() // actions of the side under test
}

// A link contains the actions of the side under test on its connection.
type link interface {
	write(text string)
	closeWith(code int) // sends a close frame; the read loop continues
	closeNow()
	drain()      // shuts the server down; its close frame has 1001
	cancelRead() // ends the read, by its context or a deadline
	beat()       // sends pings, if no option does
}

// play runs the steps, and then returns the error that ended the read loop of the side
// under test. It also waits for the actions in the background.
func play(t *testing.T, r *run, steps []step, ended <-chan error) error {
	t.Helper()
	r.background = make(chan func())
	over := make(chan struct{})
	go func() {
		defer close(over)
		for f := range r.background {
			f()
		}
	}()
	skipped := ""
	for i, step := range steps {
		switch err := step(r); {
		case errors.Is(err, errors.ErrUnsupported):
			skipped = fmt.Sprintf("step %d: %v", i, err)
		case err != nil:
			t.Errorf("step %d: %v", i, err)
		}
	}
	close(r.background)
	var err error
	timeout := time.After(stepTimeout)
	select {
	case err = <-ended:
	case <-timeout:
		t.Error("the read loop has not ended")
	}
	r.peer.Close()
	select {
	case <-over:
	case <-timeout:
		t.Error("an action of the side under test has not ended")
	}
	if skipped != "" {
		t.Skip("SKIPPED, not possible on this system:", skipped)
	}
	return err
}

// act starts an action of the side under test. The peer does not wait for it.
func act(f func(link)) step {
	return func(r *run) error {
		r.background <- func() { f(r.link) }
		return nil
	}
}

// send sends frames.
func send(frames ...wstest.Frame) step {
	return func(r *run) error { return r.peer.Send(frames...) }
}

// raw sends bytes.
func raw(b []byte) step {
	return func(r *run) error { return r.peer.SendRaw(b) }
}

// part sends the first n bytes of a frame.
func part(f wstest.Frame, n int) step {
	return func(r *run) error {
		if !r.peer.NoMask {
			f = f.WithKey(key)
		}
		return r.peer.SendRaw(f.Append(nil)[:n])
	}
}

var key = [4]byte{0xa1, 0xb2, 0xc3, 0xd4}

// partOfRecord sends the first n bytes of a TLS record. Its header has five bytes.
func partOfRecord(n int) step {
	return func(r *run) error {
		record := append([]byte{23, 3, 3, 1, 0}, make([]byte, 256)...)
		_, err := tcpConn(r.peer).Write(record[:n])
		return err
	}
}

// forgedRecord sends a whole TLS record that was not encrypted with the keys.
func forgedRecord(r *run) error { return partOfRecord(5 + 256)(r) }

// tcpConn returns the connection under TLS.
func tcpConn(p *wstest.Peer) interface{ Write([]byte) (int, error) } {
	return p.NetConn().(*tls.Conn).NetConn()
}

// corked holds back all bytes that the peer writes until it closes its socket.
func corked(r *run) error { return cork(r.peer.NetConn()) }

func fin(r *run) error         { return r.peer.FIN() }
func rst(r *run) error         { return r.peer.RST() }
func closeTCP(r *run) error    { return r.peer.Close() }
func closeNotify(r *run) error { return r.peer.CloseNotify() }
func cutTLS(r *run) error      { return r.peer.CutTLS() }

// receive reads one frame of any kind.
func receive(r *run) error {
	_, err := r.peer.Recv()
	return err
}

// receiveClose reads until the close frame.
func receiveClose(r *run) error {
	_, _, err := r.peer.Await(stepTimeout)
	return err
}

// receiveEcho reads a message, which must be text.
func receiveEcho(text string) step {
	return func(r *run) error {
		_, got, err := r.peer.RecvMessage()
		if err == nil && string(got) != text {
			err = fmt.Errorf("message %q, want %q", got, text)
		}
		return err
	}
}

// answer answers pings and close frames until the stream ends, except as o says.
func answer(o wstest.AnswerOptions) step {
	return func(r *run) error {
		ctx, cancel := context.WithTimeout(context.Background(), stepTimeout)
		defer cancel()
		_, err := r.peer.Answer(ctx, o)
		return err
	}
}

// cutPath cuts the network path between the peer and the side under test.
func cutPath(r *run) error { return r.where.cut() }

// pause waits for an event that sends nothing to the peer.
func pause(d time.Duration) step {
	return func(*run) error {
		time.Sleep(d)
		return nil
	}
}
