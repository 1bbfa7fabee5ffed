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

// A step is one thing that happens in a scenario. They happen in order.
type step func(*run) error

// A run is a scenario under way.
type run struct {
	peer *wstest.Peer
	link link // the side under test

	where *namespace // the network that they are in; nil: everybody's

	background chan func() // what acts in the meantime
}

// A link is a connection of the side under test, as far as that has a part in a
// scenario.
type link interface {
	write(text string)
	closeWith(code int) // sends a close frame; the read loop goes on
	closeNow()
	drain()      // sends 1001 for the whole server
	cancelRead() // ends the read, by its context where it has one
	beat()       // pings, where options do not
}

// play does the steps, and then waits for the error that the read loop of the
// side under test ended with. What acts in the meantime must be over then too.
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
	timeout := time.After(patience)
	select {
	case err = <-ended:
	case <-timeout:
		t.Error("the read loop has not ended")
	}
	r.peer.Close()
	select {
	case <-over:
	case <-timeout:
		t.Error("what the side under test does has not ended")
	}
	if skipped != "" {
		t.Skip("SKIPPED, not possible on this system:", skipped)
	}
	return err
}

// act begins something that the side under test does, while the peer goes on.
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

// tear sends the beginning of a TLS record: of its header of five bytes and of
// what that announces.
func tear(n int) step {
	return func(r *run) error {
		record := append([]byte{23, 3, 3, 1, 0}, make([]byte, 256)...)
		_, err := beneath(r.peer).Write(record[:n])
		return err
	}
}

// forge sends a TLS record that nobody with the keys has made.
func forge(r *run) error { return tear(5 + 256)(r) }

func beneath(p *wstest.Peer) interface{ Write([]byte) (int, error) } {
	return p.NetConn().(*tls.Conn).NetConn()
}

// corked makes what is sent from here on leave when the peer closes its socket.
func corked(r *run) error { return cork(r.peer.NetConn()) }

func fin(r *run) error         { return r.peer.FIN() }
func rst(r *run) error         { return r.peer.RST() }
func hangup(r *run) error      { return r.peer.Close() }
func closeNotify(r *run) error { return r.peer.CloseNotify() }
func cutTLS(r *run) error      { return r.peer.CutTLS() }

// hear reads one frame, whatever it is.
func hear(r *run) error {
	_, err := r.peer.Recv()
	return err
}

// hearClose reads to the close frame.
func hearClose(r *run) error {
	_, _, err := r.peer.Await(patience)
	return err
}

// hearEcho reads the message text.
func hearEcho(text string) step {
	return func(r *run) error {
		_, got, err := r.peer.RecvMessage()
		if err == nil && string(got) != text {
			err = fmt.Errorf("message %q, want %q", got, text)
		}
		return err
	}
}

// answer is a peer that does what it should until the stream ends; o says what
// it does not.
func answer(o wstest.AnswerOptions) step {
	return func(r *run) error {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		_, err := r.peer.Answer(ctx, o)
		return err
	}
}

// severed cuts the path between the two.
func severed(r *run) error { return r.where.cut() }

// pause is for what cannot be heard on the wire.
func pause(d time.Duration) step {
	return func(*run) error {
		time.Sleep(d)
		return nil
	}
}
