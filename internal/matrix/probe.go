package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// limit bounds each wait.
const limit = time.Minute

// attempts is how often a row is tried. A machine can be too busy for a short timeout, or
// delay a ping.
const attempts = 4

// run probes a server, and returns an error if it does not get what the row expects.
func (r row) run(ctx context.Context, program string, c column, addr string) error {
	want, race := r.expected(c)
	for n := 1; ; n++ {
		got, err := r.observed(ctx, program, addr, want.wired())
		switch {
		case err != nil:
			return err
		case got.meets(want), got.meets(race):
			return nil
		case n == attempts || !got.busy(want):
			return fmt.Errorf("got %+v, want %+v", got, want)
		}
	}
}

// observed is probe, and observes the frames too if the row needs that.
func (r row) observed(ctx context.Context, program, addr string, wired bool) (outcome, error) {
	if !wired {
		return r.probe(ctx, program, addr)
	}
	wire, err := startRelay(addr)
	if err != nil {
		return outcome{}, err
	}
	got, err := r.probe(ctx, program, wire.Addr().String())
	wire.stop()
	got.pings, got.frame = wire.pings, wire.frame
	return got, err
}

// probe runs wsecho probe, and returns what it reports.
func (r row) probe(ctx context.Context, program, addr string) (outcome, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	flags := strings.Fields(r.flags)
	for flag, value := range map[string]string{"--interval=": "100ms", "--timeout=": "20s", "--deadline=": "40s"} {
		if !strings.Contains(r.flags, flag) {
			flags = append(flags, flag+value)
		}
	}
	path := r.fault
	if !strings.HasPrefix(path, "/") {
		path = "/?" + path
	}
	cmd := exec.CommandContext(ctx, program, append(flags, "ws://"+addr+path)...)
	cmd.Args = append([]string{program, "probe", "--json", "--quiet"}, cmd.Args[1:]...)
	cmd.Env = environment()
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.Output()
	if exited := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exited) {
		return outcome{}, err
	}
	var s struct {
		Event  string
		Exit   int `json:"exit_code"`
		Others int
		Phases struct {
			Upgrade float64 `json:"upgrade_seconds"`
		}
		Pings, Echoes struct {
			Lost, Late int
			Min        float64 `json:"min_seconds"`
			Deviation  float64 `json:"deviation_seconds"`
		}
		Step, Error string
		End         struct {
			Kind, By, Reason, Cause string
			Code, Received          int
		}
	}
	if err := json.Unmarshal(stdout, &s); err != nil || s.Event != "summary" {
		return outcome{}, fmt.Errorf("wsecho probe printed no summary: %q %q %v", stdout, stderr.String(), ctx.Err())
	}
	exit := cmd.ProcessState.ExitCode()
	if exit != s.Exit {
		return outcome{}, fmt.Errorf("the exit code is %d, and the summary has %d", exit, s.Exit)
	}
	return outcome{
		exit: exit, kind: s.End.Kind, by: s.End.By, code: s.End.Code, reason: s.End.Reason, cause: s.End.Cause, closed: s.End.Received,
		step: s.Step, fail: strings.TrimPrefix(s.Error, "did not open a WebSocket: "),
		lost: s.Pings.Lost + s.Echoes.Lost, late: s.Pings.Late + s.Echoes.Late, others: s.Others,
		upgrade: seconds(s.Phases.Upgrade), echo: seconds(s.Echoes.Min), deviation: seconds(s.Echoes.Deviation),
	}, nil
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// environment is that of this process without variables that change wsecho.
func environment() (env []string) {
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "WSECHO_") {
			env = append(env, v)
		}
	}
	return env
}
