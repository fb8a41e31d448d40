package keylogenv

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Limit is the size of the file system that the key file has to itself, in bytes: some 30,000 sessions of TLS 1.3. Beyond it
// keys are lost, and nothing else happens.
const Limit = 32 << 20

const (
	// Any user's programs append to the file, and only its owner reads it.
	fileMode = 0o622
	// Any user's programs reach the file, and nobody but the owner can list the folder or put anything into it.
	folderMode = 0o711
	// sink is what is written to where no keys are wanted.
	sink = "/dev/null"
	// appendFlag is FS_APPEND_FL of include/uapi/linux/fs.h.
	appendFlag = 0x20
	// fileSystem is how the memory file system calls itself in the list of mounts.
	fileSystem = "vitrine-keylog"
)

// KeyFile is how the key file stands.
type KeyFile struct {
	There      bool
	Size       int64
	Mounted    bool // it has a file system of its own, which bounds it
	AppendOnly bool // nobody but root can empty it
}

// openKeyFile makes the key file in a file system of its own, with a link to nowhere below it for the time when that is not mounted.
// What is there already is ours only if the mode is installed.
func (s *Setup) openKeyFile(installed bool) (changes []string, err error) {
	folder, file := s.path(s.folder()), s.path(s.cfg.File)
	if err := s.checkFolders(folder); err != nil {
		return nil, err
	}
	if mounted, err := isMounted(folder); err != nil {
		return nil, err
	} else if !mounted {
		if err := prepareFolder(folder, file, installed); err != nil {
			return nil, err
		}
		options := fmt.Sprintf("size=%d,mode=%04o", Limit, folderMode)
		if err := unix.Mount(fileSystem, folder, "tmpfs", unix.MS_NODEV|unix.MS_NOSUID|unix.MS_NOEXEC, options); err != nil {
			return nil, fmt.Errorf("mount a memory file system at %s: %w", folder, err)
		}
		changes = append(changes, fmt.Sprintf("mounted a memory file system of %d MiB at %s", Limit>>20, folder))
	}
	made, err := makeKeyFile(file)
	if made {
		changes = append(changes, "made "+file)
	}
	return changes, err
}

// checkFolders refuses a folder into which somebody else could put a link, or another file: each folder on the way must belong
// to us or to root, and be writable by nobody else.
func (s *Setup) checkFolders(folder string) error {
	for dir := folder; dir != s.path("/"); dir = filepath.Dir(dir) {
		info, err := os.Lstat(dir)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("look at the key file's folder: %w", err)
		}
		owner := int(info.Sys().(*syscall.Stat_t).Uid)
		switch {
		case !info.IsDir():
			err = errors.New("is no folder")
		case owner != 0 && owner != os.Geteuid():
			err = fmt.Errorf("belongs to user %d", owner)
		case info.Mode().Perm()&0o022 != 0:
			err = errors.New("can be written to by others")
		}
		if err != nil {
			return fmt.Errorf("%s %w: choose another --file", dir, err)
		}
	}
	return nil
}

// prepareFolder makes the folder with a link to nowhere in it, and refuses one that holds anything else.
func prepareFolder(folder, file string, installed bool) error {
	if err := os.Mkdir(folder, folderMode); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("make the key file's folder: %w", err)
	}
	entries, err := os.ReadDir(folder)
	if err != nil {
		return fmt.Errorf("look into the key file's folder: %w", err)
	}
	if len(entries) > 1 || len(entries) == 1 && !isStandIn(file) && !(installed && isRegular(file)) {
		return fmt.Errorf("%s holds files that are not ours: choose another --file, in a folder of its own", folder)
	}
	if err := os.Chmod(folder, folderMode); err != nil {
		return fmt.Errorf("let programs reach the key file: %w", err)
	}
	return putStandIn(file)
}

func isStandIn(file string) bool {
	to, err := os.Readlink(file)
	return err == nil && to == sink
}

func isRegular(file string) bool {
	info, err := os.Lstat(file)
	return err == nil && info.Mode().IsRegular()
}

// putStandIn puts a link to nowhere in the place of the file, if there is one. There is no moment without anything in that place.
func putStandIn(file string) error {
	if isStandIn(file) {
		return nil
	}
	if f, err := os.OpenFile(file, os.O_RDONLY|unix.O_NOFOLLOW, 0); err == nil {
		_ = setAppendOnly(f, false) // or else it could not be replaced
		f.Close()
	}
	beside := filepath.Join(filepath.Dir(file), ".stand-in")
	err := os.Symlink(sink, beside)
	if err == nil {
		err = os.Rename(beside, file)
	}
	if err != nil {
		return fmt.Errorf("make the key file's stand-in: %w", err)
	}
	return nil
}

// isMounted tells whether the folder has our memory file system on it, and no other one on top (proc_pid_mountinfo(5)).
func isMounted(folder string) (bool, error) {
	text, err := os.ReadFile("/proc/thread-self/mountinfo")
	if err != nil {
		return false, fmt.Errorf("read the list of mounts: %w", err)
	}
	mounted := false
	for line := range strings.Lines(string(text)) {
		before, after, _ := strings.Cut(line, " - ")
		where, what := strings.Fields(before), strings.Fields(after)
		if len(where) > 4 && where[4] == folder {
			mounted = len(what) > 1 && what[0] == "tmpfs" && what[1] == fileSystem
		}
	}
	return mounted, nil
}

// makeKeyFile makes the file if it is missing, and sets its permissions.
func makeKeyFile(file string) (made bool, err error) {
	if _, err := os.Lstat(file); errors.Is(err, fs.ErrNotExist) {
		made = true
	}
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_APPEND|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return false, fmt.Errorf("make key file: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return made, fmt.Errorf("make key file: %w", err)
	}
	if info.Mode().Perm() != fileMode { // which may only be changed while the attribute is off
		_ = setAppendOnly(f, false)
		if err := f.Chmod(fileMode); err != nil {
			return made, fmt.Errorf("let programs write to the key file: %w", err)
		}
	}
	if err := setAppendOnly(f, true); err != nil && !isUnsupported(err) {
		return made, fmt.Errorf("keep others from emptying the key file: %w", err)
	}
	return made, nil
}

// closeKeyFile unmounts the key file, which ends it. What remains is the link to nowhere, as long as anybody needs it. A file
// without a file system of its own is ours only if the mode was installed: then a boot has made it, and could not mount that.
func (s *Setup) closeKeyFile(installed bool) (changes []string, err error) {
	folder, file := s.path(s.folder()), s.path(s.cfg.File)
	mounted, err := isMounted(folder)
	switch {
	case err != nil:
		return nil, err
	case mounted: // detached: who has the file open writes to something that nobody else can reach
		if err := unix.Unmount(folder, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW); err != nil {
			return nil, fmt.Errorf("unmount the key file: %w", err)
		}
		changes = append(changes, "unmounted "+folder+", and with it the keys")
	case installed && isRegular(file):
		if err := putStandIn(file); err != nil {
			return nil, err
		}
		changes = append(changes, "removed "+file+", and with it the keys")
	}
	if !isStandIn(file) {
		return changes, nil // nothing of ours is there
	}
	if pids := holders(procFolder, s.cfg.File); len(pids) > 0 {
		return append(changes, fmt.Sprintf("left %s as a link to %s: %d processes still have the variable, such as %s; switch off again when they have ended",
			file, sink, len(pids), some(pids))), nil
	}
	if err := errors.Join(os.Remove(file), os.Remove(folder)); err != nil {
		return changes, fmt.Errorf("remove the key file's stand-in: %w", err)
	}
	return append(changes, "removed "+folder), nil
}

// keyFile looks at the key file.
func (s *Setup) keyFile() (k KeyFile, err error) {
	if k.Mounted, err = isMounted(s.path(s.folder())); err != nil {
		return k, err
	}
	f, err := os.OpenFile(s.path(s.cfg.File), os.O_RDONLY|unix.O_NOFOLLOW, 0)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ELOOP) {
		return k, nil
	}
	if err != nil {
		return k, fmt.Errorf("look at key file: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return k, fmt.Errorf("look at key file: %w", err)
	}
	k.There, k.Size = true, info.Size()
	k.AppendOnly = isAppendOnly(f)
	return k, nil
}

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

// some names a few of the processes.
func some(pids []int) string {
	text := fmt.Sprint(pids[:min(3, len(pids))])
	return strings.Trim(text, "[]")
}
