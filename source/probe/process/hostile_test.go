package process

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vitrine-ndr/vitrine/internal/testkit"
)

// TestHostileNames runs a program whose path and arguments try to look like something else.
func TestHostileNames(t *testing.T) {
	dir := t.TempDir()
	const name = ") S 1 2\nUid:\t7"
	copyOf(t, testkit.Need(t, "sleep"), dir+"/"+name)
	cmd := exec.Command(dir+"/"+name, "60")
	cmd.Args[0] = "a\xff\nb" + strings.Repeat("x", 2*maxCommandLine)
	pid := start(t, cmd)
	var p *Process
	eventually(t, "it runs", func() bool {
		p, _ = New("/proc").Read(pid)
		return p != nil && p.Facts.Exe == dir+"/"+name && p.Facts.CommandLine != ""
	})
	f := p.Facts
	if f.Name != name[:min(len(name), 15)] || f.UID != os.Geteuid() || !strings.HasPrefix(f.CommandLine, "a\uFFFD\nbxxx") || len(f.CommandLine) > maxCommandLine+2 {
		t.Errorf("got %+v", f)
	}
	if since := time.Since(f.Start); since < 0 || since > time.Minute {
		t.Errorf("started %v", f.Start)
	}
	if got := mapped(t, pid, name); got.Path != dir+"/"+name {
		t.Errorf("its file is %q", got.Path)
	}
}

// TestProcessesThatVanish reads children while they come and go.
func TestProcessesThatVanish(t *testing.T) {
	table, program := New("/proc"), testkit.Need(t, "true")
	for i := range 100 {
		cmd := exec.Command(program)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() { done <- cmd.Wait() }()
		time.Sleep(time.Duration(i) * 20 * time.Microsecond)
		for _, err := range []error{second(table.Read(cmd.Process.Pid)), second(table.Mapped(cmd.Process.Pid)), second(table.Listening(cmd.Process.Pid))} {
			if err != nil && !errors.Is(err, ErrGone) {
				t.Error(err)
			}
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func TestZombie(t *testing.T) {
	cmd := exec.Command(testkit.Need(t, "true"))
	pid := start(t, cmd)
	table := New("/proc")
	eventually(t, "it is a zombie", func() bool {
		text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		return strings.Contains(string(text), ") Z ")
	})
	if p, err := table.Read(pid); err != nil || p.Facts.Name != "true" || p.Facts.Exe != "" {
		t.Errorf("got %+v, %v", p, err)
	}
	if files, err := table.Mapped(pid); err != nil && !errors.Is(err, ErrGone) || len(files) > 0 {
		t.Errorf("got %v, %v", files, err)
	}
}

// TestContainersOwnRoot has a process in a root directory of its own, which another distribution would fill.
func TestContainersOwnRoot(t *testing.T) {
	root := makeTree(t, map[string]string{"lib": "-> usr/lib", "lib64": "-> usr/lib64", "bin": "-> usr/bin", "usr/.keep": "", "opt/x/lib/libssl.so.3": "x", "usr2/libssl.so.9": "-> /proc/1/root/etc/passwd"})
	if err := syscall.Mount("/usr", root+"/usr", "", syscall.MS_BIND, ""); err != nil {
		testkit.SkipIfNotSupported(t, err)
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(root+"/usr", syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	cmd := exec.Command("/bin/sleep", "60")
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root, Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWUTS}
	cmd.Dir = "/"
	pid := start(t, cmd)
	library := mapped(t, pid, libc)
	p, err := New("/proc").Read(pid)
	if err != nil || p.Facts.PID != pid || p.Container != nil {
		t.Errorf("got %+v, %v", p, err)
	}
	if opened, err := library.Open(); err != nil {
		t.Error(err)
	} else {
		opened.Close()
	}
	found := paths(Libraries(fmt.Sprintf("/proc/%d/root", pid)))
	if len(found) < 2 || found[0] != "/opt/x/lib/libssl.so.3" {
		t.Errorf("libraries in it: %v", found)
	}
}
