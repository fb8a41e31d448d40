package governor

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// TestYield lowers the priority of another process: the test's own could not be raised again.
func TestYield(t *testing.T) {
	if os.Getenv("YIELD") != "" {
		do := WakeLess
		if niceness, err := strconv.Atoi(os.Getenv("YIELD")); err == nil {
			do = func() error { return Yield(niceness) }
		}
		err := do()
		var started, ended sync.WaitGroup
		done := make(chan bool)
		for range 8 { // threads that come later
			started.Add(1)
			ended.Go(func() {
				runtime.LockOSThread()
				started.Done()
				<-done
			})
		}
		started.Wait()
		fmt.Println(priorities(t), slacks(t), err)
		close(done)
		ended.Wait()
		return
	}
	for name, c := range map[string]struct {
		nice, yield, want string
	}{
		"usual":     {"0", "5", "5"},
		"lower":     {"15", "5", "15"},
		"wake less": {"-5", "no", "-5"},
	} {
		t.Run(name, func(t *testing.T) {
			cmd := exec.Command("nice", "-n", c.nice, os.Args[0], "-test.run", "^TestYield$")
			cmd.Env = append(os.Environ(), "YIELD="+c.yield)
			out, err := cmd.Output()
			if first, _, _ := strings.Cut(string(out), "\n"); err != nil || first != "map["+c.want+":true] map[2000000:true] <nil>" {
				t.Errorf("threads have the priorities %s, %v; want %s", first, err, c.want)
			}
		})
	}
}

// priorities returns those of all threads: field 19 of proc_pid_stat(5).
func priorities(t *testing.T) map[string]bool {
	return ofThreads(t, func(id string) (string, error) {
		stat, err := os.ReadFile("/proc/self/task/" + id + "/stat")
		if err != nil {
			return "", err
		}
		_, rest, _ := strings.Cut(string(stat), ") ")
		return strings.Fields(rest)[16], nil
	})
}

// slacks returns by how many nanoseconds the kernel may put off what threads sleep for.
func slacks(t *testing.T) map[string]bool {
	return ofThreads(t, func(id string) (string, error) {
		slack, err := os.ReadFile("/proc/" + id + "/timerslack_ns")
		return strings.TrimSpace(string(slack)), err
	})
}

// ofThreads returns what there is of something among all threads. An error says that one has ended.
func ofThreads(t *testing.T, read func(id string) (string, error)) map[string]bool {
	t.Helper()
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]bool{}
	for _, thread := range threads {
		if what, err := read(thread.Name()); err == nil {
			all[what] = true
		}
	}
	return all
}
