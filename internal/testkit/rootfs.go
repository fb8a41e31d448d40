package testkit

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vitrine-ndr/vitrine/internal/debian"
)

// fetchTime is how long a root file system may take on a machine that has none of its packages.
const fetchTime = 2 * time.Minute

// Container is a root file system of another release with programs that run as in a Docker container: an overlay is their
// root, they have mounts and process numbers of their own, and control groups that are named after the container. The
// network is the machine's.
type Container struct {
	ID  string // 64 hexadecimal digits, as in the control groups
	Dir string // the root as the machine sees it; what is written here is seen inside

	groups []string // folders of control groups
}

// RootFS makes a container of Debian packages, with all that they depend on, and removes it at the end of the test. Releases are
// bullseye (OpenSSL 1.1.1), bookworm (3.0) and trixie (3.5). Packages are fetched once and kept in the repository's
// .cache. It skips the test where there is no mirror, or no permission to mount.
func RootFS(t testing.TB, release string, packages ...string) *Container {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), fetchTime)
	defer cancel()
	lower, err := fetchRoot(ctx, release, packages)
	if errors.Is(err, debian.ErrUnreachable) {
		Skip(t, "no packages of %s: %v", release, err)
	}
	if err != nil {
		t.Fatal(err)
	}
	c := &Container{ID: newID(t), Dir: filepath.Join(t.TempDir(), "merged")}
	c.mount(t, lower)
	c.makeGroups(t)
	if out, err := c.Command(ctx, "true").CombinedOutput(); err != nil {
		SkipIfNotSupported(t, err)
		skipIfRefused(t, out)
		t.Fatalf("start a program in a container: %v: %s", err, out)
	}
	return c
}

func fetchRoot(ctx context.Context, release string, packages []string) (string, error) {
	cache, err := cacheFolder()
	if err != nil {
		return "", err
	}
	r, err := debian.Open(ctx, cache, release)
	if err != nil {
		return "", err
	}
	return r.Root(ctx, packages...)
}

// cacheFolder is below the root of the repository, in which the test of a package runs.
func cacheFolder() (string, error) {
	dir, err := os.Getwd()
	for ; err == nil; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return filepath.Join(dir, ".cache", "debian"), nil
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("find the repository: no go.mod above the working directory")
		}
	}
	return "", fmt.Errorf("find the repository: %w", err)
}

func newID(t testing.TB) string {
	t.Helper()
	id := make([]byte, 32)
	if _, err := rand.Read(id); err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(id)
}

// mount puts an overlay over the shared root, with a memory file system on top for what is written.
func (c *Container) mount(t testing.TB, lower string) {
	t.Helper()
	top := filepath.Join(filepath.Dir(c.Dir), "top")
	for _, m := range []struct{ kind, path, options string }{
		{"tmpfs", top, "mode=755"},
		{"overlay", c.Dir, fmt.Sprintf("lowerdir=%s,upperdir=%s/upper,workdir=%s/work", lower, top, top)},
	} {
		makeFolders(t, m.path)
		if err := unix.Mount(m.kind, m.path, m.kind, 0, m.options); err != nil {
			SkipIfNotSupported(t, err)
			t.Fatalf("mount %s: %v", m.kind, err)
		}
		t.Cleanup(func() {
			if err := unix.Unmount(m.path, unix.MNT_DETACH); err != nil {
				t.Errorf("unmount %s: %v", m.kind, err)
			}
		})
		if m.kind == "tmpfs" {
			makeFolders(t, filepath.Join(top, "upper"), filepath.Join(top, "work"))
		}
	}
}

func makeFolders(t testing.TB, paths ...string) {
	t.Helper()
	for _, p := range paths {
		if err := os.MkdirAll(p, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

// makeGroups makes the container's control group in every hierarchy that the machine has, as Docker does.
func (c *Container) makeGroups(t testing.TB) {
	t.Helper()
	hierarchies, err := groupHierarchies()
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range hierarchies {
		dir := filepath.Join(h, "docker", c.ID)
		err := os.MkdirAll(dir, 0o755)
		for errors.Is(err, os.ErrNotExist) {
			err = os.MkdirAll(dir, 0o755) // another test's last container took the folder above away
		}
		if err != nil {
			SkipIfNotSupported(t, err)
			if errors.Is(err, syscall.EROFS) {
				Skip(t, "control groups are read-only here: %v", err)
			}
			t.Fatal(err)
		}
		t.Cleanup(func() { removeGroup(t, dir) })
		c.groups = append(c.groups, dir)
	}
}

// groupHierarchies returns where control groups are mounted, of version 1, 2 or both. Those of cpuset take no process before they are
// given processors, and tell nothing that the others don't.
func groupHierarchies() (mounts []string, err error) {
	f, err := os.Open("/proc/self/mounts")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) > 3 && (fields[2] == "cgroup2" || fields[2] == "cgroup") && !strings.Contains(fields[3], "cpuset") {
			mounts = append(mounts, fields[1])
		}
	}
	return mounts, lines.Err()
}

// removeGroup waits for the last process, which the kernel takes out of its group a little after its end.
func removeGroup(t testing.TB, dir string) {
	t.Helper()
	var err error
	for range 100 {
		if err = os.Remove(dir); err == nil {
			_ = os.Remove(filepath.Dir(dir)) // of the last container only
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Errorf("remove control group: %v", err)
}

// enterScript becomes the program given as $2 and following, inside the root $1. The lines before the pivot run by the machine's
// programs, those behind it by the container's.
const enterScript = `set -e
root=$1; shift
while [ "$1" != -- ]; do echo 0 > "$1/cgroup.procs"; shift; done
shift
mount --make-rprivate /
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mkdir -p "$root/.machine"
cd "$root"
pivot_root . .machine
chroot .machine umount -l /
exec "$@"
`

// Command returns a command that will run inside the container, with nothing of the machine's environment. The command's process is
// the program itself. Everything in the container ends with it.
func (c *Container) Command(ctx context.Context, program string, args ...string) *exec.Cmd {
	enter := append([]string{"-c", enterScript, "container", c.Dir}, c.groups...)
	cmd := exec.CommandContext(ctx, "sh", append(append(enter, "--", program), args...)...)
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LC_ALL=C.UTF-8"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS}
	return cmd
}
