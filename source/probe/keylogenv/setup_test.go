package keylogenv

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/vitrine-ndr/vitrine/internal/testkit"
)

// newSystem makes a folder that is laid out like a system, as far as it matters.
func newSystem(t *testing.T, folders ...string) string {
	t.Helper()
	root := t.TempDir()
	for _, f := range append(folders, "etc", "run") {
		if err := os.MkdirAll(filepath.Join(root, f), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func newSetup(t *testing.T, cfg Config) *Setup {
	t.Helper()
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// switchOn switches the mode on and off again at the end of the test, for a mount outlives it.
func switchOn(t *testing.T, s *Setup) []string {
	t.Helper()
	changes, err := s.On()
	testkit.SkipIfNotSupported(t, err)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if mounted, err := isMounted(s.path(s.folder())); mounted || err != nil {
			if err := unix.Unmount(s.path(s.folder()), unix.MNT_DETACH); err != nil {
				t.Error(err)
			}
		}
	})
	return changes
}

// listing is everything below a folder: path, mode, and content or target.
func listing(t *testing.T, root string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		var content []byte
		if info.Mode().IsRegular() {
			content, err = os.ReadFile(path)
		}
		name, _ := filepath.Rel(root, path)
		all[name] = info.Mode().String() + " " + string(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestOnAndOffLeaveNoTrace(t *testing.T) {
	const (
		profile   = "etc/profile.d/vitrine-keylog.sh"
		generator = "etc/systemd/user-environment-generators/50-vitrine-keylog"
		mount     = "etc/systemd/system/run-vitrine\\x2dkeylog.mount"
		target    = "etc/systemd/system/local-fs.target.d/50-vitrine-keylog.conf"
		tmpfiles  = "etc/tmpfiles.d/vitrine-keylog.conf"
		services  = "etc/systemd/system.conf.d/50-vitrine-keylog.conf"
	)
	systemd := []string{"etc/profile.d", "etc/systemd/system", "etc/tmpfiles.d"}
	for name, c := range map[string]struct {
		folders []string
		cfg     Config
		want    []string
	}{
		"systemd":           {systemd, Config{}, []string{profile, generator, mount, target, tmpfiles}},
		"bare systemd":      {[]string{"etc/systemd"}, Config{}, []string{profile, generator, mount, target, tmpfiles}},
		"services":          {systemd, Config{Services: true}, []string{profile, generator, mount, target, tmpfiles, services}},
		"without systemd":   {[]string{"etc/profile.d"}, Config{}, []string{profile}},
		"without a profile": {nil, Config{}, []string{profile}},
		"elsewhere":         {[]string{"etc/profile.d", "var/lib"}, Config{File: "/var/lib/tls-keys/all.log"}, []string{profile}},
	} {
		t.Run(name, func(t *testing.T) {
			c.cfg.Root = newSystem(t, c.folders...)
			before := listing(t, c.cfg.Root)
			s := newSetup(t, c.cfg)
			if changes := switchOn(t, s); len(changes) != len(c.want)+2 {
				t.Errorf("changed %q", changes)
			}
			status, err := s.Status()
			if err != nil {
				t.Fatal(err)
			}
			var want []string
			for _, w := range c.want {
				want = append(want, filepath.Join(c.cfg.Root, w))
			}
			if diff := cmp.Diff(want, status.DropIns); diff != "" || !status.On || status.Services != c.cfg.Services {
				t.Errorf("status %+v\n%s", status, diff)
			}
			if k := status.Keys; !k.There || !k.Mounted || k.Size != 0 {
				t.Errorf("key file %+v", k)
			}
			if changes, err := s.On(); err != nil || len(changes) > 0 {
				t.Errorf("switched on again: %q, %v", changes, err)
			}
			if changes, err := s.Off(); err != nil || len(changes) != len(c.want)+2 {
				t.Errorf("switched off: %q, %v", changes, err)
			}
			if diff := cmp.Diff(before, listing(t, c.cfg.Root)); diff != "" {
				t.Errorf("what stays:\n%s", diff)
			}
			if changes, err := s.Off(); err != nil || len(changes) > 0 {
				t.Errorf("switched off again: %q, %v", changes, err)
			}
		})
	}
}

func TestServicesComeAndGo(t *testing.T) {
	root := newSystem(t, "etc/systemd/system")
	switchOn(t, newSetup(t, Config{Root: root, Services: true}))
	changes, err := newSetup(t, Config{Root: root}).On()
	if want := []string{"removed " + filepath.Join(root, "etc/systemd/system.conf.d/50-vitrine-keylog.conf")}; err != nil || !cmp.Equal(want, changes) {
		t.Errorf("without services: %q, %v", changes, err)
	}
	if _, err := os.Stat(filepath.Join(root, "etc/systemd/system.conf.d")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the folder is still there: %v", err)
	}
}

// TestRefusals has files and folders that others could have put there.
func TestRefusals(t *testing.T) {
	write := func(t *testing.T, path, text string) {
		t.Helper()
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		cfg     Config
		prepare func(t *testing.T, root string)
		want    string
	}{
		"foreign drop-in": {Config{}, func(t *testing.T, root string) {
			write(t, filepath.Join(root, "etc/profile.d/vitrine-keylog.sh"), "export SSLKEYLOGFILE=/home/me/keys\n")
		}, "not ours"},
		"link in place of a drop-in": {Config{}, func(t *testing.T, root string) {
			write(t, filepath.Join(root, "etc/precious"), marker)
			if err := errors.Join(os.Mkdir(filepath.Join(root, "etc/profile.d"), 0o755), os.Symlink("../precious", filepath.Join(root, "etc/profile.d/vitrine-keylog.sh"))); err != nil {
				t.Fatal(err)
			}
		}, "not ours"},
		"folder in use": {Config{}, func(t *testing.T, root string) { write(t, filepath.Join(root, "run/vitrine-keylog/else"), "x") }, "not ours"},
		"folder of others": {Config{File: "/tmp/keys/all.log"}, func(t *testing.T, root string) {
			dir := filepath.Join(root, "tmp")
			if err := errors.Join(os.Mkdir(dir, 0o700), os.Chmod(dir, 0o777|fs.ModeSticky)); err != nil {
				t.Fatal(err)
			}
		}, "can be written to by others"},
		"link in place of the folder": {Config{}, func(t *testing.T, root string) {
			write(t, filepath.Join(root, "home/me/keylog/x"), "")
			if err := os.Symlink("../home/me/keylog", filepath.Join(root, "run/vitrine-keylog")); err != nil {
				t.Fatal(err)
			}
		}, "is no folder"},
		"another file system": {Config{File: "/run/theirs/all.log"}, func(t *testing.T, root string) {
			dir := filepath.Join(root, "run/theirs")
			if err := os.Mkdir(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			err := unix.Mount("tmpfs", dir, "tmpfs", 0, "mode=0755")
			testkit.SkipIfNotSupported(t, err)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := unix.Unmount(dir, 0); err != nil {
					t.Error(err)
				}
			})
			write(t, filepath.Join(dir, "data"), "precious")
		}, "not ours"},
		"services without systemd": {Config{Services: true}, func(*testing.T, string) {}, "systemd"},
	} {
		t.Run(name, func(t *testing.T) {
			c.cfg.Root = newSystem(t)
			c.prepare(t, c.cfg.Root)
			before := listing(t, c.cfg.Root)
			if changes, err := newSetup(t, c.cfg).On(); err == nil || !strings.Contains(err.Error(), c.want) || len(changes) > 0 {
				t.Errorf("changed %q, %v", changes, err)
			}
			if _, err := newSetup(t, c.cfg).Off(); err != nil {
				t.Errorf("switch off: %v", err)
			}
			if diff := cmp.Diff(before, listing(t, c.cfg.Root)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestShellDropIns runs the scripts as a user without rights does.
func TestShellDropIns(t *testing.T) {
	ownSystem(t)
	s := newSetup(t, Config{})
	if _, err := s.On(); err != nil {
		t.Fatal(err)
	}
	generator := "/etc/systemd/user-environment-generators/50-vitrine-keylog"
	if _, err := os.Stat(generator); err != nil {
		t.Fatalf("no generator, so this machine has no /etc/systemd: %v", err)
	}
	check := func(name, command, want string) {
		t.Helper()
		if out, err := login(t, command); err != nil || out != want {
			t.Errorf("%s: got %q, %v, want %q", name, out, err, want)
		}
	}
	told := variable + "=" + s.File() + "\n"
	check("login", "env | grep KEYLOG", told)
	check("generator", "unset SSLKEYLOGFILE; "+generator, told)
	check("generator, with an own file", "SSLKEYLOGFILE=/mine "+generator, "")
	check("profile, with an own file", "SSLKEYLOGFILE=/mine; . /etc/profile.d/vitrine-keylog.sh; echo $SSLKEYLOGFILE", "/mine\n")
	// A boot takes away what is in memory. Until the file is back, nobody is told of it.
	if err := unix.Unmount("/run/vitrine-keylog", 0); err != nil {
		t.Fatal(err)
	}
	check("into the stand-in", "cat $SSLKEYLOGFILE", "")
	if err := os.RemoveAll("/run/vitrine-keylog"); err != nil {
		t.Fatal(err)
	}
	check("without the file", "unset SSLKEYLOGFILE; . /etc/profile.d/vitrine-keylog.sh; "+generator+"; echo ${SSLKEYLOGFILE-none}", "none\n")
	if out, err := exec.CommandContext(t.Context(), testkit.Need(t, "systemd-tmpfiles"), "--create", "/etc/tmpfiles.d/vitrine-keylog.conf").CombinedOutput(); err != nil {
		t.Fatalf("systemd-tmpfiles: %v: %s", err, out)
	}
	check("with the file that systemd made", "unset SSLKEYLOGFILE; "+generator, told)
	if k, err := s.keyFile(); err != nil || !k.There || k.Mounted || !k.AppendOnly {
		t.Errorf("what systemd made: %+v, %v", k, err)
	}
	if changes, err := s.On(); err != nil || len(changes) != 2 {
		t.Errorf("set to rights: %q, %v", changes, err)
	}
	if k, err := s.keyFile(); err != nil || !k.Mounted {
		t.Errorf("set to rights: %+v, %v", k, err)
	}
	if err := unix.Unmount("/run/vitrine-keylog", 0); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Remove(s.File()), os.WriteFile(s.File(), []byte("keys"), 0o600)); err != nil {
		t.Fatal(err)
	}
	if changes, err := s.Off(); err != nil || len(changes) == 0 {
		t.Errorf("switched off after a boot: %q, %v", changes, err)
	}
	if entries, err := os.ReadDir("/run"); err != nil || len(entries) > 0 {
		t.Errorf("what stays in /run: %v, %v", entries, err)
	}
}

func TestPathsThatNeedNoQuoting(t *testing.T) {
	for path, valid := range map[string]bool{
		DefaultFile: true, "/var/lib/vitrine-keys/k.log": true, "/srv/.keys/a_b": true,
		"keys.log": false, "/keys.log": false, "/run/keys.log": false, "/run/a/../keys.log": false, "/run/a/": false, "/run/a//b": false,
		"/run/a b/c": false, "/run/$(id)/c": false, "/run/a/b\n": false, "/run/%h/c": false, "/run/ü/c": false, `/run/a\b/c`: false,
	} {
		if _, err := New(Config{Root: t.TempDir(), File: path}); (err == nil) != valid {
			t.Errorf("%q: %v", path, err)
		}
	}
}

func TestOtherFileWhileOn(t *testing.T) {
	root := newSystem(t)
	switchOn(t, newSetup(t, Config{Root: root, File: "/run/keys/all.log"}))
	if s := newSetup(t, Config{Root: root}); s.File() != "/run/keys/all.log" {
		t.Errorf("the file is %s", s.File())
	}
	if _, err := New(Config{Root: root, File: DefaultFile}); err == nil || !strings.Contains(err.Error(), "switch it off first") {
		t.Errorf("got %v", err)
	}
}

func TestUnitNames(t *testing.T) {
	for folder, want := range map[string]string{
		"/run/vitrine-keylog":   `run-vitrine\x2dkeylog.mount`,
		"/var/lib/vitrine-keys": `var-lib-vitrine\x2dkeys.mount`,
		"/.keys/a.b_c":          `\x2ekeys-a.b_c.mount`,
	} {
		if got := unitName(folder); got != want {
			t.Errorf("%s: got %s, want %s", folder, got, want)
		}
	}
}
