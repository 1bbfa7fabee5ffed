package server_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"syscall"
	"testing"
	"time"

	"example.com/wsecho/ending"
	"example.com/wsecho/server"
	"example.com/wsecho/wstest"
)

// A narrow listener accepts connections with small kernel buffers.
type narrow struct{ net.Listener }

func (l narrow) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err == nil {
		err = c.(*net.TCPConn).SetWriteBuffer(narrowBuffer)
	}
	return c, err
}

const narrowBuffer = 128 << 10 // Linux doubles it

// slowLink reads a large echo slowly, for many write timeouts, and for longer than the
// heartbeat waits. The kernel accepts more data only after a third of its buffer is free.
// That wait also exceeds the write timeout. The peer sends nothing meanwhile, so its reads
// are its only sign of life.
func slowLink(t *testing.T, w way) {
	// A pause of the machine can exceed the timeout, so the test also tries longer ones.
	for timeout := 500 * time.Millisecond; ; timeout *= 2 {
		o := slowEcho(t, w, timeout)
		if o.Kind == ending.Normal {
			return
		}
		if timeout > 2*time.Second {
			t.Fatalf("with a write timeout of %v: got %v by %v, cause %v", timeout, o.Kind, o.By, o.Cause)
		}
		t.Logf("with a write timeout of %v: got %v, cause %v", timeout, o.Kind, o.Cause)
	}
}

func slowEcho(t *testing.T, w way, timeout time.Duration) server.Outcome {
	const third = 2 * narrowBuffer / 3
	const piece = 1400
	per := 2 * timeout * piece / third                         // a third in two timeouts
	size := 2*narrowBuffer + 16<<10 + int(3*timeout/per)*piece // plus the kernel buffers

	s := w.on(t, narrow{listen(t)}, echoes, server.Options{
		WriteTimeout: timeout, PingInterval: timeout / 2, PingTimeout: timeout / 4, MaxMissed: 1,
	})
	p, wire := s.tappedBy(t, net.Dialer{Control: likeALink}, wstest.DialOptions{Timeout: -1})
	payload := bytes.Repeat([]byte("slowly"), size/6)
	var slow bool
	var next time.Time
	wire.onRead = func(b []byte) (int, error) {
		if !slow {
			return wire.TCPConn.Read(b)
		}
		next = next.Add(per)
		time.Sleep(time.Until(next))
		return wire.TCPConn.Read(b[:min(len(b), piece)])
	}
	start := time.Now()
	var took time.Duration
	slow, next = true, start
	sent := make(chan error, 1)
	go func() { sent <- p.Send(wstest.BinaryFrame(payload)) }()
	e, err := p.Answer(context.Background(), wstest.AnswerOptions{Each: func(f wstest.Frame) {
		if f.Opcode != wstest.Binary {
			return
		}
		took = time.Since(start)
		if !bytes.Equal(f.Payload, payload) {
			t.Errorf("the echo is not what was sent: %d bytes, want %d", len(f.Payload), len(payload))
		}
		slow = false
		_ = p.Send(wstest.CloseFrame(1000, ""))
	}})
	<-sent
	_ = p.Close()
	got := s.end(t)
	if got.Kind != ending.Normal {
		return got
	}
	if err != nil || e.Code != 1000 || !e.FIN {
		t.Errorf("the peer got %v, %v, want code 1000 and FIN", e, err)
	}
	if took < 3*timeout {
		t.Errorf("the echo took %v, want more than three times the write timeout of %v", took, timeout)
	}
	return got
}

// likeALink gives a loopback socket the segment size of a link and a small buffer. The
// default segments of loopback have 64 KiB.
func likeALink(_, _ string, c syscall.RawConn) (err error) {
	controlErr := c.Control(func(fd uintptr) {
		err = errors.Join(
			syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_MAXSEG, 1400),
			syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4<<10),
		)
	})
	return errors.Join(controlErr, err)
}
