package browser

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/audits"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"example.com/wsecho/internal/testfull"
)

// A tab shows one page and has cookies and storage of its own. The test fails if the page
// has reported an error or has sent a request elsewhere.
type tab struct {
	t   *testing.T
	ctx context.Context

	mu       sync.Mutex
	problems []string
	requests []string // URLs
	allowed  []*regexp.Regexp
}

// newTab opens an empty tab.
func newTab(t *testing.T) *tab {
	t.Helper()
	browser, err := startBrowser()
	if errors.Is(err, errNoBrowser) {
		testfull.Missing(t, "%v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	p := &tab{t: t}
	ctx, cancel := chromedp.NewContext(browser, chromedp.WithNewBrowserContext(), chromedp.WithListener(p.listen))
	p.ctx = ctx
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the page shows:\n%s", eval[string](p, `[...document.querySelectorAll("header, #watch, #talk, #see")].map(e => e.innerText.replace(/\n+/g, " | ").slice(0, 3000)).join("\n")`))
		}
		cancel()
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, s := range p.problems {
			t.Errorf("the page reported: %s", s)
		}
	})
	if err := chromedp.Do(ctx); err != nil {
		t.Fatal(err)
	}
	call(p, audits.Enable, cdp.Empty{})
	return p
}

// open opens a page of the server in a new tab, and waits until the page is ready.
func open(t *testing.T, s *server, options ...func(*tab)) *tab {
	t.Helper()
	p := newTab(t)
	for _, option := range options {
		option(p)
	}
	p.navigate(s.url())
	p.ready()
	return p
}

// ready waits until the page has loaded its data.
func (p *tab) ready() {
	p.t.Helper()
	wait(p.t, "the page to be ready", func() error {
		if !eval[bool](p, `document.documentElement.dataset.ready === "true"`) {
			return errors.New("it is not")
		}
		return nil
	})
}

func (p *tab) navigate(url string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, waitLimit)
	defer cancel()
	if err := chromedp.Do(ctx, chromedp.Navigate(url)); err != nil {
		p.t.Fatalf("%s: %v", url, err)
	}
}

// allow lets the page report a problem that the expression describes. The browser itself
// reports each WebSocket that fails; no page can prevent that.
func (p *tab) allow(expr string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.allowed = append(p.allowed, regexp.MustCompile(expr))
}

// listen records what the page requests, and its errors.
func (p *tab) listen(event any) {
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		p.problem("exception: %s %s", e.ExceptionDetails.Text, describe(e.ExceptionDetails.Exception))
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeWarning || e.Type == runtime.ConsoleAPICalledTypeAssert {
			p.problem("console.%s: %s", e.Type, describe(e.Args...))
		}
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError || e.Entry.Level == log.EntryLevelWarning {
			p.problem("%s %s: %s %s", e.Entry.Source, e.Entry.Level, e.Entry.Text, e.Entry.URL)
		}
	case *audits.EventIssueAdded: // violations of the Content-Security-Policy, missing labels
		details := "no details"
		if e.Issue.Details != nil {
			details = fmt.Sprintf("%+v", *e.Issue.Details)
		}
		p.problem("issue %s: %s", e.Issue.Code, details)
	case *network.EventRequestWillBeSent:
		p.request(e.Request.URL)
	case *network.EventWebSocketCreated:
		p.request(e.URL)
	case *network.EventResponseReceived:
		if e.Response.Status >= 400 {
			p.problem("status %d of %s", e.Response.Status, e.Response.URL)
		}
	case *network.EventLoadingFailed:
		if !e.Canceled {
			p.problem("a request failed: %s %s", e.ErrorText, e.BlockedReason)
		}
	}
}

func describe(objects ...*runtime.RemoteObject) string {
	var all []string
	for _, o := range objects {
		if o != nil {
			all = append(all, string(o.Value)+o.Description)
		}
	}
	return strings.Join(all, " ")
}

func (p *tab) problem(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	text := fmt.Sprintf(format, args...)
	for _, a := range p.allowed {
		if a.MatchString(text) {
			return
		}
	}
	p.problems = append(p.problems, text)
}

// request records a request, which must stay on this machine.
func (p *tab) request(address string) {
	u, err := url.Parse(address)
	local := err == nil && (u.Hostname() == "127.0.0.1" || u.Scheme == "blob" || u.Scheme == "data")
	if !local {
		p.problem("a request to another host: %s", address)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.requests = append(p.requests, address)
}

// requested returns the URLs that the page has requested.
func (p *tab) requested() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.requests)
}

// call sends a command of the DevTools protocol to the tab.
func call[P, R any](p *tab, command cdp.Command[P, R], params P) R {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, waitLimit)
	defer cancel()
	result, err := chromedp.Call(ctx, command, params)
	if err != nil {
		p.t.Fatalf("%s: %v", command.Method, err)
	}
	return result
}

// eval returns the value of a JavaScript expression. It waits for a promise.
func eval[T any](p *tab, expression string) T {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, waitLimit)
	defer cancel()
	value, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		p.t.Fatalf("%s: %v", expression, err)
	}
	return value
}

// media makes the page match these media features, such as prefers-color-scheme, dark.
func (p *tab) media(pairs ...string) {
	p.t.Helper()
	params := emulation.SetEmulatedMediaParams{}
	for i := 0; i < len(pairs); i += 2 {
		params.Features = append(params.Features, &emulation.MediaFeature{Name: pairs[i], Value: pairs[i+1]})
	}
	call(p, emulation.SetEmulatedMedia, params)
}

// size sets the size of the page, in CSS pixels.
func (p *tab) size(width, height int64, phone bool) {
	p.t.Helper()
	scale := 1.0
	if phone {
		scale = 2
	}
	call(p, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
		Width: width, Height: height, DeviceScaleFactor: scale, Mobile: phone,
	})
}
