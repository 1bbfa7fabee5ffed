package command

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"sync"
	"testing"
	"testing/slogtest"
	"testing/synctest"
	"time"
)

// TestLineHandler: it is a handler as slog wants them.
func TestLineHandler(t *testing.T) {
	var b bytes.Buffer
	l := newLines(&b, func(int64) string { return "" })
	h := lineHandler{l, func(w io.Writer) slog.Handler { return slog.NewJSONHandler(w, nil) }}
	err := slogtest.TestHandler(h, func() (all []map[string]any) {
		l.end()
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

// TestLogReadSlowly: where the reader takes a line now and then, those who have one
// wait at the same time, and none of them after another.
func TestLogReadSlowly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		f := new(serve)
		l := newLines(w, f.lost)
		log := slog.New(lineHandler{l, f.handler})
		for range linesAhead + 1 {
			log.Info("ended")
			synctest.Wait() // or the one that is being written might not be yet
		}
		const slowly = linesWait * 9 / 10
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
		if d := time.Since(began); d > linesWait {
			t.Errorf("it took %v until the last had its line written, or lost", d)
		}
		r.Close()
		<-over
		l.end()
	})
}
