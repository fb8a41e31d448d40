package probe_test

import (
	"bufio"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/internal/testkit"
	"github.com/vitrine-ndr/vitrine/source/probe"
)

//go:embed testdata/talk.py
var talk string

// talker is a program that does with TLS what it is told.
type talker struct {
	t   testing.TB
	pid int
	in  io.Writer
	out *bufio.Reader
}

func newTalker(t testing.TB, env ...string) *talker {
	t.Helper()
	cmd := exec.Command("/usr/bin/python3", "-c", talk)
	cmd.Env = append(os.Environ(), env...)
	return talkTo(t, cmd)
}

// talkTo starts a program that runs talk, and ends it with the test.
func talkTo(t testing.TB, cmd *exec.Cmd) *talker {
	t.Helper()
	in, errIn := cmd.StdinPipe()
	out, errOut := cmd.StdoutPipe()
	cmd.Stderr = os.Stderr
	if err := errors.Join(errIn, errOut, cmd.Start()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("what the program did: %v", err)
		}
	})
	return &talker{t, cmd.Process.Pid, in, bufio.NewReader(out)}
}

// do has it do something and returns the words of its answer.
func (k *talker) do(format string, args ...any) []string {
	k.t.Helper()
	fmt.Fprintf(k.in, format+"\n", args...)
	line, err := k.out.ReadString('\n')
	if err != nil {
		k.t.Fatalf("%s: %v", fmt.Sprintf(format, args...), err)
	}
	return strings.Fields(line)
}

// get asks for a path over a connection of its own, and returns its local port.
func (k *talker) get(port int, path string) (local string) {
	k.t.Helper()
	local = k.do("connect %d", port)[0]
	k.do("ask %s", path)
	k.do("close")
	return local
}

// asked finds the requests for a path that were seen at the client.
func asked(path string) func(*event.Record) bool {
	return func(r *event.Record) bool {
		return r.HTTP != nil && r.HTTP.URL == path && r.Local == flow.ClientSide && r.HTTP.Status == 200
	}
}

// TestProcesses follows programs through what programs do.
func TestProcesses(t *testing.T) {
	id, s := newIdentity(t), newSite(t)
	port := nginx(t, id, s)
	w := watch(t, probe.Config{})
	for name, test := range map[string]func(*testing.T, *watched, int){
		"short-lived":              shortLived,
		"library loaded late":      loadedLate,
		"fork before a connection": forkBefore,
		"fork within a connection": forkWithin,
		"exec":                     execOther,
		"exec of one without TLS":  execPlain,
		"seccomp":                  sandboxed,
		"descriptor used again":    descriptorAgain,
		"TLS object used again":    objectAgain,
		"library replaced on disk": libraryReplaced,
		"library written to":       libraryWritten,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, w, port)
		})
	}
}

// shortLived are programs of one request. None may be missed, from the first on.
func shortLived(t *testing.T, w *watched, port int) {
	const n = 20
	unnamed := 0
	for i := range n {
		path := fmt.Sprint("/ok/short-", i)
		pid := curl(t, port, path)
		r := w.await(t, path, asked(path))
		if r.Process.PID != pid || r.Process.Name != "curl" {
			t.Errorf("the process is %+v, want %d", r.Process, pid)
		}
		if !strings.HasSuffix(r.Process.CommandLine, path) {
			unnamed++ // it had ended before the agent's turn
		}
	}
	if unnamed > n/2 {
		t.Errorf("the command lines of %d in %d programs are unknown", unnamed, n)
	}
}

func loadedLate(t *testing.T, w *watched, port int) {
	host := newTalker(t)
	dir := copyOfLibrary(t)
	own := newTalker(t, "LD_LIBRARY_PATH="+dir)
	host.do("load")
	host.get(port, "/ok/late-host") // hooked before it was mapped
	own.do("load")
	w.covers(t, own.pid, filepath.Join(dir, "libssl.so.3"))
	own.get(port, "/ok/late-own")
	for path, k := range map[string]*talker{"/ok/late-host": host, "/ok/late-own": own} {
		if r := w.await(t, path, asked(path)); r.Process.PID != k.pid {
			t.Errorf("%s: the process is %+v, want %d", path, r.Process, k.pid)
		}
	}
}

// copyOfLibrary returns a folder with a libssl of its own.
func copyOfLibrary(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "libssl.so.3"), hostLibrary(t))
	return dir
}

func hostLibrary(t testing.TB) []byte {
	t.Helper()
	found, err := filepath.Glob("/usr/lib/*/libssl.so.3")
	if err != nil || len(found) == 0 {
		testkit.Skip(t, "no libssl.so.3 on this machine: %v", err)
	}
	b, err := os.ReadFile(found[0])
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func forkBefore(t *testing.T, w *watched, port int) {
	k := newTalker(t)
	k.get(port, "/ok/parent")
	child, _ := strconv.Atoi(k.do("fork")[0])
	k.get(port, "/ok/child")
	for path, pid := range map[string]int{"/ok/parent": k.pid, "/ok/child": child} {
		if r := w.await(t, path, asked(path)); r.Process.PID != pid {
			t.Errorf("%s: the process is %+v, want %d", path, r.Process, pid)
		}
	}
}

// forkWithin has a child go on with the connection of its parent, by what it has of the parent's memory.
func forkWithin(t *testing.T, w *watched, port int) {
	k := newTalker(t)
	local := k.do("connect %d", port)[0]
	k.do("ask /ok/of-parent")
	child, _ := strconv.Atoi(k.do("fork")[0])
	k.do("ask /ok/of-child")
	for path, pid := range map[string]int{"/ok/of-parent": k.pid, "/ok/of-child": child} {
		r := w.await(t, path, asked(path))
		if r.Process.PID != pid || fmt.Sprint(r.Client.Port) != local || int(r.Server.Port) != port {
			t.Errorf("%s: %v to %v, of %+v, want %d from port %s", path, r.Client, r.Server, r.Process, pid, local)
		}
	}
}

// execOther has a process that speaks TLS become another program that does.
func execOther(t *testing.T, w *watched, port int) {
	curl := testkit.Need(t, "curl")
	for i := range 2 { // the second time, nothing about the program is new
		k := newTalker(t)
		before, after := fmt.Sprint("/ok/before-exec-", i), fmt.Sprint("/ok/after-exec-", i)
		k.get(port, before)
		fmt.Fprintf(k.in, "become %s -skf https://127.0.0.1:%d%s\n", curl, port, after)
		for path, name := range map[string]string{before: "python3", after: "curl"} {
			if r := w.await(t, path, asked(path)); r.Process.PID != k.pid || r.Process.Name != name {
				t.Errorf("%s: the process is %+v, want %s, %d", path, r.Process, name, k.pid)
			}
		}
	}
}

// execPlain has a process that speaks TLS become another program that does not: it is not seen into any more, while it lives on.
func execPlain(t *testing.T, w *watched, port int) {
	dir := copyOfLibrary(t)
	path := filepath.Join(dir, "libssl.so.3")
	k := newTalker(t, "LD_LIBRARY_PATH="+dir)
	k.do("load")
	w.covers(t, k.pid, path)
	k.get(port, "/ok/plain-exec")
	w.await(t, "the request before", asked("/ok/plain-exec"))
	fmt.Fprintln(k.in, "become cat")
	w.until(t, "the end of coverage", func() bool {
		return slices.ContainsFunc(w.coverage, func(c probe.Coverage) bool {
			return c.Process.PID == k.pid && c.Path == path && c.State == event.CoverageEnded
		})
	})
	for _, c := range w.Coverage() {
		if c.Process.PID == k.pid {
			t.Errorf("it is listed still: %+v", c)
		}
	}
}

// sandboxed is a program that a filter of system calls kills for those that hooks make. The kernel must not let it see them, or the probe
// must not use such hooks.
func sandboxed(t *testing.T, w *watched, port int) {
	k := newTalker(t)
	k.do("load")
	if said := k.do("sandbox")[0]; said != "done" {
		testkit.Skip(t, "no filter of system calls: error %s", said)
	}
	for i := range 3 {
		path := fmt.Sprint("/ok/sandbox-", i)
		k.get(port, path)
		w.await(t, path, asked(path))
	}
}

func descriptorAgain(t *testing.T, w *watched, port int) {
	k := newTalker(t)
	descriptors := map[string]bool{}
	for i := range 5 {
		path := fmt.Sprint("/ok/descriptor-", i)
		answer := k.do("connect %d", port)
		descriptors[answer[1]] = true
		k.do("ask %s", path)
		k.do("close")
		if r := w.await(t, path, asked(path)); fmt.Sprint(r.Client.Port) != answer[0] {
			t.Errorf("%s: from %v, want port %s", path, r.Client, answer[0])
		}
	}
	if len(descriptors) != 1 {
		t.Errorf("the descriptors were %v, not one and the same", descriptors)
	}
}

// connectionsMade is what openssl s_time counts.
var connectionsMade = regexp.MustCompile(`(\d+) connections in \d+ real seconds`)

// objectAgain has a program make many connections, each with the SSL of the one before.
func objectAgain(t *testing.T, w *watched, port int) {
	said, pid := run(t, "openssl", "s_time", "-connect", fmt.Sprint("127.0.0.1:", port), "-www", "/ok/again", "-reuse", "-time", "1")
	m := connectionsMade.FindStringSubmatch(said)
	if m == nil {
		t.Fatalf("it made no connections: %s", said)
	}
	n, _ := strconv.Atoi(m[1])
	ports := map[flow.Side]map[uint16]int{flow.ClientSide: {}, flow.ServerSide: {}}
	// Both sides tell one by one, and of one connection more than s_time counts: they are done when they agree.
	same := func() bool {
		clear(ports[flow.ClientSide])
		clear(ports[flow.ServerSide])
		for _, r := range w.records {
			if r.HTTP == nil || r.HTTP.URL != "/ok/again" || r.HTTP.Status != 200 {
				continue
			}
			ports[r.Local][r.Client.Port]++
			if r.Local == flow.ClientSide && r.Process.PID != pid {
				t.Errorf("the process is %+v, want %d", r.Process, pid)
			}
		}
		return len(ports[flow.ServerSide]) >= n && maps.Equal(ports[flow.ClientSide], ports[flow.ServerSide])
	}
	w.until(t, fmt.Sprint(n, " connections, each at both sides"), same)
}

// libraryReplaced is what an update of a distribution does.
func libraryReplaced(t *testing.T, w *watched, port int) {
	dir := copyOfLibrary(t)
	path := filepath.Join(dir, "libssl.so.3")
	env := "LD_LIBRARY_PATH=" + dir
	running := newTalker(t, env)
	running.do("load")
	w.covers(t, running.pid, path)
	running.get(port, "/ok/replaced-before")

	write(t, path+".new", hostLibrary(t))
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
	fresh := newTalker(t, env)
	fresh.do("load")
	w.covers(t, fresh.pid, path)
	running.get(port, "/ok/replaced-running")
	fresh.get(port, "/ok/replaced-new")
	for path, k := range map[string]*talker{"/ok/replaced-before": running, "/ok/replaced-running": running, "/ok/replaced-new": fresh} {
		if r := w.await(t, path, asked(path)); r.Process.PID != k.pid {
			t.Errorf("%s: the process is %+v, want %d", path, r.Process, k.pid)
		}
	}
}

// covers waits until a process is seen into that uses a library, which may take a second.
func (w *watched) covers(t testing.TB, pid int, path string) {
	t.Helper()
	watch := testkit.StartWatch()
	w.until(t, "coverage", func() bool {
		return slices.ContainsFunc(w.coverage, func(c probe.Coverage) bool {
			return c.Process.PID == pid && c.Path == path && c.State == event.Covered
		})
	})
	watch.Within(t, time.Second, "the coverage of "+path)
}

// libraryWritten is what no update should do: hooks could be between other instructions then.
func libraryWritten(t *testing.T, w *watched, port int) {
	dir := copyOfLibrary(t)
	path := filepath.Join(dir, "libssl.so.3")
	k := newTalker(t, "LD_LIBRARY_PATH="+dir)
	k.do("load")
	w.covers(t, k.pid, path)
	k.get(port, "/ok/written-before")
	w.await(t, "the request before", asked("/ok/written-before"))

	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := make([]byte, 4096)
	_, errRead := f.ReadAt(b, 0)
	_, errWrite := f.WriteAt(b, 0) // the same: this program shall live
	if err := errors.Join(errRead, errWrite); err != nil {
		t.Fatal(err)
	}
	w.until(t, "the loss of the hooks", func() bool {
		return slices.ContainsFunc(w.coverage, func(c probe.Coverage) bool {
			return c.Process.PID == k.pid && c.Path == path && c.State == event.NotCovered && c.Reason == event.AttachFailed
		})
	})
	for _, l := range w.Libraries() {
		if l.Path == path {
			t.Errorf("it still has hooks: %+v", l)
		}
	}
	k.get(port, "/ok/written-after")
	later := newTalker(t)
	later.get(port, "/ok/written-other")
	w.await(t, "the request of another program", asked("/ok/written-other"))
	if all := w.all(asked("/ok/written-after")); len(all) > 0 {
		t.Errorf("%d requests were seen without hooks", len(all))
	}
}
