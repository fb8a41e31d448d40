package rules

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func run(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	cmd := New()
	cmd.SetArgs(args)
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	err := cmd.Execute()
	return out.String(), err
}

func TestRules(t *testing.T) {
	dir := t.TempDir()
	write := func(text string) {
		if err := os.WriteFile(filepath.Join(dir, "a.yaml"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(`rules: [{id: no-uploads, action: block, description: No uploads, urls: ["example.com/upload/*"], match: ["PUT https://example.com/upload/a"]}]`)
	for _, c := range []struct{ command, want string }{{"list", "no-uploads"}, {"check", "1 rules can be read"}, {"test", "1 examples"}} {
		if out, err := run(t, c.command, dir); err != nil || !strings.Contains(out, c.want) {
			t.Errorf("%s: %v\n%s", c.command, err, out)
		}
	}
	if out, err := run(t, "list"); err != nil || !strings.Contains(out, "google-drive") {
		t.Errorf("applications: %v\n%s", err, out)
	}
	write(`rules: [{id: no-uploads, action: block, urls: ["example.com/upload/*"], match: ["PUT https://example.com/other"]}]`)
	if out, err := run(t, "test", dir); err == nil {
		t.Errorf("an example that does not fit: %s", out)
	}
	write(`rules: [{id: no-uploads}]`)
	for _, command := range []string{"list", "check", "test"} {
		if out, err := run(t, command, dir); err == nil {
			t.Errorf("%s of a rule that cannot be read: %s", command, out)
		}
	}
}
