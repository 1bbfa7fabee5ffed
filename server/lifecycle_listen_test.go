package server_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"runtime/pprof"
	"strings"
	"sync"

	"example.com/wsecho/wstest"
)

// A recordingListener records the connections that it accepted.
type recordingListener struct {
	net.Listener
	l *life
}

func (k recordingListener) Accept() (net.Conn, error) {
	c, err := k.Listener.Accept()
	if err == nil {
		k.l.mu.Lock()
		k.l.sockets = append(k.l.sockets, c)
		k.l.mu.Unlock()
	}
	return c, err
}

// listen serves with Serve or under another http.Server. stop drains the server and
// returns when all its goroutines have ended.
func (l *life) listen() (url string, stop func() error, err error) {
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	var listener net.Listener = recordingListener{tcp, l}
	url = "ws://" + tcp.Addr().String() + "/"
	if l.plan.tls {
		config, _ := wstest.TLS()
		listener = tls.NewListener(listener, config)
		url = "wss" + url[len("ws"):]
	}
	var once sync.Once
	result := func() (err error) {
		if e := waitFor(l.drained, &err, "the end of the drain"); e != nil {
			return e
		}
		if l.plan.cuts() {
			err = nil // expected: it reports the drain timeout, which a busy machine may exceed
		}
		return err
	}
	if !l.plan.mux {
		ctx, cancel := context.WithCancel(context.Background())
		l.drain = cancel
		go func() { l.drained <- l.srv.Serve(ctx, listener) }()
		return url, func() error { cancel(); return result() }, nil
	}
	var requests sync.WaitGroup
	foreign := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		defer requests.Done()
		l.srv.ServeHTTP(w, r)
	})}
	serving := make(chan error, 1)
	go func() { serving <- foreign.Serve(listener) }()
	l.drain = func() {
		once.Do(func() { go func() { l.drained <- l.srv.Shutdown(context.Background()) }() })
	}
	return url, func() error {
		l.drain()
		err := result()
		requests.Wait()
		_ = foreign.Close()
		<-serving
		return err
	}, nil
}

// labelled returns the stacks of the goroutines with a run's label.
func labelled(label string) string {
	var all bytes.Buffer
	_ = pprof.Lookup("goroutine").WriteTo(&all, 1) // a bytes.Buffer never fails
	var left []string
	for stack := range strings.SplitSeq(all.String(), "\n\n") {
		if strings.Contains(stack, fmt.Sprintf("%q:%q", "lifecycle", label)) {
			left = append(left, stack)
		}
	}
	return strings.Join(left, "\n\n")
}
