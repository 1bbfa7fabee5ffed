package peers

import (
	"fmt"
	"runtime/debug"
	"strings"
)

// moduleVersions returns the versions of modules in a program, the first one without its
// name.
func moduleVersions(info *debug.BuildInfo, modules []string) string {
	var s strings.Builder
	for i, module := range modules {
		if i > 0 {
			fmt.Fprintf(&s, " on %s ", strings.TrimPrefix(module, "github.com/"))
		}
		s.WriteString(moduleVersion(info, module))
	}
	return s.String()
}

// Unreleased is the version of a module that Go builds from a folder.
const Unreleased = "(devel)"

func moduleVersion(info *debug.BuildInfo, module string) string {
	for _, m := range info.Deps {
		if m.Path != module {
			continue
		}
		if m.Replace != nil {
			m = m.Replace
		}
		if m.Version == "" { // a folder
			return Unreleased
		}
		return m.Version
	}
	return "(unknown)"
}
