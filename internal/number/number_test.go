package number_test

import (
	"math"
	"testing"

	"example.com/wsecho/internal/number"
)

func TestDigits(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0", 1: "1.00", 9.996: "10.0", 0.9996: "1.00", 0.08449: "0.0845", 123.4: "123", 999.6: "1,000", 446123: "446,000", 1234567: "1,230,000",
		-1234567: "-1,230,000", -123456: "-123,000", 0.00001234: "0.0000123", 1e-9: "1.00e-09", 1e20: "1.00e+20", math.Inf(1): "∞",
	} {
		if got := number.Digits(v); got != want {
			t.Errorf("%v: got %q, want %q", v, got, want)
		}
	}
}

func TestCount(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -1234567: "-1,234,567"} {
		if got := number.Count(n); got != want {
			t.Errorf("%d: got %q, want %q", n, got, want)
		}
	}
}

func TestPlural(t *testing.T) {
	for n, want := range map[int]string{0: "0 rounds", 1: "1 round", 2: "2 rounds", 10000: "10,000 rounds"} {
		if got := number.Plural(n, "round"); got != want {
			t.Errorf("%d: got %q, want %q", n, got, want)
		}
	}
}

func TestPercent(t *testing.T) {
	for v, want := range map[float64]string{0: "0 %", 1: "100 %", 0.9999: "99.9 %", 0.57: "57 %", 0.25: "25 %", 0.0001: "0.0100 %"} {
		if got := number.Percent(v); got != want {
			t.Errorf("%v: got %q, want %q", v, got, want)
		}
	}
}

func TestDuration(t *testing.T) {
	for ns, want := range map[float64]string{0: "0 µs", 500: "0.500 µs", 900: "0.900 µs", 999.4e3: "999 µs", 999.6e3: "1.00 ms", 20123e3: "20.1 ms", 999600e3: "1.00 s", 3e9: "3.00 s", 36e11: "3,600 s"} {
		if got := number.Duration(ns); got != want {
			t.Errorf("%v: got %q, want %q", ns, got, want)
		}
	}
}

func TestBytes(t *testing.T) {
	for n, want := range map[int]string{0: "0 B", 5: "5 B", 1000: "1000 B", 4096: "4 KiB", 1 << 20: "1 MiB"} {
		if got := number.Bytes(n); got != want {
			t.Errorf("%d: got %q, want %q", n, got, want)
		}
	}
}
