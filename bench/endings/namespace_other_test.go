//go:build !linux

package endings

import (
	"errors"
	"net"
	"testing"
)

// A namespace can cut a network path on Linux only.
type namespace struct{}

func newNamespace(t *testing.T) *namespace {
	t.Skip("SKIPPED, the network path was not cut: that needs Linux")
	return nil
}

func (*namespace) do(f func())                { f() }
func (*namespace) cut() error                 { return errors.ErrUnsupported }
func withShortTCPTimeout(c net.Conn) net.Conn { return c }

// cork works on Linux only.
func cork(net.Conn) error { return errors.ErrUnsupported }
