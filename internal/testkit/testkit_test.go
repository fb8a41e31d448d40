package testkit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
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
