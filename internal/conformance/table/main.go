// Command table makes docs/conformance.md from the results of the tests:
//
//	export WSECHO_TEST_FULL=1
//	(go test -json ./...; cd bench; go test -json ./...) | go run ./internal/conformance/table
//
// It reads what go test -json writes, of one run or of several in a row, and
// writes the page to stdout. What each row of the page is shown by stands in
// attacks.go and sections.go; the verdicts come from the results alone. The exit
// code is 1 if a row has failed or has nothing to show for it, and those are
// named on stderr; the page is written all the same. Results of a run without
// WSECHO_TEST_FULL make no page: by default the tests skip or sample what takes long.
//
// The page has no times and no dates: it changes when a result does.
package main

import (
	"bufio"
	"fmt"
	"io"
	"os"

	"example.com/wsecho/internal/testfull"
)

// fullRun is a test that passes in a full run only.
const fullRun = "internal/testfull.TestEnabled"

func main() {
	os.Exit(run(os.Stdin, os.Stdout, os.Stderr))
}

// run is the command. It returns the exit code.
func run(stdin io.Reader, stdout, stderr io.Writer) int {
	results, err := read(stdin)
	if err != nil {
		fmt.Fprintf(stderr, "table: error: reading the results: %v\n", err)
		return 1
	}
	if v, _ := results.of(fullRun); v != pass {
		fmt.Fprintf(stderr, "table: error: these results are not of a full run (%s: %v); set %s=1 for go test ./...\n", fullRun, v, testfull.Variable)
		return 1
	}
	out := bufio.NewWriter(stdout)
	p := page{results: results, w: out}
	p.write()
	if err := out.Flush(); err != nil {
		fmt.Fprintf(stderr, "table: error: writing the page: %v\n", err)
		return 1
	}
	for _, line := range p.bad {
		fmt.Fprintf(stderr, "table: %s\n", line)
	}
	if len(p.bad) > 0 {
		return 1
	}
	return 0
}
