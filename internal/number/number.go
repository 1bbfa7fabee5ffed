// Package number formats the figures of reports, for load, the command line and bench. The
// same value has the same text everywhere.
package number

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Digits returns v with three significant digits: "0.0845", "1.00", "446,000".
func Digits(v float64) string {
	switch {
	case v == 0:
		return "0"
	case math.IsInf(v, 0):
		return "∞"
	}
	s := strconv.FormatFloat(v, 'e', 2, 64)
	_, e, _ := strings.Cut(s, "e")
	exponent, err := strconv.Atoi(e)
	if err != nil || exponent < -5 || exponent > 14 {
		return s
	}
	rounded, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return s
	}
	return grouped(strconv.FormatFloat(rounded, 'f', max(0, 2-exponent), 64))
}

// Count returns all digits of n: "1,234,567".
func Count(n int64) string { return grouped(strconv.FormatInt(n, 10)) }

// Plural returns n and a noun: "1 round", "1,000 rounds".
func Plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return Count(int64(n)) + " " + noun + "s"
}

// grouped separates the digits before the point in groups of three.
func grouped(s string) string {
	whole, fraction, _ := strings.Cut(s, ".")
	for i := len(whole) - 3; i > 0 && whole[i-1] != '-'; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	if fraction != "" {
		whole += "." + fraction
	}
	return whole
}

// Percent returns a share in percent. It rounds down, so that only a share of 1 is
// "100 %".
func Percent(share float64) string {
	p := math.Floor(share*1000+1e-6) / 10
	if p == 0 && share > 0 || share > 1 {
		return Digits(share*100) + " %"
	}
	return strconv.FormatFloat(p, 'f', -1, 64) + " %"
}

// Duration returns a time in nanoseconds with three digits: "0.900 µs", "20.0 ms". The
// unit is microseconds, milliseconds or seconds.
func Duration(ns float64) string {
	switch {
	case ns >= 999.5*float64(time.Millisecond):
		return Digits(ns/float64(time.Second)) + " s"
	case ns >= 999.5*float64(time.Microsecond):
		return Digits(ns/float64(time.Millisecond)) + " ms"
	}
	return Digits(ns/float64(time.Microsecond)) + " µs"
}

// Bytes returns a number of bytes in the largest unit that makes it whole: "5 B",
// "4 KiB", "1 MiB".
func Bytes(n int) string {
	switch {
	case n > 0 && n%(1<<20) == 0:
		return fmt.Sprintf("%d MiB", n>>20)
	case n > 0 && n%(1<<10) == 0:
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%d B", n)
}
