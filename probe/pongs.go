package probe

import (
	"context"
	"crypto/rand"
	"fmt"

	"example.com/wsecho/internal/frame"
)

// A PongSource tells which program answers pings.
type PongSource int

const (
	// PongsUnknown means that the test cannot tell.
	PongsUnknown PongSource = iota
	// PongsByServer means that the program that echoes messages also answers pings.
	PongsByServer
	// PongsAhead means that a pong came before the echo of an earlier message. Something in
	// between answers pings, or the server answers them before it echoes messages.
	PongsAhead
)

// String returns "unknown", "server" or "ahead".
func (s PongSource) String() string {
	switch s {
	case PongsByServer:
		return "server"
	case PongsAhead:
		return "ahead"
	}
	return "unknown"
}

// pairs is the number of messages and pings of Pongs.
const pairs = 8

// Pongs finds the program that answers the pings of a connection. It is the program that
// echoes the messages, or one in between, such as a proxy. A proxy that answers pings
// keeps a connection alive whose server is dead.
//
// It sends eight messages, each with a ping behind it, in one write. A server that handles
// frames in their order, as package server does, sends each pong between two echoes. A
// proxy that answers pings by itself does not wait for the echoes. So the exact order
// proves that the pongs are by the server, unless a proxy delays each pong on purpose. The
// opposite is not certain, because a server may answer pings first.
//
// The sentence is the reason, for people. The error is that of [Run], up to the handshake.
// The options are those of Run; Ping has no effect.
func Pongs(ctx context.Context, rawURL string, o Options) (source PongSource, why string, err error) {
	p, ctx, cancel, err := newProbing(ctx, rawURL, o)
	if err != nil {
		return PongsUnknown, "", err
	}
	defer cancel()
	err = p.run(ctx, stepFunc{Connect, p.connect}, stepFunc{TLS, p.secure}, stepFunc{Handshake, p.handshake})
	if err != nil {
		p.teardown(ctx, false)
		return PongsUnknown, "", err
	}
	source, why = p.pongs(ctx)
	p.teardown(ctx, false)
	return source, why, nil
}

// pongs sends the messages and pings, and evaluates the order of the replies.
func (p *probing) pongs(ctx context.Context) (PongSource, string) {
	prefix := "wsecho probe " + rand.Text() + " "
	var out []byte
	number := map[string]int{} // by payload, from 0
	for n := range pairs {
		payload := fmt.Sprint(prefix, n)
		number[payload] = n
		for _, opcode := range []byte{frame.Text, frame.Ping} {
			var key [4]byte
			rand.Read(key[:])
			out = frame.AppendMasked(out, frame.Fin|opcode, key, []byte(payload))
		}
	}
	if _, err := p.conn.Write(out); err != nil {
		return PongsUnknown, "the pings could not be sent"
	}
	p.conn.budget = &budget{frames: maxFrames, bytes: maxBytes}
	echoes, pongs := 0, 0
	ahead := ""
	for echoes < pairs || pongs < pairs {
		m, err := p.conn.next()
		if err == nil && m.opcode == frame.Close {
			err = faultf("it closed the connection")
		}
		if err != nil {
			return unknownPongs(echoes, pongs, p.failure(ctx, Echo, err).Err)
		}
		n, known := number[string(m.bytes)]
		switch {
		case !known:
		case m.opcode == frame.Text && n == echoes:
			echoes++
			if pongs < echoes-1 && ahead == "" {
				return PongsUnknown, fmt.Sprintf("echo %d came before pong %d", n+1, pongs+1)
			}
		case m.opcode == frame.Pong && n == pongs:
			pongs++
			if echoes < pongs && ahead == "" {
				ahead = fmt.Sprintf("pong %d came before echo %d: something in between answers pings, or the server answers them before it echoes messages", n+1, echoes+1)
			}
		case m.opcode == frame.Pong || m.opcode == frame.Text:
			return PongsUnknown, "the replies came in another order than the requests"
		}
	}
	if ahead != "" {
		return PongsAhead, ahead
	}
	return PongsByServer, "each pong came between the echoes of the messages around its ping"
}

// unknownPongs returns the result of a connection that did not answer everything.
func unknownPongs(echoes, pongs int, err error) (PongSource, string) {
	if pongs == pairs && echoes == 0 {
		return PongsUnknown, "pings were answered and no message was echoed; only a server that echoes can be told from something in between"
	}
	return PongsUnknown, fmt.Sprintf("%d of %d pongs and %d of %d echoes came: %v", pongs, pairs, echoes, pairs, err)
}
