package main_test

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vitrine-ndr/vitrine/internal/trust"
	"github.com/vitrine-ndr/vitrine/source/gateway/authority"
)

// trustRun runs vitrine trust with an empty home. None of these runs changes the machine.
func trustRun(t *testing.T, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(t.Context(), vitrine(t), append([]string{"trust"}, args...)...)
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir())
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		status = exit.ExitCode()
	} else if err != nil {
		t.Fatal(err)
	}
	return out.String(), errs.String(), status
}

// trialFile is the certificate of a trial authority, which this machine does not trust.
func trialFile(t *testing.T, now time.Time) (string, *x509.Certificate) {
	t.Helper()
	a, _, err := authority.NewTrial("test", now)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.Root().Raw}), 0o644); err != nil {
		t.Fatal(err)
	}
	return file, a.Root()
}

func TestTrustRefusals(t *testing.T) {
	good, _ := trialFile(t, time.Now())
	old, _ := trialFile(t, time.Now().Add(-5*365*24*time.Hour))
	garbage := filepath.Join(t.TempDir(), "garbage")
	if err := os.WriteFile(garbage, []byte("garbage"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		args   []string
		status int
		want   string
	}{
		{"no certificate", []string{"install", "--dry-run"}, 2, "--ca is missing"},
		{"no file", []string{"verify", "--ca", "/nonexistent"}, 1, "no such file"},
		{"garbage", []string{"install", "--dry-run", "--ca", garbage}, 1, "no certificate in PEM or DER"},
		{"expired", []string{"install", "--dry-run", "--ca", old}, 1, "has expired on"},
		{"expired, verified", []string{"verify", "--ca", old}, 1, "has expired on"},
		{"format", []string{"verify", "--ca", good, "-o", "xml"}, 2, `unknown output format "xml"`},
		{"form", []string{"print", "--ca", good, "--format", "exe"}, 2, `unknown form "exe"`},
		{"namespace", []string{"print", "--ca", good, "--namespace", "a\nkind: Pod"}, 2, "must be names as Kubernetes has them"},
		{"image", []string{"print", "--ca", good, "--image", "a b"}, 2, "not the name of an image"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, stderr, status := trustRun(t, tt.args...)
			if status != tt.status || !strings.Contains(stderr, tt.want) {
				t.Errorf("status %d, %q; want %d, %q", status, stderr, tt.status, tt.want)
			}
		})
	}
}

// TestTrustVerify asks this machine about an authority that it cannot know.
func TestTrustVerify(t *testing.T) {
	file, root := trialFile(t, time.Now())
	stdout, stderr, status := trustRun(t, "verify", "--ca", file, "-o", "json")
	asked := map[string]trust.State{}
	for line := range strings.Lines(stdout) {
		var r trust.Result
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if r.State == trust.Trusted || r.State == trust.Unknown {
			t.Errorf("%+v", r)
		}
		asked[r.Store] = r.State
	}
	if asked["go"] != trust.NotTrusted || status != 1 || !strings.Contains(stderr, "are not as they should be") {
		t.Errorf("status %d, %q, %v", status, stderr, asked)
	}
	stdout, stderr, status = trustRun(t, "install", "--dry-run", "--ca", file)
	if name := (trust.Root{Certificate: root}).Fingerprint()[:16]; status != 0 || !strings.Contains(stdout, "STORE") || asked["system"] == trust.NotTrusted && !strings.Contains(stdout, "+ write /") {
		t.Errorf("dry run for %s: status %d, %s%s", name, status, stdout, stderr)
	}
}
