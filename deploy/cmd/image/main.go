// Command image builds the image of wsecho from the Dockerfile. It needs no container
// engine, and writes an OCI image layout.
//
//	cd deploy && go run ./cmd/image -out ../dist/image
//	skopeo copy oci:../dist/image:wsecho docker-daemon:wsecho:latest
//
// It runs the commands of the build stage with the Go toolchain of this machine.
// SOURCE_DATE_EPOCH sets the time of the image; it is 1970 unless set.
package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"example.com/wsecho/deploy/container"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	root := flag.String("root", "..", "`folder` of the Dockerfile")
	out := flag.String("out", "../dist/image", "`folder` to write; it must not exist, or be empty")
	platforms := flag.String("platforms", "linux/amd64,linux/arm64", "platforms, separated by commas")
	version := flag.String("version", "", "version that wsecho --version prints; devel unless set")
	revision := flag.String("revision", "", "commit for the label; unknown unless set")
	flag.Parse()
	if flag.NArg() > 0 {
		fail(2, fmt.Errorf("%q is not a flag; -help lists the flags", flag.Arg(0)))
	}
	o := container.Options{Root: *root, Log: os.Stderr, Args: map[string]string{
		"VERSION": cmp.Or(*version, "devel"), "REVISION": cmp.Or(*revision, "unknown")}}
	for _, name := range strings.Split(*platforms, ",") {
		p, err := v1.ParsePlatform(name)
		if err != nil || p.OS == "" || p.Architecture == "" {
			fail(2, fmt.Errorf("-platforms: %q is not a platform, such as linux/amd64", name))
		}
		o.Platforms = append(o.Platforms, *p)
	}
	if epoch := os.Getenv("SOURCE_DATE_EPOCH"); epoch != "" {
		seconds, err := strconv.ParseInt(epoch, 10, 64)
		if err != nil {
			fail(2, fmt.Errorf("SOURCE_DATE_EPOCH: %q is not a number of seconds since 1970", epoch))
		}
		o.Created = time.Unix(seconds, 0)
	}
	digest, err := container.Write(ctx, *out, o)
	if err != nil {
		fail(1, err)
	}
	fmt.Printf("%s:%s %s\n", *out, container.Tag, digest)
}

// fail prints err and exits.
func fail(code int, err error) {
	fmt.Fprintln(os.Stderr, "image: error:", err)
	os.Exit(code)
}
