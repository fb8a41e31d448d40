package probe_test

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/internal/testkit"
	"github.com/vitrine-ndr/vitrine/source/probe"
	"github.com/vitrine-ndr/vitrine/source/probe/filter"
)

// TestPause takes all hooks out in the middle of a transfer and of connections, and puts them in again.
func TestPause(t *testing.T) {
	id, s := newIdentity(t), newSite(t)
	port := nginx(t, id, s)
	w := watch(t, probe.Config{})
	k := newTalker(t)
	k.do("connect %d", port)
	k.do("ask /ok/pause-before")
	w.await(t, "the request before", asked("/ok/pause-before"))
	hash := download(t, port, "10m", "8M")

	time.Sleep(200 * time.Millisecond) // into the transfer
	watch := testkit.StartWatch()
	if err := w.Pause(); err != nil {
		t.Fatal(err)
	}
	watch.Within(t, time.Second, "pausing")
	if l := w.Libraries(); len(l) > 0 {
		t.Errorf("hooks are in %+v", l)
	}
	told := func(c probe.Coverage) bool { return c.Process.PID == k.pid && c.Reason == event.Paused }
	for begun := time.Now(); !slices.ContainsFunc(w.Coverage(), told); time.Sleep(20 * time.Millisecond) { // hooks may see a process before the list has it
		if time.Since(begun) > patience {
			t.Fatal("the coverage list does not say that it is paused")
		}
	}
	k.do("ask /ok/pause-during")
	curl(t, port, "/ok/pause-other")
	late := newTalker(t, "LD_LIBRARY_PATH="+copyOfLibrary(t))
	late.do("load")
	if got := <-hash; got != s.hashes["10m"] {
		t.Errorf("the transfer that was going on has the hash %s", got)
	}

	if err := w.Resume(); err != nil {
		t.Fatal(err)
	}
	k.do("ask /ok/pause-after")
	late.get(port, "/ok/pause-late") // of a library that came meanwhile
	pid := curl(t, port, "/ok/pause-new")
	for path, want := range map[string]int{"/ok/pause-after": k.pid, "/ok/pause-late": late.pid, "/ok/pause-new": pid} {
		if r := w.await(t, path, asked(path)); r.Process.PID != want {
			t.Errorf("%s: the process is %+v, want %d", path, r.Process, want)
		}
	}
	for _, path := range []string{"/ok/pause-during", "/ok/pause-other"} {
		if found := w.all(asked(path)); len(found) > 0 {
			t.Errorf("%s was seen", path)
		}
	}
}

// download has curl get a file at some speed, and sends the hash of what came.
func download(t testing.TB, port int, name, speed string) <-chan string {
	t.Helper()
	cmd := exec.Command(testkit.Need(t, "curl"), "-skf", "--limit-rate", speed, fmt.Sprintf("https://127.0.0.1:%d/%s", port, name))
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan string, 1)
	go func() {
		h := sha256.New()
		_, _ = io.Copy(h, out)
		_ = cmd.Wait()
		done <- hex.EncodeToString(h.Sum(nil))
	}()
	return done
}

// TestFilters changes what is taken while programs run.
func TestFilters(t *testing.T) {
	id, s := newIdentity(t), newSite(t)
	port, other := nginx(t, id, s), nginx(t, id, s)
	w := watch(t, probe.Config{})
	k := newTalker(t)
	k.get(port, "/ok/unfiltered")
	w.await(t, "the request before any filter", asked("/ok/unfiltered"))
	at := func(ports ...int) (list []string) {
		for _, p := range ports {
			list = append(list, fmt.Sprint(p))
		}
		return list
	}
	only, except := filter.Only, filter.Except
	for i, tc := range []struct {
		name  string
		rules filter.Rules
		seen  string // of curl and python at both ports, at the client and at the server
	}{
		{"only a program", filter.Rules{Mode: only, Rules: []filter.Rule{{Exe: "*/curl"}}}, "curl to port, curl to other"},
		{"all but a name", filter.Rules{Mode: except, Rules: []filter.Rule{{Name: "python3"}, {Name: "nginx"}}}, "curl to port, curl to other"},
		{"only a port", filter.Rules{Mode: only, Rules: []filter.Rule{{Ports: at(other)}}}, "curl to other, curl to other at server, python3 to other, python3 to other at server"},
		{"only a program at a port", filter.Rules{Mode: only, Rules: []filter.Rule{{Exe: "*/curl", Ports: at(port)}}}, "curl to port"},
		{"only a direction", filter.Rules{Mode: only, Rules: []filter.Rule{{Direction: filter.Incoming, Ports: at(port, other)}}},
			"curl to other at server, curl to port at server, python3 to other at server, python3 to port at server"},
		{"a process", filter.Rules{Mode: only, Rules: []filter.Rule{{PID: k.pid}}}, "python3 to other, python3 to port"},
		{"everything", filter.Rules{}, "curl to other, curl to other at server, curl to port, curl to port at server, " +
			"python3 to other, python3 to other at server, python3 to port, python3 to port at server"},
	} {
		if err := w.SetFilter(tc.rules); err != nil {
			t.Fatal(err)
		}
		path := fmt.Sprint("/ok/filter-", i)
		for name, p := range map[string]int{"port": port, "other": other} {
			curl(t, p, path+"-curl-to-"+name)
			k.get(p, path+"-python3-to-"+name)
		}
		want := strings.Split(tc.seen, ", ")
		for begun := time.Now(); len(w.requests(path)) < len(want) && time.Since(begun) < patience; {
			time.Sleep(20 * time.Millisecond)
		}
		time.Sleep(100 * time.Millisecond) // for what is left out, which can't be waited for
		slices.Sort(want)
		if seen := w.requests(path); !slices.Equal(seen, want) {
			t.Errorf("%s: saw %q, want %q", tc.name, seen, want)
		}
	}
}

// requests lists what was asked for below a path.
func (w *watched) requests(path string) (list []string) {
	for _, r := range w.all(func(r *event.Record) bool { return r.HTTP != nil && strings.HasPrefix(r.HTTP.URL, path) }) {
		what := strings.ReplaceAll(strings.TrimPrefix(r.HTTP.URL, path+"-"), "-", " ")
		if r.Local == flow.ServerSide {
			what += " at server"
		}
		list = append(list, what)
	}
	slices.Sort(list)
	return list
}

// TestFilteredInKernel has much left out, and looks at how much of it comes from the kernel.
func TestFilteredInKernel(t *testing.T) {
	id, s := newIdentity(t), newSite(t)
	port := nginx(t, id, s)
	for name, rules := range map[string]filter.Rules{
		"processes":   {Mode: filter.Only, Rules: []filter.Rule{{Name: "nobody"}}},
		"connections": {Mode: filter.Only, Rules: []filter.Rule{{Ports: []string{"1"}}}},
	} {
		t.Run(name, func(t *testing.T) {
			w := watch(t, probe.Config{Filter: rules})
			k := newTalker(t)
			k.get(port, "/ok/known")
			before := w.Stats().Received
			if got := <-download(t, port, "10m", "100M"); got != s.hashes["10m"] {
				t.Errorf("the transfer has the hash %s", got)
			}
			// Both programs are asked about with their first bytes: those come.
			if n := w.Stats().Received - before; n > 4<<20 {
				t.Errorf("%d bytes of plaintext came from the kernel of a transfer that is left out", n)
			}
		})
	}
}

// TestFilteredHooks has a library that only programs use which are left out: it has hooks only while the filter takes one of them.
func TestFilteredHooks(t *testing.T) {
	port := nginx(t, newIdentity(t), newSite(t))
	w := watch(t, probe.Config{})
	dir := copyOfLibrary(t)
	path := filepath.Join(dir, "libssl.so.3")
	hooked := func() bool {
		return slices.ContainsFunc(w.Libraries(), func(l probe.Hooked) bool { return l.Path == path })
	}
	filterBy := func(rules filter.Rules) {
		if err := w.SetFilter(rules); err != nil {
			t.Fatal(err)
		}
	}
	k := newTalker(t, "LD_LIBRARY_PATH="+dir)
	k.do("load")
	w.covers(t, k.pid, path)
	filterBy(filter.Rules{Mode: filter.Except, Rules: []filter.Rule{{Name: "python3"}}})
	if hooked() {
		t.Error("there are hooks where the filter takes nobody")
	}
	k.get(port, "/ok/left-out")
	later := newTalker(t, "LD_LIBRARY_PATH="+dir)
	later.do("load")
	w.until(t, "the exclusion of a new process", func() bool {
		return slices.ContainsFunc(w.coverage, func(c probe.Coverage) bool { return c.Process.PID == later.pid && c.Reason == event.Excluded })
	})
	if hooked() {
		t.Error("a process that is left out brought hooks")
	}
	filterBy(filter.Rules{})
	if !hooked() {
		t.Error("there are no hooks without a filter")
	}
	for path, k := range map[string]*talker{"/ok/taken-again": k, "/ok/taken-later": later} {
		k.get(port, path)
		w.await(t, path, asked(path))
	}
	if all := w.all(asked("/ok/left-out")); len(all) > 1 { // nginx tells
		t.Errorf("%d requests of a process that was left out", len(all))
	}
}

// TestFilteredInACall leaves a program out while a call of it waits, and takes it again when the call is over: that one is not seen to end,
// and those that follow are no part of it, however deep in the stack.
func TestFilteredInACall(t *testing.T) {
	w := watch(t, probe.Config{})
	asked, answer := make(chan bool, 1), make(chan bool)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			asked <- true
			<-answer
		}
	}))
	defer server.Close()
	program := filepath.Join(t.TempDir(), "waits")
	run(t, "gcc", "-O1", "-o", program, "testdata/waits.c")
	cmd := exec.Command(program, fmt.Sprint(server.Listener.Addr().(*net.TCPAddr).Port))
	in, err1 := cmd.StdinPipe()
	out, err2 := cmd.StdoutPipe()
	if err := errors.Join(err1, err2, cmd.Start()); err != nil {
		t.Fatal(err)
	}
	defer func() {
		in.Close()
		_ = cmd.Wait() // what it said is what counts
	}()
	said := bufio.NewReader(out)
	say := func(line string) { fmt.Fprintln(in, line) }
	hear := func(want string) {
		t.Helper()
		if line, err := said.ReadString('\n'); line != want+"\n" {
			t.Fatalf("the program says %q, %v; want %s", line, err, want)
		}
	}
	filterBy := func(rules filter.Rules) {
		t.Helper()
		if err := w.SetFilter(rules); err != nil {
			t.Fatal(err)
		}
	}
	w.covers(t, cmd.Process.Pid, program)
	say("go")
	<-asked
	filterBy(filter.Rules{Mode: filter.Except, Rules: []filter.Rule{{Name: "waits"}}})
	close(answer)
	hear("/slow")
	filterBy(filter.Rules{})
	for i := range 3 {
		path := fmt.Sprint("/deeper-", i)
		say(path)
		hear(path)
		w.await(t, path, func(r *event.Record) bool {
			return r.HTTP != nil && r.HTTP.URL == path && r.Process.PID == cmd.Process.Pid && r.HTTP.Status == 200
		})
	}
}
