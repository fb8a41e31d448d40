package keylogenv

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

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
	// fileSystem is how the memory file system calls itself in the list of mounts.
	fileSystem = "vitrine-keylog"
)

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

// some names a few of the processes.
func some(pids []int) string {
	text := fmt.Sprint(pids[:min(3, len(pids))])
	return strings.Trim(text, "[]")
}
