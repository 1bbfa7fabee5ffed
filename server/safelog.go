package server

import (
	"context"
	"fmt"
	"log"
	"log/slog"
	"runtime/debug"
	"sync"
)

// A safeHandler recovers from panics of Options.Logger. On a goroutine of a connection
// they would end the process. The standard log gets the first panic.
type safeHandler struct {
	slog.Handler
	first *sync.Once
}

// safeLogger returns l, or a logger that discards everything for nil.
func safeLogger(l *slog.Logger) *slog.Logger {
	if l == nil {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(&safeHandler{l.Handler(), new(sync.Once)})
}

func (h *safeHandler) Enabled(ctx context.Context, level slog.Level) bool {
	defer h.recoverPanic(nil)
	return h.Handler.Enabled(ctx, level)
}

func (h *safeHandler) Handle(ctx context.Context, r slog.Record) (err error) {
	defer h.recoverPanic(&err)
	return h.Handler.Handle(ctx, r)
}

func (h *safeHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &safeHandler{h.Handler.WithAttrs(attrs), h.first}
}

func (h *safeHandler) WithGroup(name string) slog.Handler {
	return &safeHandler{h.Handler.WithGroup(name), h.first}
}

// recoverPanic is deferred. It sets *err to the error of a panic.
func (h *safeHandler) recoverPanic(err *error) {
	v := recover()
	if v == nil {
		return
	}
	if err != nil {
		*err = fmt.Errorf("server: the Logger panicked: %v", v)
	}
	h.first.Do(func() { log.Printf("server: the Logger panicked: %v\n%s", v, debug.Stack()) })
}
