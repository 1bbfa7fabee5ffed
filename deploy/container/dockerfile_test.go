package container

import (
	"strings"
	"testing"
)

// TestRecipe checks that the builder refuses a Dockerfile that it would not build as Docker
// does.
func TestRecipe(t *testing.T) {
	for _, test := range []struct{ dockerfile, want string }{
		{"FROM scratch", "two stages"},
		{"ARG A=1\nFROM golang AS build\nFROM scratch", "no ARG before them"},
		{"FROM golang AS build\nFROM alpine", "one from scratch"},
		{"FROM golang AS build\nADD a /a\nFROM scratch", "does not know this instruction in the build stage"},
		{"FROM golang AS build\nRUN [\"go\", \"build\"]\nFROM scratch", "one line for the shell"},
		{"FROM golang AS build\nARG A\nFROM scratch", "ARG A has no value"},
		{"FROM golang AS build\nFROM scratch\nRUN true", "does not know this instruction in the last stage"},
		{"FROM golang AS build\nFROM scratch\nVOLUME /data", "does not know this instruction in the last stage"},
		{"FROM golang AS build\nFROM scratch\nENTRYPOINT /wsecho", "has no shell"},
		{"FROM golang AS build\nFROM scratch\nLABEL a=$B", "unknown: map[B"},
		{"FROM golang AS build\nFROM scratch\nCOPY a b /c/", "want one file"},
		{"FROM golang AS build\nFROM scratch\nCOPY --chmod=755 a /a", "no owner or mode"},
		{"FROM golang AS build\nFROM scratch\nCOPY --from=other a /a", "no stage \"other\""},
		{"FROM golang AS build\nFROM scratch\nCOPY --from=build /tmp/a /a", "writes to /out only"},
		{"FROM golang AS build\nFROM scratch\nCOPY ../a /a", "outside the source tree"},
	} {
		_, err := parseRecipe([]byte(test.dockerfile), nil)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%q: got error %v, want %q", test.dockerfile, err, test.want)
		}
	}
	if _, err := parseRecipe([]byte("FROM golang AS build\nFROM scratch"), map[string]string{"VERSON": "1"}); err == nil || !strings.Contains(err.Error(), "no ARG VERSON") {
		t.Errorf("an argument that the Dockerfile does not have: got error %v", err)
	}
}
