// Command table creates docs/conformance.md from the results of the tests:
//
//	export WSECHO_TEST_FULL=1
//	(go test -json ./...; cd bench; go test -json ./...) | go run ./internal/conformance/table
//
// It reads the output of go test -json, of one run or of several. It writes the page to
// stdout. The mapping from tests to rows is in attacks.go and sections.go. If a row has
// failed or has no test, the command names it on stderr. It exits with 1 after it has
// written the page. It refuses the results of a run without WSECHO_TEST_FULL, because such
// a run skips or samples the long tests.
//
// The page has no times and no dates, so it changes only when a result does.
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

// run runs the command and returns the exit code.
func run(stdin io.Reader, stdout, stderr io.Writer) int {
	results, err := read(stdin)
	if err != nil {
		fmt.Fprintf(stderr, "table: error: reading the results: %v\n", err)
		return 1
	}
	if v, _ := results.of(fullRun); v != pass {
		fmt.Fprintf(stderr, "table: error: the results are not from a full run (%s: %v): set %s=1 for go test ./...\n", fullRun, v, testfull.Variable)
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
