// Package testkit is what tests of several packages share: skips that are counted, real network namespaces, containers of other
// releases, a logger that watches for secrets, and checks for linear time and of times that are promised. Only tests may import it. It
// knows nothing of what is tested.
package testkit

import (
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// requireAll is the value of VITRINE_REQUIRE with which no test may be skipped.
const requireAll = "all"

// Skip ends a test that needs what this machine can't do. It is the only way to skip: with VITRINE_REQUIRE=all the test fails.
func Skip(t testing.TB, format string, args ...any) {
	t.Helper()
	if os.Getenv("VITRINE_REQUIRE") == requireAll {
		t.Fatalf("not to be skipped, because VITRINE_REQUIRE=all: "+format, args...)
	}
	t.Skipf(format, args...)
}

// unsupported are the answers of a machine that lacks a permission or a feature.
var unsupported = []error{
	errors.ErrUnsupported, exec.ErrNotFound,
	syscall.EPERM, syscall.EACCES, syscall.ENOSYS, syscall.EOPNOTSUPP,
	syscall.EAFNOSUPPORT, syscall.EPROTONOSUPPORT, syscall.ENOPROTOOPT,
}

// SkipIfNotSupported skips the test iff err says that the machine lacks a permission or a feature. Any other error is the
// caller's to judge.
func SkipIfNotSupported(t testing.TB, err error) {
	t.Helper()
	for _, e := range unsupported {
		if errors.Is(err, e) {
			Skip(t, "this machine can't do it: %v", err)
		}
	}
}

// skipIfRefused does the same for a program whose exit status hides the errno: its words tell it.
func skipIfRefused(t testing.TB, out []byte) {
	t.Helper()
	for _, words := range []string{"not permitted", "not supported", "ermission denied"} {
		if strings.Contains(string(out), words) {
			Skip(t, "this machine can't do it: %s", out)
		}
	}
}

// Need returns the path of a program, or skips the test where it is not installed.
func Need(t testing.TB, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		Skip(t, "%s is not installed", program)
	}
	return path
}

// Logger returns a logger that writes to the test's output, and fails the test if a line contains one of the secrets.
func Logger(t testing.TB, secrets ...string) *slog.Logger {
	return slog.New(slog.NewTextHandler(&logWriter{t, secrets}, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

type logWriter struct {
	t       testing.TB
	secrets []string
}

// Write gets one line at a time from the handler, which also serialises the calls.
func (w *logWriter) Write(line []byte) (int, error) {
	for _, s := range w.secrets {
		if strings.Contains(string(line), s) {
			w.t.Errorf("secret %q in the log: %s", s, line)
		}
	}
	return w.t.Output().Write(line)
}
