package wstest_test

import (
	"fmt"
	"math"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"example.com/wsecho/wstest"
)

// fakeTB is a testing.TB whose Fatal does not end the real test.
type fakeTB struct {
	testing.TB
	fatal string
}

func (tb *fakeTB) Fatal(args ...any) { tb.Fatalf("%s", fmt.Sprint(args...)) }

func (tb *fakeTB) Fatalf(format string, args ...any) {
	tb.fatal = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

// fatal returns what f passes to Fatal.
func fatal(t *testing.T, f func(testing.TB)) string {
	tb := &fakeTB{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		f(tb)
	}()
	<-done
	return tb.fatal
}

// TestWrongFaults: each mistake ends the test with a sentence.
func TestWrongFaults(t *testing.T) {
	t.Parallel()
	all := func(f ...wstest.Fault) []wstest.Fault { return f }
	for _, tt := range []struct {
		faults []wstest.Fault
		want   string
	}{
		{all(wstest.Fault{}), "the zero Fault is no fault"},
		{all(wstest.CloseWith(1005, "")), "CloseWith(1005, \"\"): a close code is 1000 to 1003"},
		{all(wstest.CloseWith(1000, strings.Repeat("x", 124))), "at most 123 bytes"},
		{all(wstest.CloseWith(1000, "\xff")), "a reason is UTF-8"},
		{all(wstest.DropFIN().After(0)), "DropFIN().After(0): n is from 1 to 1000000"},
		{all(wstest.DropFIN().AfterTime(0)), "the time is from 1ms to 1h0m0s"},
		{all(wstest.DropFIN().After(0).After(1)), "DropFIN().After(0).After(1): n is from"},
		{all(wstest.DropFIN().After(1).AfterTime(time.Second)), "it has two delays"},
		{all(wstest.NoPong().After(1)), "NoPong().After(1): After and AfterTime are for CloseWith"},
		{all(wstest.DropFIN(), wstest.DropRST()), "DropFIN() and DropRST(): only one fault can end a connection"},
		{all(wstest.NoPong(), wstest.LatePong(time.Second)), "NoPong() and LatePong(1s) exclude each other"},
		{all(wstest.StallRead(), wstest.SlowRead(1)), "exclude each other"},
		{all(wstest.Garbage(), wstest.Garbage()), "exclude each other"},
		{all(wstest.Status(503), wstest.Mask()), "Mask() has no effect beside Status(503)"},
		{all(wstest.StallRead(), wstest.DropRST().After(1)), "DropRST().After(1) never happens beside StallRead()"},
		{all(wstest.Delay(0)), "Delay(0s): the time is"},
		{all(wstest.Jitter(2 * time.Hour)), "Jitter(2h0m0s): the time is"},
		{all(wstest.PongsThenNone(-1)), "n is from 0"},
		{all(wstest.LatePong(-1)), "LatePong(-1ns): the time is"},
		{all(wstest.SlowRead(0)), "the rate is from 1 to 1073741824"},
		{all(wstest.SlowWrite(math.MaxInt32)), "the rate is from"},
		{all(wstest.Fragment(0)), "n is from 1 to 16777216"},
		{all(wstest.Status(199)), "the status is from 200 to 599"},
		{all(wstest.Hold(0)), "Hold(0s)"},
		{all(wstest.PingEvery(0)), "PingEvery(0s)"},
		{all(wstest.Send(0, time.Second)), "n is from 1"},
		{all(wstest.Send(1, 0)), "the time is"},
	} {
		got := fatal(t, func(tb testing.TB) { wstest.NewPipeServer(tb, tt.faults...) })
		if !strings.HasPrefix(got, "wstest: ") || !strings.Contains(got, tt.want) {
			t.Errorf("%v: got %q, want %q", tt.faults, got, tt.want)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		for _, start := range []func(testing.TB, ...wstest.Fault) *wstest.EchoServer{wstest.NewServer, wstest.NewTLSServer} {
			if got := fatal(t, func(tb testing.TB) { start(tb) }); !strings.Contains(got, "use NewPipeServer") {
				t.Errorf("got %q", got)
			}
		}
	})
}

// TestFaultCopies: After does not change the fault that it is called on.
func TestFaultCopies(t *testing.T) {
	t.Parallel()
	drop := wstest.DropFIN()
	_ = drop.After(1)
	s := wstest.NewPipeServer(t, drop)
	if got := strings.Join(frames(raw(t, s)), ", "); got != "FIN" {
		t.Errorf("got %s", got)
	}
}
