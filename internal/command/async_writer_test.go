package command

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/slogtest"
	"testing/synctest"
	"time"
)

// TestAsyncHandler checks that the handler follows the rules of slog.
func TestAsyncHandler(t *testing.T) {
	var b bytes.Buffer
	l := newAsyncWriter(&b, func(int64) string { return "" })
	h := logFormat{json: true}.asyncHandler(l)
	err := slogtest.TestHandler(h, func() (all []map[string]any) {
		l.close()
		for d := json.NewDecoder(&b); d.More(); {
			var record map[string]any
			if err := d.Decode(&record); err != nil {
				t.Fatal(err)
			}
			all = append(all, record)
		}
		return all
	})
	if err != nil {
		t.Error(err)
	}
}

// TestLogLevel checks that a line below the level costs no allocation.
func TestLogLevel(t *testing.T) {
	var b bytes.Buffer
	l := newAsyncWriter(&b, func(int64) string { return "" })
	log := slog.New(logFormat{level: slog.LevelWarn}.asyncHandler(l))
	if n := testing.AllocsPerRun(100, func() { log.Info("no") }); n != 0 {
		t.Errorf("a line below the level allocates %v times", n)
	}
	log.Warn("yes")
	l.close()
	if got := b.String(); strings.Contains(got, "no") || strings.Count(got, "msg=yes") != 1 {
		t.Errorf("got %q", got)
	}
}

// TestLogReadSlowly checks that with a slow reader all callers wait at the same time,
// not one after the other.
func TestLogReadSlowly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		f := logFormat{}
		l := newAsyncWriter(w, f.droppedNotice)
		log := slog.New(f.asyncHandler(l))
		for range maxQueued + 1 {
			log.Info("ended")
			synctest.Wait() // until the writer holds the first line
		}
		const slowly = maxWait * 9 / 10
		over := make(chan struct{})
		go func() {
			for b := make([]byte, 1000); ; time.Sleep(slowly) {
				if _, err := r.Read(b); err != nil {
					close(over)
					return
				}
			}
		}()
		began := time.Now()
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() { log.Info("ended") })
		}
		all.Wait()
		if d := time.Since(began); d > maxWait {
			t.Errorf("the last caller returned after %v", d)
		}
		r.Close()
		<-over
		l.close()
	})
}

// TestLogFails checks that a line whose write fails is counted as lost. The line after an
// incomplete one begins a new line.
func TestLogFails(t *testing.T) {
	for name, test := range map[string]struct {
		takes []int // bytes that each write accepts; -1: all
		want  string
	}{
		"no failure":             {[]int{-1, -1, -1}, "one\ntwo\nthree\n"},
		"one line":               {[]int{-1, 0, -1, -1}, "one\n(1)\nthree\n"},
		"two lines":              {[]int{0, 0, -1, -1}, "(2)\nthree\n"},
		"all":                    {[]int{0, 0, 0, 0}, ""},
		"the last":               {[]int{-1, -1, 0, -1}, "one\ntwo\n(1)\n"},
		"within a line":          {[]int{2, -1, -1, -1}, "on\n(1)\ntwo\nthree\n"},
		"within a notice":        {[]int{0, 2, -1, -1}, "(1\n(2)\nthree\n"},
		"before the line's end":  {[]int{3, -1, -1, -1}, "one\n(1)\ntwo\nthree\n"},
		"after an unfinished":    {[]int{1, 0, -1, -1}, "o\n(2)\nthree\n"},
		"within, then only \\n ": {[]int{1, 1, -1, -1}, "o\n(2)\nthree\n"},
	} {
		t.Run(name, func(t *testing.T) {
			w := failingWriter{takes: test.takes}
			l := newAsyncWriter(&w, func(lines int64) string { return fmt.Sprintf("(%d)\n", lines) })
			for _, line := range []string{"one\n", "two\n", "three\n"} {
				l.writeLine(line)
			}
			l.close()
			if got := w.taken.String(); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

// A failingWriter accepts only a part of some writes.
type failingWriter struct {
	taken bytes.Buffer
	takes []int // of the next writes; -1: all
}

func (w *failingWriter) Write(p []byte) (int, error) {
	takes := -1
	if len(w.takes) > 0 {
		takes, w.takes = w.takes[0], w.takes[1:]
	}
	if takes < 0 {
		return w.taken.Write(p)
	}
	n, _ := w.taken.Write(p[:takes])
	return n, syscall.EPIPE
}

// TestLastLine: close loses no line that was queued just before it.
func TestLastLine(t *testing.T) {
	t.Parallel()
	for i := range 20_000 {
		var out strings.Builder
		a := newAsyncWriter(&out, func(int64) string { return "lost" })
		a.writeLine("first\n")
		for range i % 64 { // other moments of the other goroutine
			_ = len(a.queue)
		}
		a.writeLine("last\n")
		a.close()
		if got := out.String(); got != "first\nlast\n" {
			t.Fatalf("round %d: got %q", i, got)
		}
	}
}
