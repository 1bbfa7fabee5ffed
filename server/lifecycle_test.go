package server_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"runtime/pprof"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"example.com/wsecho/echo"
	"example.com/wsecho/internal/testfull"
	"example.com/wsecho/server"
	"example.com/wsecho/wstest"
)

// TestLifecycle runs random lives of a connection: messages of the peer, its ending, and
// actions of the server. They use TCP and TLS, Serve and another http.Server. In every
// second run one event ends the connection, and the Outcome must be exactly that event's.
// In the others several events end it at about the same time. The Outcome must match one
// of them and the data that the raw peer received.
//
//	LIFECYCLE_RUNS=50000 go test -race -timeout 0 -run TestLifecycle ./server
//	LIFECYCLE_SEED=17 LIFECYCLE_RUNS=1 go test -run TestLifecycle ./server
func TestLifecycle(t *testing.T) {
	t.Parallel()
	seed, runs := uint64(time.Now().UnixNano()), uint64(testfull.N(100, 300))
	for name, value := range map[string]*uint64{"LIFECYCLE_SEED": &seed, "LIFECYCLE_RUNS": &runs} {
		if s := os.Getenv(name); s != "" {
			var err error
			if *value, err = strconv.ParseUint(s, 10, 64); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
	}
	t.Logf("LIFECYCLE_SEED=%d", seed)
	var mu sync.Mutex
	kinds := make(map[string]int)
	next := make(chan uint64)
	var workers sync.WaitGroup
	for range 12 {
		workers.Go(func() {
			for i := range next {
				o, p, bad := live(i)
				mu.Lock()
				kinds[o.Kind.String()]++
				mu.Unlock()
				for _, b := range bad {
					t.Errorf("LIFECYCLE_SEED=%d LIFECYCLE_RUNS=1: %v: %s", i, p, b)
				}
			}
		})
	}
	for i := seed; i < seed+runs && !t.Failed(); i++ {
		next <- i
	}
	close(next)
	workers.Wait()
	var all []string
	for _, k := range slices.Sorted(maps.Keys(kinds)) {
		all = append(all, fmt.Sprintf("%s %d", k, kinds[k]))
	}
	t.Logf("%d runs: %s", runs, strings.Join(all, ", "))
}

// A life is one run: a server, one connection, and its end.
type life struct {
	plan    *plan
	srv     *server.Server
	actor   *actor
	conn    *server.Conn
	drain   func()            // starts a drain; later calls do nothing
	drained chan error        // the result of Serve or Shutdown
	out     chan func() error // how the handler returns
	cancel  func()            // cancels the context of the handler's reads
	over    chan struct{}     // closed when the peer has read the end

	handlers sync.WaitGroup
	mu       sync.Mutex
	outcomes []server.Outcome
	sockets  []net.Conn // the accepted TCP connections, under TLS
	wrote    int        // the handler's own messages that Write accepted
}

// live runs the life of a seed. It returns the errors in bad.
func live(seed uint64) (o server.Outcome, p *plan, bad []string) {
	l := &life{
		out: make(chan func() error, 1), over: make(chan struct{}), drained: make(chan error, 1),
		plan: newPlan(seed),
	}
	p = l.plan
	label := strconv.FormatUint(seed, 10)
	var err error
	pprof.Do(context.Background(), pprof.Labels("lifecycle", label), func(context.Context) { err = l.play() })
	if err != nil {
		return o, p, []string{err.Error()}
	}
	// Goroutines inherit labels, so the label identifies the goroutines of this run.
	left := ""
	for start := time.Now(); time.Since(start) < soon; time.Sleep(5 * time.Millisecond) {
		if left = labelled(label); left == "" {
			break
		}
	}
	if left != "" {
		bad = append(bad, "goroutines are left: "+left)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.outcomes) != 1 {
		return o, p, []string{fmt.Sprintf("got %d outcomes, want 1", len(l.outcomes))}
	}
	o = l.outcomes[0]
	for _, s := range l.sockets {
		if err := s.SetDeadline(time.Time{}); !errors.Is(err, net.ErrClosed) {
			bad = append(bad, fmt.Sprintf("a socket is open: %v", err))
		}
	}
	for range l.srv.Connections() {
		bad = append(bad, "the connection is still listed")
	}
	bad = append(bad, l.judge(o)...)
	if bad != nil {
		bad = append(bad, fmt.Sprintf("outcome %+v; %v", o, l.actor))
	}
	return o, p, bad
}

// handler echoes, and returns when out has a value.
func (l *life) handler(conns chan<- *server.Conn) server.Handler {
	return func(ctx context.Context, c *server.Conn) error {
		l.handlers.Add(1)
		defer l.handlers.Done()
		if l.plan.direct {
			select {
			case conns <- c:
			default: // the connection was parked
			}
			return echo.Serve(ctx, c)
		}
		readCtx, cancel := context.WithCancel(ctx)
		l.cancel = cancel // not when the handler returns, because that would be another ending
		conns <- c
		reading := make(chan error, 1)
		l.handlers.Go(func() { reading <- echo.Serve(readCtx, c) })
		select {
		case err := <-reading:
			return err
		case how := <-l.out:
			return how()
		}
	}
}

// play runs the plan. An error means that the run has no verdict.
func (l *life) play() error {
	conns, ended := make(chan *server.Conn, 1), make(chan struct{}, 10)
	o := l.plan.opts
	o.OnEnd = func(end server.Outcome) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.outcomes = append(l.outcomes, end)
		ended <- struct{}{}
	}
	var err error
	if l.srv, err = server.New(l.handler(conns), o); err != nil {
		return err
	}
	if l.plan.cuts() {
		l.srv.SetDrainTimeout(l.plan.cutAfter)
	}
	url, stop, err := l.listen()
	if err != nil {
		return err
	}
	_, config := wstest.TLS()
	peer, err := wstest.Dial(url, wstest.DialOptions{TLS: config, RcvBuf: l.plan.rcvBuf, Timeout: soon})
	if err != nil {
		return errors.Join(err, stop())
	}
	defer func() { _ = peer.Close() }()
	l.actor = newActor(peer, l.plan)
	reader := make(chan struct{})
	go func() { defer close(reader); l.actor.read(l.over) }()
	if l.plan.parks {
		l.actor.send(wstest.Text, []byte("wake up"))
	}
	select {
	case l.conn = <-conns:
	case <-ended: // the connection ended before its handler began
		ended <- struct{}{}
	case <-time.After(soon):
		return errors.Join(fmt.Errorf("not within %v: a connection", soon), stop())
	}
	script := make(chan struct{})
	go func() { defer close(script); l.perform() }()

	var none struct{}
	err = waitFor(ended, &none, "an Outcome")
	close(l.over)
	if e := waitFor(reader, &none, "the peer's end"); e != nil {
		err = errors.Join(err, e)
	}
	_ = peer.Close()
	if e := waitFor(script, &none, "the end of the actions"); e != nil {
		err = errors.Join(err, e)
	}
	err = errors.Join(err, stop())
	if l.cancel != nil {
		l.cancel()
	}
	l.handlers.Wait()
	return err
}

// waitFor returns the next value, or fails after a time.
func waitFor[T any](from <-chan T, to *T, what string) error {
	select {
	case *to = <-from:
		return nil
	case <-time.After(soon):
		return fmt.Errorf("not within %v: %s", soon, what)
	}
}

// perform runs the plan's actions.
func (l *life) perform() {
	p, a := l.plan, l.actor
	if p.alone {
		for _, s := range p.steps {
			s.do(a)
		}
		if p.await {
			a.await()
		}
		if p.last != nil {
			p.last.do(a)
		}
		for _, d := range p.actions {
			l.act(d)
		}
		return
	}
	var all sync.WaitGroup
	if p.await {
		a.send(wstest.Text, []byte("hello"))
		a.await()
	}
	all.Go(func() {
		for _, s := range p.steps {
			time.Sleep(s.after)
			s.do(a)
		}
		if p.last != nil {
			time.Sleep(p.last.after)
			p.last.do(a)
		}
	})
	for _, d := range p.actions {
		all.Go(func() {
			time.Sleep(d.after)
			l.act(d)
		})
	}
	all.Wait()
}

// act runs a action if the connection exists.
func (l *life) act(d action) {
	if l.conn != nil {
		d.do(l)
	}
}

// finishHandler makes the handler return, unless it already does.
func (l *life) finishHandler(how func() error) {
	select {
	case l.out <- how:
	default:
	}
}

// write sends one of the handler's own messages.
func (l *life) write(r *rand.Rand) {
	p := append([]byte(ours), make([]byte, r.IntN(1000))...)
	if l.conn.Write(context.Background(), websocket.MessageBinary, p) == nil {
		l.mu.Lock()
		l.wrote++
		l.mu.Unlock()
	}
}
