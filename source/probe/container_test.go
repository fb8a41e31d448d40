package probe_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/internal/testkit"
	"github.com/vitrine-ndr/vitrine/source/probe"
)

// TestContainers watches programs that have a root file system of their own, with another OpenSSL than the host's.
func TestContainers(t *testing.T) {
	id, s := newIdentity(t), newSite(t)
	port := nginx(t, id, s)
	w := watch(t, probe.Config{})
	for _, release := range []struct{ name, version string }{{"bullseye", "1.1"}, {"trixie", "3.5"}} {
		t.Run(release.name, func(t *testing.T) {
			t.Parallel()
			one := testkit.RootFS(t, release.name, "curl", "openssl")
			other := testkit.RootFS(t, release.name, "curl", "openssl")
			firstProgram(t, w, one, port, release.version)
			for i := range 3 {
				inside(t, w, one, port, fmt.Sprintf("/ok/%s-one-%d", release.name, i))
				inside(t, w, other, port, fmt.Sprintf("/ok/%s-other-%d", release.name, i))
			}
			serverInside(t, w, one, id, release.name)
			ends(t, one)
			inside(t, w, other, port, fmt.Sprintf("/ok/%s-survivor", release.name)) // of the same image
			ends(t, other)
		})
	}
}

// firstProgram waits until the probe sees into the first program of a container.
func firstProgram(t *testing.T, w *watched, c *testkit.Container, port int, version string) {
	t.Helper()
	cmd := c.Command(t.Context(), "openssl", "s_client", "-quiet", "-connect", fmt.Sprint("127.0.0.1:", port))
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	watch := testkit.StartWatch()
	var covered probe.Coverage
	w.until(t, "coverage of the first program", func() bool {
		for _, c := range w.coverage {
			if c.Process.PID == cmd.Process.Pid && c.State == event.Covered {
				covered = c
				return true
			}
		}
		return false
	})
	watch.Within(t, time.Second, "the coverage of the first program")
	if covered.Library != "openssl" || !strings.HasPrefix(covered.Version, version[:1]) || covered.Container == nil || covered.Container.ID != c.ID {
		t.Errorf("coverage is %+v, want OpenSSL %s in %s", covered, version, c.ID)
	}
	path := "/ok/first-" + version
	fmt.Fprintf(in, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", path)
	if r := w.await(t, path, asked(path)); r.Process.PID != cmd.Process.Pid || r.Container == nil || r.Container.ID != c.ID {
		t.Errorf("the first program is %+v in %+v", r.Process, r.Container)
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
}

// inside has curl in a container ask for a path, and wants to see it once, from its first byte. On a machine that stalls, curl may end before
// anybody can ask for its container: then another one asks.
func inside(t *testing.T, w *watched, c *testkit.Container, port int, path string) {
	t.Helper()
	for i := range 10 {
		if again := fmt.Sprintf("%s-%d", path, i); insideOnce(t, w, c, port, again) {
			return
		}
	}
	t.Errorf("%s: the container is never told", path)
}

// insideOnce reports whether the container is told.
func insideOnce(t *testing.T, w *watched, c *testkit.Container, port int, path string) bool {
	t.Helper()
	_, pid := runCommand(t, c.Command(t.Context(), "curl", "-skf", "-o", "/dev/null", "-w", "%{local_port}", fmt.Sprintf("https://127.0.0.1:%d%s", port, path)))
	r := w.await(t, path, asked(path))
	if r.Container != nil && r.Container.ID != c.ID {
		t.Errorf("%s: the container is %+v, want %s", path, r.Container, c.ID)
	}
	if r.Process.PID != pid || r.Process.Name != "curl" || r.Process.Exe != "/usr/bin/curl" {
		t.Errorf("%s: the process is %+v, want %d", path, r.Process, pid)
	}
	if int(r.Server.Port) != port || !r.Client.IP.IsLoopback() {
		t.Errorf("%s: %v to %v", path, r.Client, r.Server)
	}
	if all := w.all(asked(path)); len(all) != 1 {
		t.Errorf("%s was seen %d times", path, len(all))
	}
	return r.Container != nil
}

func serverInside(t *testing.T, w *watched, c *testkit.Container, id identity, name string) {
	t.Helper()
	for from, to := range map[string]string{id.cert: "cert.pem", id.key: "key.pem"} {
		b, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(c.Dir, "tmp", to), b)
	}
	port, path := freePort(t), "/"+name+"-server"
	write(t, filepath.Join(c.Dir, path), []byte("HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nfine\n"))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	cmd := c.Command(ctx, "openssl", "s_server", "-accept", fmt.Sprint("127.0.0.1:", port), "-cert", "/tmp/cert.pem", "-key", "/tmp/key.pem", "-HTTP", "-quiet")
	serve(t, port, cmd)
	pid := curl(t, port, path)
	if r := w.await(t, "the request at the client", asked(path)); r.Process.PID != pid || r.Container != nil && r.Container.ID == c.ID {
		t.Errorf("the client is %+v in %+v, want %d on the host", r.Process, r.Container, pid)
	}
	time.Sleep(3 * time.Second)
	r := w.await(t, "the request at the server", func(r *event.Record) bool {
		return r.HTTP != nil && r.HTTP.URL == path && r.Local == "server"
	})
	if r.Process.PID != cmd.Process.Pid || r.Container == nil || r.Container.ID != c.ID || int(r.Server.Port) != port {
		t.Errorf("the server is %+v in %+v at %v", r.Process, r.Container, r.Server)
	}
}

// ends wants a container without processes to be unmounted soon: containerd tries for 2.5 seconds.
func ends(t *testing.T, c *testkit.Container) {
	t.Helper()
	begun, watch := time.Now(), testkit.StartWatch()
	err := unix.Unmount(c.Dir, 0)
	for ; err == unix.EBUSY && time.Since(begun) < patience; err = unix.Unmount(c.Dir, 0) {
		time.Sleep(50 * time.Millisecond)
	}
	if err != nil {
		t.Fatalf("unmount after %v: %v", time.Since(begun), err)
	}
	watch.Within(t, 2500*time.Millisecond, "unmounting")
	if err := unix.Mount("tmpfs", c.Dir, "tmpfs", 0, ""); err != nil { // which the test's end unmounts
		t.Fatal(err)
	}
}
