package server

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
)

// The functions of the Options and the methods of errors are code of the embedding
// program. On a goroutine of a connection a panic of them would end the process.

// contain is deferred by a method that calls a function of the program whose result does
// not matter. It logs a panic. Peers can cause many calls, so the lines of each function
// are limited as warnings are. c may be nil.
func (s *Server) contain(function string, c *Conn) {
	if v := recover(); v != nil {
		s.reportPanic(function, c, v)
	}
}

// reportPanic logs a panic of a function of the program.
func (s *Server) reportPanic(function string, c *Conn, v any) {
	var attrs []slog.Attr
	if c != nil {
		attrs = append(attrs, slog.Uint64("id", c.id), slog.String("remote", c.remote))
	}
	s.warnings.report(slog.LevelError, function, function+" panicked", append(attrs, panicAttrs(v)...)...)
}

// panicAttrs returns the value of a panic and the stack for a line of the log. Call it in
// the deferred function.
func panicAttrs(v any) []slog.Attr {
	return []slog.Attr{slog.String("panic", logged(fmt.Sprint(v))), slog.String("stack", string(debug.Stack()))}
}

// errorText returns the text of an error of the program. The method Error of a nil
// pointer often panics.
func errorText(err error) (text string) {
	defer func() {
		if v := recover(); v != nil {
			text = fmt.Sprintf("the method Error of %T panicked: %v", err, v)
		}
	}()
	return err.Error()
}

// errorAs is errors.As for an error of the program, whose methods Unwrap and As may panic.
// Then it returns false.
func errorAs(err error, target any) (ok bool) {
	defer func() { _ = recover() }() // ok is false
	return errors.As(err, target)
}
