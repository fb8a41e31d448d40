package process

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/vitrine-ndr/vitrine/internal/testkit"
)

func TestParseMaps(t *testing.T) {
	const text = `55dd0000-55de0000 r--p 00000000 fe:00 11 /usr/bin/a
55de0000-55df0000 r-xp 00001000 fe:00 11 /usr/bin/a
55df0000-55e00000 r-xp 00002000 fe:00 11                         /usr/bin/a
7f000000-7f010000 rw-p 00000000 00:00 0 [heap]
7f010000-7f020000 r-xp 00000000 00:00 0
7f020000-7f030000 rwxs 00000000 00:01 7 /memfd:jit (deleted)
7f030000-7f040000 r-xp 00000000 103:00005 12 /opt/with  two spaces\012and a line.so
7f040000-7f050000 r-xp 00000000 fe:00 13 /usr/bin/a
7f050000-7f060000 --xp 00000000 fe:00 14 relative
7f060000-7f070000 r-xp 00000000 fe:00
nonsense
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0 [vsyscall]`
	got, err := parseMaps(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	want := []mapping{
		{"55de0000-55df0000", true, FileID{Dev: 0xfe00, Inode: 11}, "/usr/bin/a"},
		{"7f020000-7f030000", true, FileID{Dev: 0x1, Inode: 7}, "/memfd:jit (deleted)"},
		{"7f030000-7f040000", true, FileID{Dev: 0x10305, Inode: 12}, "/opt/with  two spaces\nand a line.so"},
		{"7f040000-7f050000", true, FileID{Dev: 0xfe00, Inode: 13}, "/usr/bin/a"}, // replaced, and mapped again
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(mapping{}, FileID{})); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// copyOf copies a program into a folder.
func copyOf(t *testing.T, program, to string) []byte {
	t.Helper()
	content, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, content, 0o755); err != nil {
		t.Fatal(err)
	}
	return content
}

// mapped waits until a process has mapped a file of that name, and returns it.
func mapped(t *testing.T, pid int, base string) (found File) {
	t.Helper()
	table := New("/proc")
	eventually(t, base+" is mapped", func() bool {
		files, _ := table.Mapped(pid)
		i := slices.IndexFunc(files, func(f File) bool { return filepath.Base(f.Path) == base })
		if i >= 0 {
			found = files[i]
		}
		return i >= 0
	})
	return found
}

func TestMappedFileThatWasReplaced(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "tool")
	content := copyOf(t, testkit.Need(t, "sleep"), path)
	pid := start(t, exec.Command(path, "60"))
	before := mapped(t, pid, "tool")
	if before.Deleted || before.Path != path {
		t.Errorf("got %+v", before)
	}
	if err := os.WriteFile(path+".new", []byte("another"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
	after := mapped(t, pid, "tool")
	if !after.Deleted || after.Path != path || after.ID != before.ID {
		t.Errorf("got %+v, before it was %+v", after, before)
	}
	opened, err := after.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	if got, err := io.ReadAll(opened); err != nil || !bytes.Equal(got, content) {
		t.Errorf("opened, it is another file: %v", err)
	}
}

func TestOpenChecks(t *testing.T) {
	root := makeTree(t, map[string]string{"lib/libssl.so.3": "x"})
	path := filepath.Join(root, "lib/libssl.so.3")
	f := Libraries(root)[0]
	for name, replace := range map[string]func() error{
		"nothing": func() error { return nil },
		"a pipe":  func() error { return syscall.Mkfifo(path, 0o600) },
		"a link":  func() error { return os.Symlink("/dev/zero", path) },
		"a file":  func() error { return os.WriteFile(path, nil, 0o600) },
	} {
		if err := os.Rename(path, filepath.Join(root, "old "+name)); err != nil && name == "nothing" {
			t.Fatal(err)
		}
		if err := replace(); err != nil {
			t.Fatal(err)
		}
		if opened, err := f.Open(); err == nil {
			t.Errorf("%s was opened in place of the file: %s", name, opened.Name())
		}
	}
}

// overlay mounts one folder over another.
func overlay(t *testing.T, lower string) (mount string) {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"upper", "work", "merged"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	mount = filepath.Join(dir, "merged")
	options := "lowerdir=" + lower + ",upperdir=" + dir + "/upper,workdir=" + dir + "/work"
	if err := syscall.Mount("overlay", mount, "overlay", 0, options); err != nil {
		testkit.SkipIfNotSupported(t, err)
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(mount, 0); err != nil {
			t.Error(err)
		}
	})
	return mount
}

// TestContainersOfOneImage has files that two containers share, each under a device of its own, and one that a container has changed.
func TestContainersOfOneImage(t *testing.T) {
	lower := t.TempDir()
	if err := os.Mkdir(filepath.Join(lower, "lib"), 0o755); err != nil {
		t.Fatal(err)
	}
	copyOf(t, testkit.Need(t, "sleep"), filepath.Join(lower, "lib/libssl.so.3")) // a program by the name of a library serves for both
	one, two, changed := overlay(t, lower), overlay(t, lower), overlay(t, lower)
	copyOf(t, testkit.Need(t, "sleep"), filepath.Join(changed, "lib/libssl.so.3"))
	var ids, aheadOfTime []FileID
	for _, root := range []string{one, two, changed} {
		pid := start(t, exec.Command(filepath.Join(root, "lib/libssl.so.3"), "60"))
		ids = append(ids, mapped(t, pid, "libssl.so.3").ID)
		aheadOfTime = append(aheadOfTime, Libraries(root)[0].ID)
		t.Cleanup(func() { _ = syscall.Kill(pid, syscall.SIGKILL) })
	}
	if ids[0] != ids[1] || ids[0] == ids[2] {
		t.Errorf("shared, shared and changed are %+v", ids)
	}
	if !slices.Equal(ids, aheadOfTime) {
		t.Errorf("found by folder they are %+v, in processes %+v", aheadOfTime, ids)
	}
}

// TestMappedID checks the way of older kernels on a file that is not on overlayfs: it must tell what stat does.
func TestMappedID(t *testing.T) {
	fd, err := openPath("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(fd)
	facts, err := statFile(fd, "")
	if err != nil {
		t.Fatal(err)
	}
	want := FileID{Dev: facts.seen.Dev, Inode: facts.seen.Inode}
	if got, err := mappedID(fd); err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
}

// TestInodesUsedAgain makes files until one has the inode of one that is gone. Some file systems never do that.
func TestInodesUsedAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	seen := map[uint64]FileID{}
	for range 64 {
		if err := os.WriteFile(path, []byte("text"), 0o644); err != nil {
			t.Fatal(err)
		}
		facts, err := lookAt(path)
		if err != nil {
			t.Fatal(err)
		}
		if before, again := seen[facts.seen.Inode]; again {
			if before == facts.id {
				t.Errorf("a file that is gone and a new one are both %+v", before)
			}
			return
		}
		seen[facts.seen.Inode] = facts.id
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond) // the time of birth is that of the kernel's clock tick
	}
	t.Logf("no inode was used again here")
}

// libc is the last file that a simple program maps.
const libc = "libc.so.6"

// unprivileged names the environment of a test that runs itself as a user without rights.
const unprivileged = "PROCESS_TEST_UNPRIVILEGED"

// TestMappedWithoutPrivileges looks at a process of the same user, without the right to use map_files.
func TestMappedWithoutPrivileges(t *testing.T) {
	if os.Getenv(unprivileged) != "" {
		pid := start(t, exec.Command("sleep", "60"))
		own := mapped(t, pid, libc) // which comes last
		opened, err := own.Open()
		if err != nil {
			t.Fatal(err)
		}
		opened.Close()
		files, err := New("/proc").Mapped(pid)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.NewEncoder(os.Stdout).Encode(paths(files)); err != nil {
			t.Fatal(err)
		}
		return
	}
	// The test's own file may be in a folder that nobody else may enter; the link leads to it nevertheless.
	cmd := exec.Command("/proc/self/exe", "-test.run=^TestMappedWithoutPrivileges$", "-test.count=1")
	cmd.Dir, cmd.Env = "/", append(os.Environ(), unprivileged+"=1")
	if os.Geteuid() == 0 {
		const nobody = 65534
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		testkit.SkipIfNotSupported(t, err)
		t.Fatalf("%v: %s", err, out)
	}
	pid := start(t, exec.Command(testkit.Need(t, "sleep"), "60"))
	mapped(t, pid, libc)
	files, err := New("/proc").Mapped(pid)
	if err != nil {
		t.Fatal(err)
	}
	want, err := json.Marshal(paths(files))
	if err != nil || !bytes.Contains(out, want) {
		t.Errorf("without privileges: %s, with: %s", out, want)
	}
}
