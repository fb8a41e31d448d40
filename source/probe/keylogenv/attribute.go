package keylogenv

import (
	"errors"
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// appendFlag is FS_APPEND_FL of include/uapi/linux/fs.h.
const appendFlag = 0x20

func isAppendOnly(f *os.File) bool {
	flags, err := unix.IoctlGetUint32(int(f.Fd()), unix.FS_IOC_GETFLAGS)
	return err == nil && flags&appendFlag != 0
}

// setAppendOnly sets or clears the attribute by which a file can only grow (FS_IOC_SETFLAGS(2const)).
func setAppendOnly(f *os.File, on bool) error {
	fd := int(f.Fd())
	flags, err := unix.IoctlGetUint32(fd, unix.FS_IOC_GETFLAGS)
	if err != nil {
		return err
	}
	wanted := flags &^ appendFlag
	if on {
		wanted |= appendFlag
	}
	if wanted == flags {
		return nil
	}
	return unix.IoctlSetPointerInt(fd, unix.FS_IOC_SETFLAGS, int(wanted))
}

// isUnsupported tells of a file system without attributes, such as tmpfs before Linux 6.0.
func isUnsupported(err error) bool {
	return slices.ContainsFunc([]error{unix.ENOTTY, unix.EOPNOTSUPP, unix.ENOSYS, unix.EINVAL}, func(e error) bool { return errors.Is(err, e) })
}
