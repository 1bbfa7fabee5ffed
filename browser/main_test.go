package browser

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"example.com/wsecho/wstest"
)

// waitLimit bounds each wait of a test. A busy machine may need seconds for an event.
const waitLimit = 30 * time.Second

func TestMain(m *testing.M) { os.Exit(wstest.VerifyNoLeaks(suite{m})) }

// A suite runs the tests. They share a folder, the program and one browser.
type suite struct{ m *testing.M }

var folder string // of the program and of the profile of the browser

func (s suite) Run() int {
	var err error
	if folder, err = os.MkdirTemp("", "wsecho-browser"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code := s.m.Run()
	if err := stopBrowser(); err != nil {
		fmt.Fprintln(os.Stderr, "the browser did not end well:", err)
		code = max(code, 1)
	}
	// The browser's child processes may write to the profile for a moment.
	for range 50 {
		if err = os.RemoveAll(folder); err == nil {
			return code
		}
		time.Sleep(100 * time.Millisecond)
	}
	fmt.Fprintln(os.Stderr, err)
	return max(code, 1)
}

// program builds the command once and returns its path.
var program = sync.OnceValues(func() (string, error) {
	file := filepath.Join(folder, "wsecho")
	build := exec.Command("go", "build", "-pgo=off", "-o", file, ".")
	build.Dir = ".."
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return file, nil
})

var errNoBrowser = errors.New("chromium is not installed")

// stopBrowser ends the browser, if a test has started it.
var stopBrowser = func() error { return nil }

// startBrowser starts the browser once and returns the context of its first tab, which no
// test uses.
var startBrowser = sync.OnceValues(func() (context.Context, error) {
	path, err := exec.LookPath("chromium")
	if err != nil {
		return nil, errNoBrowser
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path),
		chromedp.UserDataDir(filepath.Join(folder, "profile")),
		chromedp.WindowSize(1280, 900),
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"), // loopback only
		chromedp.Flag("disable-back-forward-cache", true),                          // a page that is left does not come back as it was
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("no-proxy-server", true),
	)
	options = append(options, chromedp.DisableGPU)
	// The sandbox refuses root, and needs namespaces that a container may lack.
	options = append(options, chromedp.NoSandbox)
	allocator, stopAllocator := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, cancel := chromedp.NewContext(allocator)
	stopBrowser = func() error {
		defer stopAllocator() // waits for the process
		defer cancel()
		limited, stop := context.WithTimeout(ctx, waitLimit)
		defer stop()
		return chromedp.Cancel(limited)
	}
	return ctx, chromedp.Do(ctx)
})
