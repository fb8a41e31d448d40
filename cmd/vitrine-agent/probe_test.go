package main_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/internal/testkit"
)

// TestProbeCommand runs the command as people do.
func TestProbeCommand(t *testing.T) {
	agent, address := buildAgent(t), serveTLS(t)
	for name, test := range map[string]func(t *testing.T, agent, address string){
		"table": probePrintsTable, "eve": probePrintsEVE, "one process": probeWatchesOneProcess, "output closed": probeOutputClosed,
		"mistakes": probeMistakes, "over budget": probeOverBudget, "late": probeLooksLate,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, agent, address)
		})
	}
}

// running is a probe command, and what it prints.
type running struct {
	cmd            *exec.Cmd
	stdout, stderr collector
}

// begin starts the command and waits until it watches.
func begin(t *testing.T, agent string, args ...string) *running {
	t.Helper()
	r := &running{cmd: exec.Command(agent, append([]string{"probe"}, args...)...)}
	r.cmd.Stdout, r.cmd.Stderr = &r.stdout, &r.stderr
	start(t, r.cmd)
	eventually(t, "the probe watches", func() bool { return strings.Contains(r.stderr.String(), "watching") })
	return r
}

// end stops the command as Ctrl-C does and returns what it has printed.
func (r *running) end(t *testing.T) string {
	t.Helper()
	if err := r.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := r.cmd.Wait(); err != nil {
		t.Errorf("%v: %s", err, r.stderr.String())
	}
	return r.stdout.String()
}

func (c *collector) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.text.String()
}

// get asks for a path and returns the process id of curl.
func get(t *testing.T, address, path string) int {
	t.Helper()
	cmd := exec.Command(testkit.Need(t, "curl"), "-skS", "--max-time", "20", "-o", os.DevNull, "https://"+address+path)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return cmd.Process.Pid
}

func probePrintsTable(t *testing.T, agent, address string) {
	r := begin(t, agent, "--exe", "curl")
	pid := get(t, address, "/for-people")
	eventually(t, "a line is printed", func() bool { return strings.Contains(r.stdout.String(), "/for-people") })
	said := r.end(t)
	head, _, _ := strings.Cut(said, "\n")
	if got := strings.Join(strings.Fields(head), " "); got != "TIME PROCESS DIR HOST METHOD PATH STATUS SIZE" {
		t.Errorf("the head is %q", head)
	}
	want := fmt.Sprintf(`(?m)^\d\d:\d\d:\d\d\.\d{3} curl\[%d\] +out 127\.0\.0\.1 +GET +/for-people +200 +\d.*B$`, pid)
	if n := len(regexp.MustCompile(want).FindAllString(said, -1)); n != 1 {
		t.Errorf("%d lines are like %s:\n%s", n, want, said)
	}
	if strings.Contains(said, "openssl[") {
		t.Errorf("the server is there too:\n%s", said)
	}
}

func probePrintsEVE(t *testing.T, agent, address string) {
	r := begin(t, agent, "-o", "eve")
	pid := get(t, address, "/for-machines")
	eventually(t, "both sides are printed", func() bool { return strings.Count(r.stdout.String(), `"url":"/for-machines"`) >= 2 })
	sides := map[string]int{}
	for lines := bufio.NewScanner(strings.NewReader(r.end(t))); lines.Scan(); {
		var e struct {
			Timestamp string `json:"timestamp"`
			Type      string `json:"event_type"`
			Community string `json:"community_id"`
			HTTP      struct{ URL string }
			Vitrine   struct {
				Local   string
				Process struct{ PID int }
			}
		}
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil || e.Timestamp == "" || e.Type == "" {
			t.Fatalf("not an event: %v: %s", err, lines.Text())
		}
		if e.Type == "http" && e.HTTP.URL == "/for-machines" {
			sides[e.Vitrine.Local]++
			if e.Community == "" || e.Vitrine.Local == "client" && e.Vitrine.Process.PID != pid {
				t.Errorf("%s", lines.Text())
			}
		}
	}
	if sides["client"] != 1 || sides["server"] != 1 {
		t.Errorf("requests by side: %v", sides)
	}
}

// probeLooksLate has a program end before the probe can look at it: on a busy machine, many do. The kernel has kept its path, and its plaintext.
func probeLooksLate(t *testing.T, agent, address string) {
	r := begin(t, agent, "-o", "json", "--exe", "*/curl")
	if err := r.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	pid := get(t, address, "/before-anybody-looks")
	if err := r.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the request is told", func() bool { return strings.Contains(r.stdout.String(), "/before-anybody-looks") })
	for line := range strings.Lines(r.end(t)) { // other tests have curl ask, too
		var record event.Record
		if err := json.Unmarshal([]byte(line), &record); err != nil {
			t.Fatal(err)
		}
		if p := record.Process; record.HTTP != nil && record.HTTP.URL == "/before-anybody-looks" && (p.PID != pid || p.Name != "curl" || p.Exe != testkit.Need(t, "curl") || record.HTTP.Status != 200) {
			t.Errorf("told of %+v: %s", p, line)
		}
	}
}

func probeWatchesOneProcess(t *testing.T, agent, address string) {
	client := exec.Command("/usr/bin/python3", "-c", `import ssl, sys, urllib.request
for line in sys.stdin:
    urllib.request.urlopen(line.strip(), context=ssl._create_unverified_context()).read()`)
	in, err := client.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	start(t, client)
	r := begin(t, agent, "--pid", fmt.Sprint(client.Process.Pid), "-o", "json")
	get(t, address, "/of-another")
	fmt.Fprintf(in, "https://%s/of-the-process\n", address)
	eventually(t, "the request is printed", func() bool { return strings.Contains(r.stdout.String(), "/of-the-process") })
	if said := r.end(t); strings.Contains(said, "/of-another") {
		t.Errorf("another process is there too:\n%s", said)
	}
}

// probeOutputClosed is probe | head -1.
func probeOutputClosed(t *testing.T, agent, address string) {
	cmd := exec.Command(agent, "probe", "-o", "json")
	var stderr collector
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	start(t, cmd)
	eventually(t, "the probe watches", func() bool { return strings.Contains(stderr.String(), "watching") })
	get(t, address, "/first")
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	out.Close()
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); {
		select {
		case err := <-ended:
			if exit := (*exec.ExitError)(nil); err != nil && (!errors.As(err, &exit) || strings.Contains(stderr.String(), "panic")) {
				t.Errorf("%v: %s", err, stderr.String())
			}
			return
		case <-time.After(100 * time.Millisecond):
			get(t, address, "/more")
		}
	}
	t.Error("it goes on without an output")
}

func probeMistakes(t *testing.T, agent, _ string) {
	for _, tc := range []struct {
		args   []string
		status int
		says   string
	}{
		{[]string{agent, "probe", "-o", "xml"}, 2, "json"},
		{[]string{agent, "probe", "--max-cpu", "0"}, 2, "at least 1 percent"},
		{[]string{agent, "probe", "--over", "1h"}, 2, "retry"},
		{[]string{testkit.Need(t, "setpriv"), "--reuid=65534", "--clear-groups", "/proc/self/fd/3", "probe"}, 1, "needs root"},
	} {
		file, err := os.Open(agent) // which another user cannot reach by its path
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), tc.args[0], tc.args[1:]...)
		var said bytes.Buffer
		cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = &said, &said, []*os.File{file}
		err = cmd.Run()
		file.Close()
		if cmd.ProcessState.ExitCode() != tc.status || !strings.Contains(said.String(), tc.says) {
			t.Errorf("%q: %v: %s", tc.args[1:], err, said.Bytes())
		}
	}
}

// probeOverBudget gives the probe less than it needs.
func probeOverBudget(t *testing.T, agent, address string) {
	load := startLoad(t, address)
	r := begin(t, agent, "-o", "json", "--coverage", "--max-cpu", "3", "--over", "1s", "--retry", "2s") // with less, what it does for other tests' programs delays the next try
	defer func() {
		if t.Failed() {
			t.Log(r.stderr.String())
		}
	}()
	eventually(t, "it pauses", func() bool { return strings.Contains(r.stderr.String(), "over budget") })
	load.stop(t)
	eventually(t, "it resumes", func() bool { return strings.Contains(r.stderr.String(), "resumed") })
	if said := r.end(t); !strings.Contains(said, `"reason":"paused"`) {
		t.Error("no coverage event says that it was paused")
	}
	if said := r.stderr.String(); !regexp.MustCompile(`over budget.* of a core used`).MatchString(said) {
		t.Errorf("it does not say why: %s", said)
	}
}
