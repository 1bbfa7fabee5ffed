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

// TestAsyncHandler checks that the handler follows the rules of slog.
func TestAsyncHandler(t *testing.T) {
	var b bytes.Buffer
	l := newAsyncWriter(&b, func(int64) string { return "" })
	h := asyncHandler{l, func(w io.Writer) slog.Handler { return slog.NewJSONHandler(w, nil) }}
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

// TestLogReadSlowly checks that with a slow reader all callers wait at the same time,
// not one after the other.
func TestLogReadSlowly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		f := logFormat{}
		l := newAsyncWriter(w, f.droppedNotice)
		log := slog.New(asyncHandler{l, f.handler})
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
