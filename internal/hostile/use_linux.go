package hostile

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// A Use is the resources of a process.
type Use struct {
	Files int   // open descriptors
	RSS   int64 // resident memory, in bytes
}

// UseOf returns the resources of a process. It fails on other systems than Linux.
func UseOf(pid int) (u Use, err error) {
	dir := "/proc/" + strconv.Itoa(pid)
	files, err := os.ReadDir(dir + "/fd")
	if err != nil {
		return u, err
	}
	u.Files = len(files)
	status, err := os.ReadFile(dir + "/status")
	if err != nil {
		return u, err
	}
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	var kB int64
	if _, err := fmt.Sscan(rest, &kB); err != nil {
		return u, fmt.Errorf("%s/status has no VmRSS: %w", dir, err)
	}
	u.RSS = kB << 10
	return u, nil
}
