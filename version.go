package main

import (
	"cmp"
	"fmt"
	"runtime"
	"runtime/debug"
)

// release is set by the build of a release:
//
//	go build -ldflags "-X main.release=v1.2.3"
var release string

// version is one line on what was built, and with what.
func version() string {
	name := release
	if info, ok := debug.ReadBuildInfo(); ok {
		name = cmp.Or(name, info.Main.Version) // from the tag or the commit, if they were there
	}
	return fmt.Sprintf("wsecho %s (%s, %s/%s)", cmp.Or(name, "(devel)"), runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
