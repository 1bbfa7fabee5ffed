package command

import (
	"cmp"
	"fmt"
	"runtime"
	"runtime/debug"
)

// version returns the line that --version prints.
func version(release string) string {
	name := release
	if info, ok := debug.ReadBuildInfo(); ok {
		name = cmp.Or(name, info.Main.Version) // the tag or the commit, if the go command knew them
	}
	return fmt.Sprintf("wsecho %s (%s, %s/%s)", cmp.Or(name, "(devel)"), runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
