package probe

import (
	"context"
	"net/http/httptrace"
	"sync"
	"time"
)

// phases are the parts of the step Connect. A dialer may try several addresses at once,
// and may call its hooks after it has returned.
type phases struct {
	mu       sync.Mutex
	lookup   time.Time
	started  map[string]time.Time // by address
	dns, tcp time.Duration
}

// trace returns a context for a dialer.
func (p *phases) trace(ctx context.Context) context.Context {
	p.started = map[string]time.Time{}
	locked := func(f func()) {
		p.mu.Lock()
		defer p.mu.Unlock()
		f()
	}
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		DNSStart:     func(httptrace.DNSStartInfo) { locked(func() { p.lookup = time.Now() }) },
		DNSDone:      func(httptrace.DNSDoneInfo) { locked(func() { p.dns = time.Since(p.lookup) }) },
		ConnectStart: func(_, address string) { locked(func() { p.started[address] = time.Now() }) },
		ConnectDone: func(_, address string, err error) {
			locked(func() {
				if err == nil && p.tcp == 0 {
					p.tcp = time.Since(p.started[address])
				}
			})
		},
	})
}

func (p *phases) result() (dns, tcp time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.dns, p.tcp
}
