package probe

import (
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// tracingDir is where the kernel lists its tracepoints, once that file system is mounted.
const tracingDir = "/sys/kernel/tracing"

// withTracefs calls f where tracepoints can be found. Where nobody has mounted their file system, as in containers, it is mounted for
// one thread alone, which ends with f: nobody else sees it, and nothing stays.
func withTracefs(f func() error) error {
	for _, dir := range []string{tracingDir, "/sys/kernel/debug/tracing"} {
		if _, err := os.Stat(dir + "/events"); err == nil {
			return f()
		}
	}
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with its mount namespace
		if err := mountTracefs(); err != nil {
			done <- fmt.Errorf("mount tracefs, as root can do by \"mount -t tracefs tracefs %s\": %w", tracingDir, err)
			return
		}
		done <- f()
	}()
	return <-done
}

func mountTracefs() error {
	if err := unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS); err != nil {
		return err
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SLAVE, ""); err != nil {
		return err
	}
	return unix.Mount("tracefs", tracingDir, "tracefs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "")
}
