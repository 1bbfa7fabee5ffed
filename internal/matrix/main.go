// Command matrix runs wsecho probe against servers that misbehave, and compares its results
// with those of a table.
//
//	go run ./internal/matrix           # prints the differences, and the matrix
//	go run ./internal/matrix -write    # writes the matrix into docs/liveness.md
//
// The rows are the faults of docs/faults.md. The servers are wsecho, npm's ws, Python's
// websockets, and wsecho behind nginx and HAProxy. It runs in the folder of the repository,
// for about half a minute. Nothing is written if a result differs from the table.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"sync"
)

// maxParallel is the number of probes at once. They mostly wait.
const maxParallel = 32

func main() {
	write := flag.Bool("write", false, "write the matrix into docs/liveness.md")
	flag.Parse()
	dir, err := os.MkdirTemp("", "matrix")
	if err == nil {
		err = run(&testbed{root: ".", dir: dir}, *write)
		err = errors.Join(err, os.RemoveAll(dir))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// run measures everything, and prints or writes the matrix.
func run(l *testbed, write bool) error {
	if err := l.build(); err != nil {
		return err
	}
	servers, stop, err := l.startAll()
	defer stop()
	if err != nil {
		return err
	}
	var wg sync.WaitGroup
	slots := make(chan struct{}, maxParallel)
	different := make(chan error, len(rows)*int(columns))
	for _, r := range rows {
		for c := range columns {
			if r.unsupported[c] != "" {
				continue
			}
			slots <- struct{}{}
			wg.Go(func() {
				defer func() { <-slots }()
				if err := r.run(context.Background(), l.wsecho, c, servers[c].addr); err != nil {
					different <- fmt.Errorf("%v, %s %s: %w %s", c, r.fault, r.flags, err, servers[c].problem())
				}
			})
		}
	}
	wg.Wait()
	close(different)
	var all []error
	for err := range different {
		all = append(all, err)
	}
	switch {
	case len(all) > 0:
		return errors.Join(all...)
	case write:
		return l.write()
	}
	fmt.Print(matrix())
	return nil
}

// startAll starts the server of each column. The caller calls stop, also after an error.
func (l *testbed) startAll() (servers [columns]*process, stop func(), err error) {
	stop = func() {
		for _, p := range servers {
			if p != nil {
				p.stop()
			}
		}
	}
	for c := range columns {
		if servers[c], err = l.start(c, servers[direct]); err != nil {
			break
		}
	}
	return servers, stop, err
}
