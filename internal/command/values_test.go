package command

import (
	"math"
	"testing"
	"time"
)

func TestSize(t *testing.T) {
	for _, test := range []struct {
		text string
		want size // -2: refused
	}{
		{"0", 0}, {"512", 512}, {"512B", 512}, {"64KiB", 64 << 10}, {"64kib", 64 << 10}, {"32MiB", 32 << 20}, {"2GiB", 2 << 30},
		{"1kB", 1000}, {"1MB", 1e6}, {"3GB", 3e9}, {"64 KiB", 64 << 10}, {"-1KiB", -1024}, {"+1", 1},
		{"9223372036854775807", math.MaxInt64}, {"8589934591GiB", 8589934591 << 30},
		{"", -2}, {"KiB", -2}, {"1.5MiB", -2}, {"64K", -2}, {"64KiB ", -2}, {"1 000", -2}, {"0x10", -2}, {"1_000", -2}, {"off", -2},
		{"9223372036854775808", -2}, {"8589934592GiB", -2}, {"-8589934593GiB", -2}, {"1TiB", -2},
	} {
		got, err := parseSize(test.text)
		if err != nil {
			got = -2
		}
		if got != test.want {
			t.Errorf("%q is %d, want %d (%v)", test.text, got, test.want, err)
		}
	}
}

func TestValue(t *testing.T) {
	for _, test := range []struct {
		text      string
		off, zero bool
		want      time.Duration
		refusal   string
	}{
		{"20s", false, false, 20 * time.Second, ""},
		{"off", true, false, -1, ""},
		{"off", false, true, 0, "it cannot be off"},
		{"0", false, true, 0, ""},
		{"0s", false, false, 0, "it must be more than 0"},
		{"0s", true, false, 0, "it must be more than 0; use off to disable it"},
		{"-1s", true, true, 0, "-1s is negative; use off to disable it"},
		{"-1s", false, true, 0, "-1s is negative"},
		{"-1ns", true, false, 0, "-1ns is negative; use off to disable it"}, // off has this value, but only off may set it
		{"1ns", true, true, 0, "1ns is shorter than 1ms"},
		{"1ms", false, false, time.Millisecond, ""},
		{"off", true, true, -1, ""},
		{"OFF", true, false, 0, `"OFF" is not a duration, such as 500ms, 20s or 1h30m`},
		{"20", true, false, 0, `"20" is not a duration, such as 500ms, 20s or 1h30m`},
		{"", true, false, 0, `"" is not a duration, such as 500ms, 20s or 1h30m`},
	} {
		got, err := parseValue(test.text, test.off, test.zero, parseDuration)
		refusal := ""
		if err != nil {
			refusal = err.Error()
		}
		if time.Duration(got) != test.want || refusal != test.refusal {
			t.Errorf("%q is %v, %q; want %v, %q", test.text, time.Duration(got), refusal, test.want, test.refusal)
		}
	}
}
