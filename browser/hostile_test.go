package browser

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp/kb"
	"github.com/coder/websocket"
)

// attacks are messages that a careless page would execute, or that would break its layout.
var attacks = []string{
	`<img src=x onerror="window.attacked = 1"><script>window.attacked = 2</script>`,
	`<a href="javascript:window.attacked = 3" autofocus onfocus="window.attacked = 4">link</a>`,
	`</textarea></div></section><style>* { display: none !important }</style><base href="http://192.0.2.1/">`,
	`{"__proto__": {"attacked": 5}, "constructor": {"prototype": {"attacked": 6}}, "<img src=x onerror=window.attacked=7>": "<svg onload=window.attacked=8>"}`,
	"\u202egnp.exe \u2066\u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627",
	"\u202e\u202e\u202eoverride without an end",
	"nul \x00 bell \a escape \x1b[31m line\u2028separator \ufeff\u200b",
	strings.Repeat("[", 100_000),
	strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000),
	strings.Repeat("a\u0301\u0302\u0303\u0304\u0305\u0306\u0307\u0308", 500),
	strings.Repeat("\n", 50_000),
	`["` + strings.Repeat("json", 1<<18-1) + `"]`, // 1 MiB, the longest that is indented
	strings.Repeat("unbroken", 1<<20/8),           // 1 MiB
}

// TestHostileMessages checks that the page shows messages of a peer as text. No text leaves
// its row, and long ones are folded.
func TestHostileMessages(t *testing.T) {
	t.Parallel()
	attacker := newPeer(t, func(ctx context.Context, c *websocket.Conn) {
		for _, message := range attacks {
			if c.Write(ctx, websocket.MessageText, []byte(message)) != nil {
				return
			}
		}
		binary := make([]byte, 1<<20)
		if c.Write(ctx, websocket.MessageBinary, binary) != nil {
			return
		}
		_, _, _ = c.Read(ctx) // the page has typed something, or is gone
		_ = c.Close(4000, `<img src=x onerror="window.attacked = 9">`)
	})
	p := open(t, serve(t))
	p.find("textbox", "URL").fill(attacker.url)
	p.connect()
	list := p.find("listbox", messages)
	list.shows("unbroken", "1.00 MiB", "binary")

	// The detail of each message, from the newest to the oldest.
	list.focus()
	p.keys(kb.End)
	detail := p.byID("detail")
	detail.shows("00 00 00 00")
	for i := len(attacks) - 1; i >= 0; i-- {
		p.keys(kb.ArrowUp)
		detail.shows("text", "received")
		if i < 3 {
			detail.shows(attacks[i])
		}
		if strings.HasPrefix(attacks[i], `["json`) {
			detail.shows("[\n  \"jsonjson")
		}
		if got := len(detail.text()); got > 100_000 {
			t.Errorf("the detail of message %d has %d bytes, want a folded message", i+1, got)
		}
	}
	p.send("still here")
	p.byID("ending").shows("4000", `<img src=x onerror="window.attacked = 9">`)

	if eval[bool](p, `"attacked" in window || "attacked" in {}`) {
		t.Error("a message was executed")
	}
	if n := eval[int](p, `document.querySelectorAll("main img, main script, main style, main svg, main a, base").length`); n != 0 {
		t.Errorf("messages have created %d elements", n)
	}
	if n := eval[int](p, `Math.max(...[...document.querySelectorAll("[role=option]")].map(e => e.textContent.length))`); n > 4096 {
		t.Errorf("a row has %d characters, want a folded message", n)
	}
	p.checkWidth()
	places := eval[[]float64](p, `[...new Set([...document.querySelectorAll("[role=option]:not([hidden]) .size")].map(e => e.getBoundingClientRect().right))]`)
	if len(places) != 1 {
		t.Errorf("the sizes of the rows end at %v, want one column, also beside text from right to left", places)
	}
}

// TestFlood checks that the page keeps up with 10,000 messages per second, or slows the
// server down. A user can type meanwhile. The bounds are wide, for a busy machine: only a
// page that freezes or lags behind violates them.
func TestFlood(t *testing.T) {
	const (
		perSecond, enough = 10_000, 20_000
		longestGap        = 5 * time.Second // between two frames
		longestAnswer     = 10 * time.Second
		slowest           = 5 // times slower than a page that shows nothing
	)
	bare := newFlood(t, perSecond)
	empty := newTab(t)
	call(empty, network.Disable, cdp.Empty{})
	eval[bool](empty, fmt.Sprintf(`new Promise(done => {
		const socket = new WebSocket(%q);
		let n = 0;
		socket.onmessage = () => { if (++n === %d) socket.send("stop") };
		socket.onclose = () => done(true);
	})`, bare.url, enough/2))

	f := newFlood(t, perSecond)
	p := open(t, serve(t))
	call(p, network.Disable, cdp.Empty{}) // an event per message would slow the browser down
	p.find("textbox", "URL").fill(f.url)
	eval[bool](p, `(() => {
		window.frames_ = window.gap_ = 0;
		let last = performance.now();
		window.count_ = () => { // the present gap also counts
			const now = performance.now();
			window.gap_ = Math.max(window.gap_, now - last);
			last = now;
		};
		const frame = () => { window.frames_++; window.count_(); requestAnimationFrame(frame) };
		frame();
		return true;
	})()`)
	p.connect()
	before, began := eval[int](p, "window.frames_"), time.Now()
	wait(t, fmt.Sprintf("%d messages", enough), func() error {
		if got := f.sent.Load(); got < enough {
			return fmt.Errorf("the server sent %d", got)
		}
		return nil
	})
	rows := eval[int](p, `document.querySelectorAll("[role=option]").length`)
	typed := time.Now()
	p.send("stop")
	p.byID("ending").shows("1000", "enough")
	answered, took := time.Since(typed), time.Since(began)
	frames := eval[int](p, "window.frames_") - before
	gap := time.Duration(eval[float64](p, "window.count_(), window.gap_") * float64(time.Millisecond))

	sent := f.sent.Load()
	p.byID("stats").shows(fmt.Sprintf("%d,%03d", sent/1000, sent%1000))
	p.find("listbox", messages).shows("end of the flood")
	if rows > 1000 {
		t.Errorf("the page had %d rows, want at most 1,000", rows)
	}
	if int64(frames)*1000 < sent {
		t.Errorf("the page was drawn %d times during %d messages, want one per 1,000 messages or more", frames, sent)
	}
	if gap > longestGap {
		t.Errorf("the page was not drawn for %v, want %v at most", gap, longestGap)
	}
	if answered > longestAnswer {
		t.Errorf("the typed text and the end took %v, want %v at most", answered, longestAnswer)
	}
	rate, most := float64(sent)/took.Seconds(), enough/2/time.Duration(bare.took.Load()).Seconds()
	if rate*slowest < most {
		t.Errorf("the page read %.0f messages per second, want a fifth of the %.0f of an empty page", rate, most)
	}
	t.Logf("measured: %d messages, %.0f per second; an empty page: %.0f; %d frames, at most %v apart; answered after %v",
		sent, rate, most, frames, gap.Round(time.Millisecond), answered.Round(time.Millisecond))
}
