//go:build !linux

package socket

import (
	"errors"
	"syscall"
)

// Poller is not supported on this system.
type Poller struct{}

// NewPoller returns errors.ErrUnsupported.
func NewPoller() (*Poller, error) { return nil, errors.ErrUnsupported }

func (*Poller) Add(syscall.RawConn, uint64) error   { return errors.ErrUnsupported }
func (*Poller) Rearm(syscall.RawConn, uint64) error { return errors.ErrUnsupported }
func (*Poller) Remove(syscall.RawConn) error        { return errors.ErrUnsupported }
func (*Poller) Wait([]uint64) (int, error)          { return 0, errors.ErrUnsupported }
func (*Poller) Close() error                        { return nil }
