package server

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

const (
	// warningBurst is the number of warnings of one kind that are logged at once.
	warningBurst = 5
	// warningInterval is the time after which one more is logged.
	warningInterval = 10 * time.Second
)

// warnings logs warnings that clients can cause. A token bucket for each kind limits them
// to warningBurst at once and then one per warningInterval. The others are logged at
// level debug. The last of them is logged as a warning when the bucket has a token again.
// That line has the number of those before it. The kinds must be few, since each uses
// memory.
type warnings struct {
	log     *slog.Logger
	mu      sync.Mutex
	buckets map[string]*warningBucket
}

type warningBucket struct {
	full       time.Time // when the bucket is full, or was
	suppressed int       // warnings since the last one that was logged
	last       warning   // the last suppressed one
	timer      *time.Timer
}

type warning struct {
	level slog.Level
	msg   string
	attrs []slog.Attr
}

// warn logs a warning, or suppresses it.
func (w *warnings) warn(kind, msg string, attrs ...slog.Attr) {
	w.report(slog.LevelWarn, kind, msg, attrs...)
}

// report is warn for any level.
func (w *warnings) report(level slog.Level, kind, msg string, attrs ...slog.Attr) {
	if !w.allow(kind, warning{level, msg, attrs}) {
		level = slog.LevelDebug
	}
	w.log.LogAttrs(context.Background(), level, msg, attrs...)
}

// allow uses a token for the warning, or keeps the warning until there is one.
func (w *warnings) allow(kind string, last warning) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	b := w.buckets[kind]
	if b == nil {
		b = &warningBucket{full: time.Now()}
		w.buckets[kind] = b
	}
	wait := time.Until(b.full) - (warningBurst-1)*warningInterval
	if wait <= 0 && b.suppressed == 0 {
		b.take()
		return true
	}
	if b.suppressed++; b.suppressed == 1 {
		b.timer = time.AfterFunc(wait, func() { w.release(b) })
	}
	b.last = last
	return false
}

// take uses a token.
func (b *warningBucket) take() {
	if now := time.Now(); b.full.Before(now) {
		b.full = now
	}
	b.full = b.full.Add(warningInterval)
}

// release logs the last suppressed warning.
func (w *warnings) release(b *warningBucket) {
	w.mu.Lock()
	n, last := b.suppressed, b.last
	b.suppressed, b.last = 0, warning{}
	if n > 0 {
		b.take()
	}
	w.mu.Unlock()
	if n == 0 {
		return
	}
	w.log.LogAttrs(context.Background(), last.level, last.msg, append(last.attrs, slog.Int("suppressed", n-1))...)
}

// flush logs the suppressed warnings without waiting for a token.
func (w *warnings) flush() {
	w.mu.Lock()
	var pending []*warningBucket
	for _, b := range w.buckets {
		if b.suppressed > 0 {
			b.timer.Stop() // if it has fired, only one of the calls of release logs
			pending = append(pending, b)
		}
	}
	w.mu.Unlock()
	for _, b := range pending {
		w.release(b)
	}
}
