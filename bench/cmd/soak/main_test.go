package main

import (
	"bytes"
	"context"
	"strings"
	"testing"
)

func TestUsage(t *testing.T) {
	for _, tt := range []struct {
		args string
		want string
	}{
		{"-for 0s", "-for 0s is not a time"},
		{"-for long", `invalid value "long"`},
		{"-conns 0", "-conns 0 is not between"},
		{"-compression zip", `-compression "zip" is not one of`},
		{"-nonsense", "not defined: -nonsense"},
		{"now", `"now" is not a flag`},
	} {
		var stdout, stderr bytes.Buffer
		code := run(context.Background(), strings.Fields(tt.args), &stdout, &stderr)
		if code != 2 || !strings.Contains(stderr.String(), tt.want) || strings.Count(stderr.String(), "\n") != 1 || stdout.Len() > 0 {
			t.Errorf("%s: got %d, %q, %q, want 2 and a sentence with %q", tt.args, code, stdout.String(), stderr.String(), tt.want)
		}
	}
	var stdout, stderr bytes.Buffer
	if code := run(context.Background(), []string{"-h"}, &stdout, &stderr); code != 0 || !strings.Contains(stdout.String(), "-compression") || stderr.Len() > 0 {
		t.Errorf("-h: got %d, %q, %q", code, stdout.String(), stderr.String())
	}
}
