package keylogenv

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// checkPath allows paths that need no quoting in a shell, in a unit and in tmpfiles.d.
func checkPath(name string) error {
	safe := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-", r)
	}
	if !filepath.IsAbs(name) || filepath.Clean(name) != name || strings.ContainsFunc(name, func(r rune) bool { return !safe(r) }) {
		return fmt.Errorf("key file %q: want an absolute path of letters, digits, dots, hyphens and underscores", name)
	}
	if strings.Count(name, "/") < 3 {
		return fmt.Errorf("key file %q: its folder must be its own, such as that of %s", name, DefaultFile)
	}
	return nil
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
