package command

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"strings"
	"sync"
	"time"
)

// A logFormat makes the handlers of a log.
type logFormat struct {
	level slog.Level
	json  bool
}

// handler returns a handler that writes to w.
func (f logFormat) handler(w io.Writer) slog.Handler {
	options := &slog.HandlerOptions{Level: f.level}
	if f.json {
		return slog.NewJSONHandler(w, options)
	}
	return slog.NewTextHandler(w, options)
}

// droppedNotice returns the log line for dropped lines.
func (f logFormat) droppedNotice(lines int64) string {
	return f.line(slog.LevelWarn, "log lines lost: stderr was not read in time", slog.Int64("lines", lines))
}

// line returns a line of the log, whatever the lowest level is.
func (f logFormat) line(level slog.Level, msg string, attrs ...slog.Attr) string {
	r := slog.NewRecord(time.Now(), level, msg, 0)
	r.AddAttrs(attrs...)
	var b strings.Builder
	_ = f.handler(&b).Handle(context.Background(), r) // a Builder returns no error
	return b.String()
}

// An asyncHandler formats records in the caller's goroutine and writes them with an
// asyncWriter. The handlers of slog hold a lock while they write, so that one slow
// write would block all other callers.
type asyncHandler struct {
	w       *asyncWriter
	level   slog.Level
	handler func(io.Writer) slog.Handler
	idle    sync.Pool // of *formatter
}

// A formatter formats one record at a time into its buffer.
type formatter struct {
	bytes.Buffer
	handler slog.Handler
}

// maxFormatter is the maximum size of a buffer that is used again, in bytes.
const maxFormatter = 16 << 10

func (f logFormat) asyncHandler(w *asyncWriter) *asyncHandler {
	return &asyncHandler{w: w, level: f.level, handler: f.handler}
}

func (h *asyncHandler) Enabled(_ context.Context, level slog.Level) bool { return level >= h.level }

func (h *asyncHandler) Handle(ctx context.Context, r slog.Record) error {
	f, _ := h.idle.Get().(*formatter)
	if f == nil {
		f = new(formatter)
		f.handler = h.handler(f)
	}
	err := f.handler.Handle(ctx, r)
	line := f.String()
	if f.Reset(); f.Cap() <= maxFormatter {
		h.idle.Put(f)
	}
	if err != nil {
		return err
	}
	h.w.writeLine(line)
	return nil
}

func (h *asyncHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return h.with(func(w io.Writer) slog.Handler { return h.handler(w).WithAttrs(attrs) })
}

func (h *asyncHandler) WithGroup(name string) slog.Handler {
	return h.with(func(w io.Writer) slog.Handler { return h.handler(w).WithGroup(name) })
}

func (h *asyncHandler) with(handler func(io.Writer) slog.Handler) slog.Handler {
	return &asyncHandler{w: h.w, level: h.level, handler: handler}
}
