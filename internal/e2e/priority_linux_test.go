package e2e

import (
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"testing"
	"unsafe"
)

// raisePriority gives this process a real-time priority, if that is allowed. So the delay of the
// good client does not include its wait for a processor. It returns the prefix of a
// command that must not inherit the priority, and a function that restores it.
func raisePriority(t *testing.T) (others string, restore func()) {
	const other, realtime = 0, 2 // SCHED_OTHER, SCHED_RR
	usual := "chrt --other 0"
	if out, err := exec.Command("sh", "-c", usual+" true").CombinedOutput(); err != nil {
		t.Logf("the good client shares the processors: %v: %s", err, out)
		return "", func() {}
	}
	if errno := setPolicy(realtime, 1); errno != 0 {
		t.Logf("the good client shares the processors: %v", errno)
	}
	return usual, func() { setPolicy(other, 0) }
}

// setPolicy sets the policy of all existing threads. New threads inherit it.
func setPolicy(policy, priority uintptr) syscall.Errno {
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return syscall.ENOSYS
	}
	param := int32(priority)
	for _, task := range tasks {
		id, err := strconv.Atoi(task.Name())
		if err != nil {
			return syscall.EINVAL
		}
		_, _, errno := syscall.RawSyscall(syscall.SYS_SCHED_SETSCHEDULER, uintptr(id), policy, uintptr(unsafe.Pointer(&param)))
		if errno != 0 && errno != syscall.ESRCH {
			return errno
		}
	}
	return 0
}
