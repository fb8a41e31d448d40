package process

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vitrine-ndr/vitrine/internal/testkit"
)

// start runs a program until the end of the test.
func start(t *testing.T, cmd *exec.Cmd) int {
	t.Helper()
	if err := cmd.Start(); err != nil {
		testkit.SkipIfNotSupported(t, err)
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return cmd.Process.Pid
}

// eventually waits until f holds, which may take a child some milliseconds.
func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); !f(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within 5 s: %s", what)
		}
	}
}

func TestReadChild(t *testing.T) {
	before := time.Now()
	pid := start(t, exec.Command(testkit.Need(t, "sleep"), "77"))
	table := New("/proc")
	var p *Process
	eventually(t, "sleep runs", func() (ok bool) {
		p, _ = table.Read(pid)
		return p != nil && p.Facts.Name == "sleep" && p.Facts.CommandLine != "" // which comes last in an exec
	})
	exe, err := filepath.EvalSymlinks(testkit.Need(t, "sleep"))
	if err != nil {
		t.Fatal(err)
	}
	f := p.Facts
	if f.PID != pid || f.Exe != exe || !strings.HasSuffix(f.CommandLine, "sleep 77") || f.UID != os.Geteuid() {
		t.Errorf("got %+v", f)
	}
	const precision = 20 * time.Millisecond // clock ticks of 10 ms
	if f.Start.Before(before.Add(-precision)) || f.Start.After(time.Now().Add(precision)) {
		t.Errorf("started %v, but the test began %v", f.Start, before)
	}
	again, err := table.Read(pid)
	if err != nil || *again.Facts != *f {
		t.Errorf("read again: %+v, %v", again, err)
	}
}

func TestReadGone(t *testing.T) {
	cmd := exec.Command(testkit.Need(t, "true"))
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	table := New("/proc")
	if _, err := table.Read(cmd.Process.Pid); !errors.Is(err, ErrGone) {
		t.Errorf("got %v", err)
	}
	if _, err := table.Mapped(cmd.Process.Pid); !errors.Is(err, ErrGone) {
		t.Errorf("got %v", err)
	}
	if _, err := table.Listening(cmd.Process.Pid); !errors.Is(err, ErrGone) {
		t.Errorf("got %v", err)
	}
}

func TestReadAll(t *testing.T) {
	table := New("/proc")
	pids, err := table.PIDs()
	if err != nil || len(pids) == 0 {
		t.Fatalf("%d processes, %v", len(pids), err)
	}
	for _, pid := range pids {
		if _, err := table.Read(pid); err != nil && !errors.Is(err, ErrGone) {
			t.Error(err)
		}
	}
}

func TestMappedOfChild(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, testkit.Need(t, "openssl"), "s_server", "-accept", "127.0.0.1:0", "-nocert")
	pid := start(t, cmd)
	table := New("/proc")
	var names []string
	eventually(t, "libssl is mapped", func() bool {
		files, _ := table.Mapped(pid)
		names = nil
		for _, f := range files {
			names = append(names, f.Path)
			if isLibrary(f.Path) {
				opened, err := f.Open()
				if err != nil {
					t.Fatal(err)
				}
				defer opened.Close()
				return true
			}
		}
		return false
	})
	if !strings.HasSuffix(names[0], "/openssl") {
		t.Errorf("the executable is not the first: %v", names)
	}
}

func BenchmarkScan(b *testing.B) {
	table := New("/proc")
	pids, err := table.PIDs()
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		for _, pid := range pids {
			_, _ = table.Read(pid)
			_, _ = table.Mapped(pid)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*len(pids)), "µs/process")
}
