package fault

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// dependent are the parameters without an effect of their own.
var dependent = []string{"reason", "after", "every"}

// mistyped returns an error for a parameter that looks like a mistyped fault, which would
// have no effect. others reports whether there is a fault. A name counts if it differs in
// case, or in two neighbours that are swapped. One other letter behind the first is weaker
// evidence, because many words are that near: sent, pin, task. Then the value must be right
// too, and no number if the name is short.
func mistyped(query url.Values, others bool) error {
	var name, meant string // the first ones, so that the answer is the same each time
	for given, values := range query {
		if isParameter(given) || name != "" && given > name {
			continue
		}
		for _, a := range parameters {
			if d := len(given) - len(a.name); d < -1 || d > 1 {
				continue
			}
			lower := strings.ToLower(given)
			number := strings.Trim(values[0], "0123456789") == ""
			if lower == a.name || swapped(lower, a.name) ||
				oneEdit(lower, a.name) && a.set(new(plan), values[0]) && (len(a.name) > 4 || !number) && (others || !slices.Contains(dependent, a.name)) {
				name, meant = given, a.name
				break
			}
		}
	}
	if name == "" {
		return nil
	}
	return fmt.Errorf("the parameter %s is no fault; did you mean %s? --no-faults allows any name", strconv.Quote(name), meant)
}

func isParameter(name string) bool {
	return slices.ContainsFunc(parameters, func(a parameter) bool { return a.name == name })
}

// difference returns a and b without the letters at both ends that are the same, and how
// many were the same at the beginning.
func difference(a, b string) (restA, restB string, same int) {
	for a != "" && b != "" && a[0] == b[0] {
		a, b, same = a[1:], b[1:], same+1
	}
	for a != "" && b != "" && a[len(a)-1] == b[len(b)-1] {
		a, b = a[:len(a)-1], b[:len(b)-1]
	}
	return a, b, same
}

// swapped reports whether two neighbours of b are swapped in a.
func swapped(a, b string) bool {
	a, b, _ = difference(a, b)
	return len(a) == 2 && len(b) == 2 && a[0] == b[1] && a[1] == b[0]
}

// oneEdit reports whether a differs from b in one letter behind the first one.
func oneEdit(a, b string) bool {
	a, b, same := difference(a, b)
	return len(a) <= 1 && len(b) <= 1 && same > 0
}
