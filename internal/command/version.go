package command

import (
	"cmp"
	"fmt"
	"runtime"
	"runtime/debug"
)

// version is one line on what was built, and with what.
func version(release string) string {
	name := release
	if info, ok := debug.ReadBuildInfo(); ok {
		name = cmp.Or(name, info.Main.Version) // from the tag or the commit, if they were there
	}
	return fmt.Sprintf("wsecho %s (%s, %s/%s)", cmp.Or(name, "(devel)"), runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
