package command

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// Exit codes of all subcommands. wsecho check has further ones.
const (
	exitFailure = 1
	exitUsage   = 2
)

// A usageError is a mistake in the arguments.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// An exitError has an exit code of its own.
type exitError struct {
	error
	code int
}

func (e exitError) Unwrap() error { return e.error }

// A hintError has a second line that may help.
type hintError struct {
	error
	hint string
}

func (e hintError) Unwrap() error { return e.error }

// exitCode returns the exit code for an error.
func exitCode(err error) int {
	if e := (exitError{}); errors.As(err, &e) {
		return e.code
	}
	if errors.As(err, new(usageError)) {
		return exitUsage
	}
	return exitFailure
}

// word matches a quoted string, which is the user's text, or a word.
var word = regexp.MustCompile(`"(?:[^"\\]|\\.)*"|\w+`)

// flagError returns the usage error for an error of a package. It replaces the names
// of the package's options by those of their flags, and leaves quoted text alone.
func flagError(err error, flags map[string]string) error {
	_, text, _ := strings.Cut(err.Error(), ": ") // without the name of the package
	return usageError{fmt.Errorf("%s", word.ReplaceAllStringFunc(text, func(w string) string {
		if flag, ok := flags[w]; ok {
			return flag
		}
		return w
	}))}
}
