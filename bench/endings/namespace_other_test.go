//go:build !linux

package endings

import (
	"errors"
	"net"
	"testing"
)

// A namespace, a network where a path can be cut, is known on Linux only.
type namespace struct{}

func newNamespace(t *testing.T) *namespace {
	t.Skip("SKIPPED, no path was cut: that takes Linux")
	return nil
}

func (*namespace) do(f func())  { f() }
func (*namespace) cut() error   { return errors.ErrUnsupported }
func hasty(c net.Conn) net.Conn { return c }

// cork is known on Linux only.
func cork(net.Conn) error { return errors.ErrUnsupported }
