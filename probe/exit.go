package probe

import (
	"context"
	"errors"

	"example.com/wsecho/ending"
)

// The exit codes of wsecho probe; docs/probe.md describes them.
const (
	exitFailure   = 1
	exitLost      = 6
	exitPeerCode  = 7
	exitGoingAway = 8
	exitAbnormal  = 9
	exitProtocol  = 10
)

// ExitCode returns the exit code of wsecho check if this step has failed: 3 to 7.
func (s Step) ExitCode() int { return int(s-Connect) + 3 }

// ExitCode returns the exit code of wsecho probe for this result. 0 means that the
// connection was closed normally, and that no reply was lost.
func (r Watched) ExitCode() int {
	switch {
	case r.Err != nil && errors.Is(r.Err, context.Canceled):
		return exitFailure
	case r.Err != nil:
		return r.Err.Step.ExitCode()
	case r.End == nil:
		return exitFailure
	}
	// This side has closed before the first reply.
	early := r.End.Kind == ending.Closed && (r.Pings.unanswered() || r.Echoes.unanswered())
	return r.End.ExitCode(early || r.Pings.Lost+r.Echoes.Lost > 0)
}

func (r Replies) unanswered() bool { return r.Pending > 0 && r.Received == 0 }

// ExitCode returns the exit code of wsecho probe and wsecho connect for this end. lost means
// that replies were lost.
func (e End) ExitCode(lost bool) int {
	switch k := e.Kind; {
	case k == ending.Protocol || k == ending.InvalidUTF8:
		return exitProtocol
	case k == ending.GoingAway:
		return exitGoingAway
	case k == ending.PeerCode:
		return exitPeerCode
	case k == ending.NoPong:
		return exitLost
	case k.Abnormal():
		return exitAbnormal
	case k != ending.Normal && k != ending.Closed:
		return exitFailure
	case lost:
		return exitLost
	case k != ending.Closed || e.Received == e.Sent || e.Received == 1000 || e.Received == 1005:
		return 0
	case e.Received == 1001:
		return exitGoingAway
	}
	return exitPeerCode
}
