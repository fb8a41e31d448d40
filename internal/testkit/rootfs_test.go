package testkit

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestRootFS looks at a container from outside, by /proc, as the probe does.
func TestRootFS(t *testing.T) {
	t.Parallel()
	for _, release := range []struct{ name, version, library string }{
		{"bullseye", "OpenSSL 1.1.1", "libssl.so.1.1"},
		{"trixie", "OpenSSL 3.5", "libssl.so.3"},
	} {
		t.Run(release.name, func(t *testing.T) {
			t.Parallel()
			c := RootFS(t, release.name, "openssl")
			out, err := c.Command(t.Context(), "openssl", "version").CombinedOutput()
			if err != nil || !strings.HasPrefix(string(out), release.version) {
				t.Fatalf("openssl version: %v: %s, want %s", err, out, release.version)
			}
			pid := startInside(t, c, "openssl", "s_server", "-accept", "0", "-nocert")
			maps := await(t, pid, "maps", release.library)
			for _, line := range strings.Split(maps, "\n") {
				if strings.Contains(line, release.library) && !strings.Contains(line, " /usr/lib/x86_64-linux-gnu/"+release.library) {
					t.Errorf("the mapping does not have the path inside: %s", line)
				}
			}
			if group := await(t, pid, "cgroup", c.ID); !strings.Contains(group, ":/docker/"+c.ID+"\n") {
				t.Errorf("control groups: %s", group)
			}
			if status := await(t, pid, "status", "NSpid:"); !strings.Contains(status, fmt.Sprintf("NSpid:\t%d\t1\n", pid)) {
				t.Errorf("the program is not the first process inside: %s", status)
			}
			inside := fmt.Sprintf("/proc/%d/root/usr/lib/x86_64-linux-gnu/%s", pid, release.library)
			if _, err := os.Stat(inside); err != nil {
				t.Errorf("the library can't be reached by the process's root: %v", err)
			}
		})
	}
}

func startInside(t *testing.T, c *Container, program string, args ...string) (pid int) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cmd := c.Command(ctx, program, args...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait()
	})
	return cmd.Process.Pid
}

// await reads a file of a process until it has some words.
func await(t *testing.T, pid int, file, words string) string {
	t.Helper()
	var text []byte
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		var err error
		if text, err = os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, file)); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), words) {
			return string(text)
		}
	}
	t.Fatalf("%s of the process never had %q: %s", file, words, text)
	return ""
}

func TestRootFSSharesFilesWithTheTest(t *testing.T) {
	t.Parallel()
	c := RootFS(t, "bullseye", "openssl")
	if err := os.WriteFile(filepath.Join(c.Dir, "tmp/in"), []byte("from outside"), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := c.Command(t.Context(), "sh", "-c", "cat /tmp/in; echo from inside > /tmp/out; ls /.machine").CombinedOutput(); err != nil || string(out) != "from outside" {
		t.Errorf("inside: %v: %s", err, out)
	}
	if text, err := os.ReadFile(filepath.Join(c.Dir, "tmp/out")); err != nil || string(text) != "from inside\n" {
		t.Errorf("outside: %v: %s", err, text)
	}
	other := RootFS(t, "bullseye", "openssl")
	if _, err := os.Stat(filepath.Join(other.Dir, "tmp/out")); !os.IsNotExist(err) {
		t.Errorf("another container has the file of the first: %v", err)
	}
}

func TestRootFSLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	var c *Container
	t.Run("container", func(t *testing.T) {
		c = RootFS(t, "bullseye", "openssl")
		startInside(t, c, "sleep", "100")
	})
	if c == nil {
		return // the reason is told
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(mounts), c.Dir) {
		t.Errorf("still mounted: %s", c.Dir)
	}
	for _, g := range c.groups {
		if _, err := os.Stat(g); !os.IsNotExist(err) {
			t.Errorf("control group %s is still there: %v", g, err)
		}
	}
}
