package soak

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"example.com/wsecho/internal/number"
	"example.com/wsecho/wstest"
)

// A Load runs a fixed number of visits at once, with random behaviours.
type Load struct {
	gate  sync.RWMutex // each visit has a read lock
	all   sync.WaitGroup
	total weights

	connections, messages, bytes atomic.Int64

	mu      sync.Mutex
	latency *hdrhistogram.Histogram // of single small messages, in nanoseconds
}

// weights is the sum of the weights of all behaviours.
type weights int

// choose returns a random behaviour, by weight.
func (w weights) choose(r *rand.Rand) behaviour {
	n := r.IntN(int(w))
	for _, b := range behaviours {
		if n -= b.weight; n < 0 {
			return b
		}
	}
	panic("unreachable")
}

// NewLoad runs conns visits at once to each server until ctx ends. The seed chooses their
// behaviours, but not the order of events. With compression some visits offer
// permessage-deflate.
func NewLoad(ctx context.Context, servers []*Server, conns int, seed uint64, compression bool) *Load {
	l := &Load{latency: hdrhistogram.New(1000, int64(2*time.Minute), 3)}
	for _, b := range behaviours {
		l.total += weights(b.weight)
	}
	for i, s := range servers {
		for n := range conns {
			l.all.Go(func() {
				r := rand.New(rand.NewPCG(seed, uint64(i*conns+n)))
				for ctx.Err() == nil {
					l.gate.RLock()
					if ctx.Err() == nil {
						l.visit(s, l.total.choose(r), r, 1+n%250, compression && r.IntN(2) == 0)
					}
					l.gate.RUnlock()
				}
			})
		}
	}
	return l
}

// visit runs one connection, from the dial to its end.
func (l *Load) visit(s *Server, b behaviour, r *rand.Rand, from int, compression bool) {
	v := &visit{r: r, load: l}
	compression = compression && b.deflate
	complain := func(err error) {
		s.Complain("%s, %s (compression %v): %v", s.Name, b.name, v.codec != nil, err)
	}
	if err := v.dial(s.URL(), b.rcvBuf, from, compression); err != nil {
		complain(err)
		return
	}
	defer v.p.Close()
	settle := s.Open(v.p.NetConn().LocalAddr().String())
	l.connections.Add(1)
	w, err := b.do(v)
	if err != nil {
		complain(err)
		// The Ledger then also reports the Outcome, which shows the server's view.
		w = Want{Kind: "the kind of the peer's behaviour", Code: Any, Sent: Any, Received: Any, MessagesIn: Any, MessagesOut: Any, BytesIn: Any, BytesOut: Any}
	}
	w.What = s.Name + ", " + b.name
	l.messages.Add(v.echoed)
	l.bytes.Add(v.echoedBytes)
	settle(w)
}

// dial opens the connection.
func (v *visit) dial(url string, rcvBuf, from int, compression bool) error {
	socket, dial := socketFrom(from, rcvBuf)
	o := wstest.DialOptions{Dial: dial, Timeout: stepTimeout}
	_, o.TLS = TLS()
	if compression {
		o.Extensions = offer
	}
	var err error
	if v.p, err = wstest.Dial(url, o); err != nil {
		return err
	}
	v.slow = &socket.slow
	chosen := v.p.Response.Header.Values("Sec-WebSocket-Extensions")
	if v.codec, err = negotiated(chosen); err != nil || compression != (v.codec != nil) {
		v.p.Close()
		return fmt.Errorf("the server chose the extensions %q (compression offered: %v): %w", chosen, compression, err)
	}
	return nil
}

func (l *Load) record(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	_ = l.latency.RecordValue(int64(d)) // fails only for a time over two minutes
}

// Pause waits until all visits have ended. No visit starts before Resume.
func (l *Load) Pause() { l.gate.Lock() }

// Resume ends a Pause.
func (l *Load) Resume() { l.gate.Unlock() }

// Wait returns when the context and the last visit have ended.
func (l *Load) Wait() { l.all.Wait() }

// String returns a line with the counts since the start, and the quantiles since the last
// call.
func (l *Load) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	quantile := func(q float64) string { return number.Duration(float64(l.latency.ValueAtQuantile(q))) }
	s := fmt.Sprintf("%s connections, %s messages, %d MiB echoed, p50 %s, p99 %s",
		number.Count(l.connections.Load()), number.Count(l.messages.Load()), l.bytes.Load()>>20, quantile(50), quantile(99))
	l.latency.Reset()
	return s
}

// Drain connects n peers, and stops the server while they are idle. Each must receive 1001.
func (l *Load) Drain(s *Server, n int) {
	var ready, all sync.WaitGroup
	ready.Add(n)
	for i := range n {
		all.Go(func() {
			v := &visit{r: rand.New(rand.NewPCG(uint64(i), 0)), load: l}
			err := v.dial(s.URL(), 0, 1+i%250, false)
			if err != nil {
				ready.Done()
				s.Complain("%s, drained: %v", s.Name, err)
				return
			}
			defer v.p.Close()
			settle := s.Open(v.p.NetConn().LocalAddr().String())
			err = v.exchangeSome()
			ready.Done()
			if err == nil {
				e, endErr := v.p.Answer(context.Background(), wstest.AnswerOptions{})
				if err = endErr; err == nil && (e.Code != 1001 || !e.FIN) {
					err = fmt.Errorf("the end is %v", e)
				}
			}
			if err != nil {
				s.Complain("%s, drained: %v", s.Name, err)
			}
			w := v.want("drained", "local")
			w.What, w.Code, w.Sent, w.Received = s.Name+", drained", 1001, 1001, 1001
			settle(w)
		})
	}
	ready.Wait()
	s.Stop(time.Minute)
	all.Wait()
	s.Balance(0)
}

// kindsOf returns a line with the count of each kind of Outcome, in descending order.
func kindsOf(servers []*Server) string {
	sum := make(map[string]int)
	for _, s := range servers {
		for k, n := range s.Kinds() {
			sum[k] += n
		}
	}
	var all []string
	for len(sum) > 0 {
		best := ""
		for k, n := range sum {
			if best == "" || n > sum[best] || n == sum[best] && k < best {
				best = k
			}
		}
		all = append(all, fmt.Sprintf("%s %d", best, sum[best]))
		delete(sum, best)
	}
	return strings.Join(all, ", ")
}
