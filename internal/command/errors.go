package command

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"

	"example.com/wsecho/internal/handshake"
	"example.com/wsecho/server"
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
	code    int
	printed bool // a line for people has the error already
}

func (e exitError) Unwrap() error { return e.error }

// A hintError has a second line that may help.
type hintError struct {
	error
	hint string
}

func (e hintError) Unwrap() error { return e.error }

// certificateHint adds a hint to err if a certificate was not trusted.
func certificateHint(err error) error {
	if errors.As(err, new(*tls.CertificateVerificationError)) {
		return hintError{err, "--ca=FILE trusts another authority, and --insecure accepts any certificate"}
	}
	return err
}

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

// printError prints an error on stderr, unless the output has it already. It returns the exit
// code.
func printError(err error, stderr io.Writer) int {
	if e := (exitError{}); !errors.As(err, &e) || !e.printed {
		fmt.Fprintf(stderr, "wsecho: error: %v\n", err)
	}
	if h := (hintError{}); errors.As(err, &h) {
		fmt.Fprintf(stderr, "wsecho: hint: %s\n", h.hint)
	}
	return exitCode(err)
}

// flagError returns the usage error for an error of a package about its options. It
// names the flag of the field.
func flagError(err error, flags map[string]string) error {
	var field, see string
	if e := (*server.OptionError)(nil); errors.As(err, &e) {
		field, see, err = e.Field, e.See, e.Err
	} else if e := (*handshake.FieldError)(nil); errors.As(err, &e) {
		field, see, err = e.Field, e.See, e.Err
	} else if inner := errors.Unwrap(err); inner != nil {
		err = inner // without the name of the package
	}
	if flag := flags[field]; flag != "" {
		err = fmt.Errorf("%s: %w", flag, err)
	}
	if flag := flags[see]; flag != "" {
		err = fmt.Errorf("%w; see %s", err, flag)
	}
	return usageError{err}
}
