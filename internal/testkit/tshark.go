package testkit

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Tshark runs tshark over a file and returns the lines that it prints.
func Tshark(t testing.TB, file []byte, args ...string) []string {
	t.Helper()
	program := Need(t, "tshark")
	path := filepath.Join(t.TempDir(), "export.pcapng")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, append([]string{"-n", "-r", path}, args...)...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil || strings.Contains(stderr.String(), "damaged") || strings.Contains(stderr.String(), "cut short") {
		t.Fatalf("tshark %s: %v\n%s", strings.Join(args, " "), err, stderr.String())
	}
	return strings.FieldsFunc(string(out), func(r rune) bool { return r == '\n' })
}
