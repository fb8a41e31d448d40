package probe_test

import (
	"bufio"
	"fmt"
	"io"
	"os/exec"
	"testing"
	"time"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/internal/testkit"
	"github.com/vitrine-ndr/vitrine/source/probe"
)

// TestManyConnections has programs open connections at once, which all move their ciphertext in a way of their own. Each request is told
// with the port that the program itself says.
func TestManyConnections(t *testing.T) {
	testMany(t, probe.Config{})
}

// TestManyConnectionsOfOldKernels does the same by the ways of kernels that do not describe their types.
func TestManyConnectionsOfOldKernels(t *testing.T) {
	testMany(t, probe.Config{Legacy: true})
}

func testMany(t *testing.T, c probe.Config) {
	port := nginx(t, newIdentity(t), newSite(t))
	w := watch(t, c)
	for name, command := range crowds(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			newCrowd(t, command, port, 200, name).check(t, w, port)
		})
	}
}

// TestOpenBefore has programs open connections before the probe runs. It still tells who is the client.
func TestOpenBefore(t *testing.T) {
	port := nginx(t, newIdentity(t), newSite(t))
	var all []*crowd
	for name, command := range crowds(t) {
		all = append(all, newCrowd(t, command, port, 3, name))
	}
	w := watch(t, probe.Config{})
	for _, c := range all {
		c.check(t, w, port)
	}
}

// crowds are the programs that open many connections. Their arguments are a port, how many, and a name.
func crowds(t testing.TB) map[string][]string {
	t.Helper()
	return map[string][]string{
		"asyncio": {"/usr/bin/python3", "testdata/many.py"},
		"node":    {testkit.Need(t, "node"), "testdata/many.js"},
		"go":      {goProgram(t, "1.26.8"), "many"},
	}
}

// crowd is a program with open connections.
type crowd struct {
	name  string
	ports []int
	pid   int
	ask   func() // over all of them, and wait for the end
}

func newCrowd(t testing.TB, command []string, port, n int, name string) *crowd {
	t.Helper()
	cmd := exec.Command(command[0], append(command[1:len(command):len(command)], fmt.Sprint(port), fmt.Sprint(n), name)...)
	in, errIn := cmd.StdinPipe()
	out, errOut := cmd.StdoutPipe()
	if errIn != nil || errOut != nil {
		t.Fatal(errIn, errOut)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c := &crowd{name: name, ports: make([]int, n), pid: cmd.Process.Pid}
	ended := make(chan error, 1)
	c.ask = func() {
		in.Close()
		io.Copy(io.Discard, out)
		if err := cmd.Wait(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		ended <- nil
	}
	timer := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
	t.Cleanup(func() {
		timer.Stop()
		if len(ended) == 0 {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	})
	lines := bufio.NewReader(out)
	for range n {
		var number, local int
		if _, err := fmt.Fscanln(lines, &number, &local); err != nil {
			t.Fatalf("%s does not tell its ports: %v", name, err)
		}
		c.ports[number] = local
	}
	return c
}

// check asks over all connections, and wants each request once at either end.
func (c *crowd) check(t *testing.T, w *watched, port int) {
	t.Helper()
	w.sees(t, c.pid)
	c.ask()
	byURL := map[string]int{}
	for number, local := range c.ports {
		byURL[fmt.Sprintf("/ok/%s/%d", c.name, number)] = local
	}
	ours := func(r *event.Record) bool {
		return r.HTTP != nil && byURL[r.HTTP.URL] != 0 && int(r.Server.Port) == port && r.HTTP.Status == 200
	}
	w.until(t, c.name, func() bool {
		n := 0
		for _, r := range w.records {
			if ours(r) {
				n++
			}
		}
		return n >= 2*len(c.ports)
	})
	told := map[string]int{}
	all := w.all(ours)
	for _, r := range all {
		told[fmt.Sprint(r.Local, r.HTTP.URL)]++
		if int(r.Client.Port) != byURL[r.HTTP.URL] || (r.Local == flow.ClientSide) != (r.Process.PID == c.pid) {
			t.Errorf("%s: %s is told by %s %d with %v to %v, want %d", c.name, r.HTTP.URL, r.Local, r.Process.PID, r.Client, r.Server, byURL[r.HTTP.URL])
		}
	}
	checkFacts(t, all[0])
	if len(told) != 2*len(c.ports) || len(all) != len(told) {
		t.Errorf("%s: of %d requests, %d are told %d times", c.name, 2*len(c.ports), len(told), len(all))
	}
}
