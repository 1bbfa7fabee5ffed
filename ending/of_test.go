package ending_test

import (
	"compress/flate"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/coder/websocket"

	"example.com/wsecho/ending"
)

// wrapped returns err as a read returns it, in several layers.
func wrapped(err error) error {
	return fmt.Errorf("failed to get reader: %w", fmt.Errorf("failed to read frame header: %w", err))
}

func system(err syscall.Errno) error {
	return &net.OpError{Op: "read", Net: "tcp", Err: os.NewSyscallError("read", err)}
}

func TestOf(t *testing.T) {
	cause := errors.New("cause")
	for _, test := range []struct {
		name string
		err  error
		kind ending.Kind
		code websocket.StatusCode
		by   ending.Side
		gone bool
	}{
		{"nil", nil, ending.Open, 0, ending.NoSide, false},
		{"1000", websocket.CloseError{Code: 1000}, ending.Normal, 1000, ending.Peer, false},
		{"no code", websocket.CloseError{Code: 1005}, ending.Normal, 1005, ending.Peer, false},
		{"1001", websocket.CloseError{Code: 1001}, ending.GoingAway, 1001, ending.Peer, true},
		{"1011", websocket.CloseError{Code: 1011}, ending.PeerCode, 1011, ending.Peer, false},
		{"4999", websocket.CloseError{Code: 4999}, ending.PeerCode, 4999, ending.Peer, false},
		{"EOF", io.EOF, ending.Abnormal, 0, ending.Peer, true},
		{"unexpected EOF", io.ErrUnexpectedEOF, ending.Abnormal, 0, ending.Peer, true},
		{"EOF of the stream", ending.Stream(io.EOF), ending.Abnormal, 0, ending.Peer, true},
		{"TLS cut inside a record", ending.Stream(io.ErrUnexpectedEOF), ending.Truncated, 0, ending.Network, false},
		{"forged record", &net.OpError{Op: "local error", Err: errors.New("tls: bad record MAC")}, ending.BadTLS, 0, ending.Network, false},
		{"no record of TLS", tls.RecordHeaderError{Msg: "received record with version 4854"}, ending.BadTLS, 0, ending.Network, false},
		{"not of TLS", errors.New("of tls: nothing"), ending.Unknown, 0, ending.NoSide, false},
		{"reset", system(syscall.ECONNRESET), ending.Reset, 0, ending.Peer, false},
		{"broken pipe", system(syscall.EPIPE), ending.Reset, 0, ending.Peer, false},
		{"timed out", system(syscall.ETIMEDOUT), ending.Lost, 0, ending.Network, false},
		{"no route", system(syscall.EHOSTUNREACH), ending.Lost, 0, ending.Network, false},
		{"aborted", system(syscall.ECONNABORTED), ending.Reset, 0, ending.Peer, false},
		{"network down", system(syscall.ENETDOWN), ending.Lost, 0, ending.Network, false},
		{"no network", system(syscall.ENETUNREACH), ending.Lost, 0, ending.Network, false},
		{"WSAENETDOWN", system(10050), ending.Lost, 0, ending.Network, false},
		{"WSAENETUNREACH", system(10051), ending.Lost, 0, ending.Network, false},
		{"WSAENETRESET", system(10052), ending.Lost, 0, ending.Network, false},
		{"WSAECONNABORTED", system(10053), ending.Reset, 0, ending.Peer, false},
		{"WSAECONNRESET", system(10054), ending.Reset, 0, ending.Peer, false},
		{"WSAETIMEDOUT", system(10060), ending.Lost, 0, ending.Network, false},
		{"WSAEHOSTDOWN", system(10064), ending.Lost, 0, ending.Network, false},
		{"WSAEHOSTUNREACH", system(10065), ending.Lost, 0, ending.Network, false},
		{"cancelled", context.Canceled, ending.Closed, 0, ending.Local, false},
		{"context's deadline", context.DeadlineExceeded, ending.Closed, 0, ending.Local, false},
		{"socket's deadline", os.ErrDeadlineExceeded, ending.Closed, 0, ending.Local, false},
		{"closed", net.ErrClosed, ending.Closed, 0, ending.Local, false},
		{"closed pipe", io.ErrClosedPipe, ending.Closed, 0, ending.Local, false},
		{"read limit", websocket.ErrMessageTooBig, ending.TooBig, 1009, ending.Local, false},
		{"corrupt deflate data", flate.CorruptInputError(7), ending.Protocol, 1002, ending.Local, false},
		{"violation in coder's words", errors.New("received unknown opcode opcode(11)"), ending.Protocol, 1002, ending.Local, false},
		{"no pong", &ending.Error{Kind: ending.NoPong}, ending.NoPong, 1001, ending.Local, false},
		{"own code", &ending.Error{Kind: ending.Done, Code: 4000}, ending.Done, 4000, ending.Local, false},
		{"known before its cause", &ending.Error{Kind: ending.WriteStalled, Cause: io.EOF}, ending.WriteStalled, 0, ending.Local, false},
		{"no name", cause, ending.Unknown, 0, ending.NoSide, false},
	} {
		for _, err := range []error{test.err, wrapped(test.err)} {
			if test.err == nil {
				err = nil
			}
			end := ending.Of(err)
			if end.Kind != test.kind || end.Code != test.code || end.By != test.by {
				t.Errorf("%s: Of(%v) = %v by %v, code %d, want %v by %v, code %d",
					test.name, err, end.Kind, end.By, end.Code, test.kind, test.by, test.code)
			}
			if got := ending.Gone(err); got != test.gone {
				t.Errorf("%s: Gone(%v) = %v, want %v", test.name, err, got, test.gone)
			}
		}
	}
}

func TestIsReset(t *testing.T) {
	for _, err := range []syscall.Errno{syscall.ECONNRESET, syscall.ECONNABORTED, 10053, 10054} {
		if !ending.IsReset(wrapped(system(err))) {
			t.Errorf("%d: got false", err)
		}
	}
	for _, err := range []error{nil, io.EOF, system(syscall.EPIPE), system(syscall.ETIMEDOUT), system(10060)} {
		if ending.IsReset(err) {
			t.Errorf("%v: got true", err)
		}
	}
}

// coder must not treat the error of the stream as the end of a message.
func TestStream(t *testing.T) {
	for _, err := range []error{io.EOF, io.ErrUnexpectedEOF, wrapped(io.EOF)} {
		got := ending.Stream(err)
		if errors.Is(got, io.EOF) || errors.Is(got, io.ErrUnexpectedEOF) {
			t.Errorf("Stream(%v) = %v, which is still an EOF", err, got)
		}
	}
	for _, err := range []error{nil, syscall.ECONNRESET, net.ErrClosed} {
		if got := ending.Stream(err); got != err {
			t.Errorf("Stream(%v) = %v, want it unchanged", err, got)
		}
	}
}

func TestKinds(t *testing.T) {
	names := map[string]bool{}
	for _, k := range ending.Kinds() {
		name := k.String()
		if name == "" || names[name] || strings.ToLower(name) != name || strings.HasPrefix(name, "kind ") {
			t.Errorf("kind %d is called %q", k, name)
		}
		names[name] = true
		if k.Code() != 0 && k.By() != ending.Local {
			t.Errorf("%v has code %d to send, and is begun by %v", k, k.Code(), k.By())
		}
		if k.Abnormal() && k.By() == ending.NoSide {
			t.Errorf("%v is abnormal and has no side", k)
		}
	}
	if ending.Open.String() != "open" || names["open"] {
		t.Error("Open is no ending, and is called open")
	}
	if got := ending.Kind(200); got.String() != "kind 200" || got.Code() != 0 || got.By() != ending.NoSide {
		t.Errorf("a kind that is none: %v, %d, %v", got, got.Code(), got.By())
	}
}

func TestError(t *testing.T) {
	cause := errors.New("the cause")
	err := &ending.Error{Kind: ending.TooSlow, Reason: "why", Cause: cause}
	if got, want := err.Error(), "too slow: why: the cause"; got != want {
		t.Errorf("Error() = %q, want %q", got, want)
	}
	if !errors.Is(err, cause) || !err.Timeout() {
		t.Errorf("is the cause: %v, a timeout: %v, want both", errors.Is(err, cause), err.Timeout())
	}
	if (&ending.Error{Kind: ending.Protocol}).Timeout() {
		t.Error("a protocol violation is a timeout")
	}
}

// FuzzOf checks that Of returns a documented kind for any error. The kind agrees with
// Gone, and the fields agree with the kind.
func FuzzOf(f *testing.F) {
	f.Add("received unknown opcode", uint16(1000), uint8(0))
	f.Add("connection reset by peer", uint16(1005), uint8(3))
	f.Add("", uint16(65535), uint8(255))
	f.Fuzz(func(t *testing.T, text string, code uint16, which uint8) {
		var err error
		switch which % 6 {
		case 0:
			err = errors.New(text)
		case 1:
			err = websocket.CloseError{Code: websocket.StatusCode(code), Reason: text}
		case 2:
			err = system(syscall.Errno(code))
		case 3:
			err = &ending.Error{Kind: ending.Kind(code), Reason: text}
		case 4:
			err = ending.Stream(fmt.Errorf("%s: %w", text, io.EOF))
		case 5:
			err = errors.Join(errors.New(text), syscall.Errno(code))
		}
		for range which / 64 {
			err = fmt.Errorf("%s: %w", text, err)
		}
		end := ending.Of(err)
		if which%6 != 3 && (end.Kind == ending.Open || end.Kind > ending.Unknown) {
			t.Errorf("Of(%v) has the undocumented kind %v", err, end.Kind)
		}
		if gone := end.Kind == ending.GoingAway || end.Kind == ending.Abnormal; ending.Gone(err) != gone {
			t.Errorf("Gone(%v) = %v for kind %v", err, !gone, end.Kind)
		}
		if which%6 == 1 {
			if end.By != ending.Peer || end.Code != websocket.StatusCode(code) || end.Reason != text {
				t.Errorf("Of(%v) = %+v, want the peer's code and reason", err, end)
			}
		}
		_ = end.Kind.String()
	})
}
