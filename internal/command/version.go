package command

import (
	"cmp"
	"fmt"
	"runtime"
	"runtime/debug"
)

// A buildVersion is the version of a release, "" for other builds.
type buildVersion string

// name returns the version of this build.
func (v buildVersion) name() string {
	name := string(v)
	if info, ok := debug.ReadBuildInfo(); ok {
		name = cmp.Or(name, info.Main.Version) // the tag or the commit, if the go command knew them
	}
	return cmp.Or(name, "(devel)")
}

// version returns the line that --version prints.
func version(release string) string {
	return fmt.Sprintf("wsecho %s (%s, %s/%s)", buildVersion(release).name(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
