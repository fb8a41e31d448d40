package testkit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"
)

// outcome runs f as a test of its own in a fake TB and says how it ended.
func outcome(f func(t testing.TB)) string {
	r := &recorder{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		f(r)
	}()
	<-done
	switch {
	case r.failed:
		return "failed"
	case r.skipped:
		return "skipped"
	}
	return "passed"
}

// recorder notes the end of a test instead of ending the one that runs.
type recorder struct {
	testing.TB
	failed, skipped bool
}

func (r *recorder) Helper()               {}
func (r *recorder) Errorf(string, ...any) { r.failed = true }
func (r *recorder) Fatalf(string, ...any) { r.failed = true }
func (r *recorder) Skipf(string, ...any)  { r.skipped = true }
func (r *recorder) Logf(string, ...any)   {}
func (r *recorder) Output() io.Writer     { return io.Discard }

func TestSkipFailsWhenAllIsRequired(t *testing.T) {
	for _, tc := range []struct{ require, want string }{{"", "skipped"}, {"all", "failed"}} {
		t.Setenv("VITRINE_REQUIRE", tc.require)
		if got := outcome(func(t testing.TB) { Skip(t, "no %s", "reason") }); got != tc.want {
			t.Errorf("VITRINE_REQUIRE=%q: %s, want %s", tc.require, got, tc.want)
		}
	}
}

func TestSkipIfNotSupported(t *testing.T) {
	t.Setenv("VITRINE_REQUIRE", "")
	for _, tc := range []struct {
		err  error
		want string
	}{
		{nil, "passed"},
		{errors.New("other"), "passed"},
		{fmt.Errorf("open ring: %w", syscall.EPERM), "skipped"},
		{errors.ErrUnsupported, "skipped"},
	} {
		if got := outcome(func(t testing.TB) { SkipIfNotSupported(t, tc.err) }); got != tc.want {
			t.Errorf("%v: %s, want %s", tc.err, got, tc.want)
		}
	}
}

func TestNeed(t *testing.T) {
	t.Setenv("VITRINE_REQUIRE", "")
	if got := outcome(func(t testing.TB) { Need(t, "a-program-that-nobody-has") }); got != "skipped" {
		t.Errorf("missing program: %s", got)
	}
	if path := Need(t, "go"); path == "" {
		t.Error("go has no path")
	}
}

func TestLoggerFindsSecrets(t *testing.T) {
	log := func(key string) string {
		return outcome(func(t testing.TB) { Logger(t, "hunter2").Info("line", slog.String("key", key)) })
	}
	if got := log("harmless"); got != "passed" {
		t.Errorf("harmless line: %s", got)
	}
	if got := log("a hunter2 b"); got != "failed" {
		t.Errorf("line with a secret: %s", got)
	}
}

func TestLinear(t *testing.T) {
	work := make([]byte, 1<<21)
	linear := func(n int) {
		for i := range n {
			work[i]++
		}
	}
	if got := outcome(func(t testing.TB) { Linear(t, 1<<20, linear) }); got != "passed" {
		t.Errorf("linear work: %s", got)
	}
	sleep := func(n int) { time.Sleep(time.Duration(n*n) * time.Millisecond) }
	if got := outcome(func(t testing.TB) { Linear(t, 2, sleep) }); got != "failed" {
		t.Errorf("quadratic work: %s", got)
	}
}

// TestWatch lets slowness pass on a busy machine only.
func TestWatch(t *testing.T) {
	const limit, took = 10 * time.Millisecond, 30 * time.Millisecond
	line := func(microseconds int) []byte {
		return fmt.Appendf(nil, "some avg10=0.00 avg60=1.00 avg300=2.00 total=%d\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n", microseconds)
	}
	for _, tc := range []struct {
		name   string
		waited int // microseconds, meanwhile; -1 if the kernel does not tell
		sleep  time.Duration
		want   string
	}{
		{"fast", 0, 0, "passed"},
		{"slow", 0, took, "failed"},
		{"slow, a little busy", 1000, took, "failed"},
		{"slow, busy", 60_000_000, took, "passed"},
		{"slow, unknown", -1, took, "failed"},
	} {
		pressure := filepath.Join(t.TempDir(), "cpu")
		tell := func(microseconds int) {
			if tc.waited < 0 {
				return
			}
			if err := os.WriteFile(pressure, line(microseconds), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		tell(7_000_000)
		w := startWatch(pressure)
		time.Sleep(tc.sleep)
		tell(7_000_000 + tc.waited)
		if tc.sleep == 0 {
			w.begun = time.Now()
		}
		if got := outcome(func(t testing.TB) { w.Within(t, limit, "sleeping") }); got != tc.want {
			t.Errorf("%s: %s, want %s", tc.name, got, tc.want)
		}
	}
}

// TestPressure reads what this kernel tells, if it does: it must be the total, which never falls.
func TestPressure(t *testing.T) {
	if _, err := os.Stat(pressureFile); err != nil {
		Skip(t, "the kernel does not tell how long programs wait: %v", err)
	}
	first := waited(pressureFile)
	for begun := time.Now(); time.Since(begun) < 10*time.Second; {
		var all sync.WaitGroup
		for range 2 * runtime.NumCPU() {
			all.Go(func() {
				for spun := time.Now(); time.Since(spun) < 50*time.Millisecond; {
				}
			})
		}
		all.Wait()
		if waited(pressureFile) > first {
			return
		}
	}
	t.Error("more programs than processors, and nobody waited")
}

func TestVethPair(t *testing.T) {
	client, server := VethPair(t)
	var l net.Listener
	var err error
	server.Do(t, func() { l, err = net.Listen("tcp", net.JoinHostPort(server.IPv4.String(), "80")) })
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	out, err := client.Command(context.Background(), "bash", "-c", "</dev/tcp/"+server.IPv4.String()+"/80").CombinedOutput()
	if err != nil {
		t.Errorf("connect from the client's namespace: %v: %s", err, out)
	}
	out, err = client.Command(context.Background(), "bash", "-c", "</dev/tcp/127.0.0.1/80").CombinedOutput()
	if err == nil {
		t.Errorf("the client's loopback reaches the server: %s", out)
	}
}
