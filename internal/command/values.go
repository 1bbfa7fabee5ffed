package command

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"example.com/wsecho/server"
)

// Types of flags. Negative numbers are refused. The tag off:"" of a flag allows the
// word off, and the tag zero:"" allows zero.
type (
	size     int64         // bytes, such as 64KiB
	duration time.Duration // such as 1m30s
	count    int
)

// off is the value of a flag that is off. Package server takes a negative value so.
const off = -1

func (s *size) Decode(ctx *kong.DecodeContext) error     { return decode(ctx, s, parseSize) }
func (d *duration) Decode(ctx *kong.DecodeContext) error { return decode(ctx, d, parseDuration) }
func (c *count) Decode(ctx *kong.DecodeContext) error    { return decode(ctx, c, parseCount) }

func decode[T ~int64 | ~int](ctx *kong.DecodeContext, into *T, parse func(string) (T, error)) error {
	text, err := popText(ctx.Scan)
	if err != nil {
		return err
	}
	v, err := parseValue(text, ctx.Value.Tag.Has("off"), ctx.Value.Tag.Has("zero"), parse)
	if err == nil {
		*into = v
	}
	return err
}

// popText returns the value of a flag or an argument.
func popText(scan *kong.Scanner) (string, error) {
	switch t := scan.Pop(); {
	case t.IsEOL():
		return "", errors.New("it needs a value")
	case !t.IsValue():
		return "", fmt.Errorf("it needs a value, and %v begins like a flag", t)
	default:
		return fmt.Sprint(t.Value), nil
	}
}

// decodeText is the mapper of strings.
func decodeText(ctx *kong.DecodeContext, target reflect.Value) error {
	text, err := popText(ctx.Scan)
	if err == nil {
		target.SetString(text)
	}
	return err
}

// decodeList is the mapper of lists of strings. The value of a flag is split at commas,
// unless its tag has sep:"none". White space and quotes around an element are removed.
func decodeList(ctx *kong.DecodeContext, target reflect.Value) error {
	if ctx.Value.Flag == nil { // the last arguments
		for ctx.Scan.Peek().IsValue() {
			target.Set(reflect.Append(target, reflect.ValueOf(fmt.Sprint(ctx.Scan.Pop().Value))))
		}
		return nil
	}
	text, err := popText(ctx.Scan)
	if err != nil {
		return err
	}
	elements := []string{text}
	if ctx.Value.Tag.Sep != -1 {
		elements = strings.Split(text, string(ctx.Value.Tag.Sep))
		for i, e := range elements {
			elements[i] = strings.Trim(e, " \t\r\n\"'")
		}
	}
	for _, e := range elements {
		target.Set(reflect.Append(target, reflect.ValueOf(e)))
	}
	return nil
}

// A switchMapper is the mapper of flags that are on or off. A flag without a value is on.
type switchMapper struct{}

func (switchMapper) IsBool() bool { return true }

func (switchMapper) Decode(ctx *kong.DecodeContext, target reflect.Value) error {
	text := "on"
	if ctx.Scan.Peek().Type == kong.FlagValueToken {
		text = fmt.Sprint(ctx.Scan.Pop().Value)
	}
	switch strings.ToLower(text) {
	case "on", "true", "yes", "1":
		target.SetBool(true)
	case "off", "false", "no", "0":
		target.SetBool(false)
	default:
		return fmt.Errorf("%q is neither on nor off", text)
	}
	return nil
}

// A rate is a number of messages per second.
type rate float64

func (r *rate) Decode(ctx *kong.DecodeContext) error {
	text, err := popText(ctx.Scan)
	if err != nil {
		return err
	}
	v, err := strconv.ParseFloat(text, 64)
	switch {
	case err != nil:
		return fmt.Errorf("%q is not a number", text)
	case !(v > 0):
		return fmt.Errorf("%s is not more than 0", text)
	}
	*r = rate(v)
	return nil
}

func parseValue[T ~int64 | ~int](text string, offAllowed, zeroAllowed bool, parse func(string) (T, error)) (T, error) {
	if text == "off" {
		if !offAllowed {
			return 0, errors.New("it cannot be off")
		}
		return off, nil
	}
	hint := ""
	if offAllowed {
		hint = "; use off to disable it"
	}
	v, err := parse(text)
	switch {
	case err != nil:
		return 0, err
	case v < 0:
		return 0, fmt.Errorf("%s is negative%s", text, hint)
	case v == 0 && !zeroAllowed:
		return 0, fmt.Errorf("it must be more than 0%s", hint)
	}
	return v, nil
}

// units are the units of sizes, in lower case.
var units = map[string]int64{
	"": 1, "b": 1,
	"kb": 1e3, "mb": 1e6, "gb": 1e9,
	"kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30,
}

func parseSize(text string) (size, error) {
	number := strings.TrimRight(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
	unit, known := units[strings.ToLower(text[len(number):])]
	n, err := strconv.ParseInt(strings.TrimSpace(number), 10, 64)
	switch {
	case errors.Is(err, strconv.ErrRange), err == nil && known && (n > math.MaxInt64/unit || n < math.MinInt64/unit):
		return 0, fmt.Errorf("%s is too large", text)
	case err != nil || !known:
		return 0, fmt.Errorf("%q is not a size, such as 32MiB, 64KiB, 1MB or 512", text)
	}
	return size(n * unit), nil
}

func parseDuration(text string) (duration, error) {
	d, err := time.ParseDuration(text)
	if err != nil {
		return 0, fmt.Errorf("%q is not a duration, such as 500ms, 20s or 1h30m", text)
	}
	if d > 0 && d < server.MinTimeout {
		return 0, fmt.Errorf("%s is shorter than %v", text, server.MinTimeout)
	}
	return duration(d), nil
}

func parseCount(text string) (count, error) {
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0, fmt.Errorf("%q is not a whole number", text)
	}
	return count(n), nil
}
