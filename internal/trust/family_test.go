package trust_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/vitrine-ndr/vitrine/internal/trust"
)

// TestFamilies finds the system's store of each family, in folders that look like it. The programs are stand-ins that make a bundle of the
// folder, since only Debian's own runs here.
func TestFamilies(t *testing.T) {
	const refresh = `[ "$*" = "$WORDS" ] && mkdir -p "$ROOT$(dirname $BUNDLE)" && cat "$ROOT$ANCHORS"/* > "$ROOT$BUNDLE"; `
	for _, tt := range []struct{ name, anchors, program, words, bundle string }{
		{"Fedora", "/etc/pki/ca-trust/source/anchors", "update-ca-trust", "extract", "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem"},
		{"SUSE", "/etc/pki/trust/anchors", "update-ca-certificates", "", "/var/lib/ca-certificates/ca-bundle.pem"},
		{"Arch", "/etc/ca-certificates/trust-source/anchors", "trust", "extract-compat", "/etc/ca-certificates/extracted/tls-ca-bundle.pem"},
		{"Alpine", "/usr/local/share/ca-certificates", "update-ca-certificates", "", "/etc/ssl/certs/ca-certificates.crt"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			set := "WORDS='" + tt.words + "' BUNDLE=" + tt.bundle + " ANCHORS=" + tt.anchors + "; "
			m := temporary(t, map[string]string{tt.program: set + refresh})
			other, a := newAuthority(t, newECDSA(t), same), newAuthority(t, newECDSA(t), same)
			put(t, m, tt.anchors+"/other.crt", string(other.pem()))
			put(t, m, tt.bundle, string(other.pem()))
			before := snapshot(t, m.Root, "/")
			if r := result(t, m.Install(t.Context(), a.Root), "system"); r.State != trust.Trusted || r.Failed || len(r.Changes) != 2 {
				t.Errorf("installed: %+v", r)
			}
			if r := result(t, m.Verify(t.Context(), other.Root), "system"); r.State != trust.Trusted {
				t.Errorf("the other root: %+v", r)
			}
			if r := result(t, m.Uninstall(t.Context(), a.Root), "system"); r.State != trust.NotTrusted || r.Failed {
				t.Errorf("uninstalled: %+v", r)
			}
			if diff := cmp.Diff(before, snapshot(t, m.Root, "/")); diff != "" {
				t.Errorf("left behind: %s", diff)
			}
		})
	}
}

func TestNothingThere(t *testing.T) {
	m := temporary(t, nil)
	for _, r := range m.Install(t.Context(), newAuthority(t, newECDSA(t), same).Root) {
		if r.State != trust.NotThere || r.Failed || r.Detail == "" || len(r.Changes) > 0 {
			t.Errorf("%+v", r)
		}
	}
	if all := snapshot(t, m.Root, "/"); len(all) > 0 {
		t.Errorf("files on a machine without stores: %v", all)
	}
}

// TestFailureIsTold has one store fail, which must neither be hidden nor stop the others.
func TestFailureIsTold(t *testing.T) {
	m := temporary(t, map[string]string{"update-ca-certificates": "echo 'disk full' >&2; exit 3"})
	put(t, m, "/usr/local/share/ca-certificates/README", "")
	put(t, m, "/etc/firefox/README", "")
	put(t, m, "/home/ann/.pki/nssdb/cert9.db", "")
	all := m.Install(t.Context(), newAuthority(t, newECDSA(t), same).Root)
	for store, want := range map[string]string{"system": "disk full", "nss": "apt install libnss3-tools"} {
		if r := result(t, all, store); !r.Failed || r.State == trust.Trusted || !strings.Contains(r.Detail, want) || slices.ContainsFunc(r.Changes, func(c string) bool { return strings.HasPrefix(c, "run") }) {
			t.Errorf("%+v, want %q", r, want)
		}
	}
	if r := result(t, all, "firefox"); r.Failed || r.State != trust.Trusted {
		t.Errorf("%+v", r)
	}
}

// TestFirefoxPoliciesAreMerged keeps what an administrator has in the file.
func TestFirefoxPoliciesAreMerged(t *testing.T) {
	for _, tt := range []struct{ name, file, before string }{
		{"none", "/etc/firefox/policies/policies.json", ""},
		{"others", "/etc/firefox/policies/policies.json", `{"policies": {"DisableTelemetry": true, "Big": 12345678901234567890}}`},
		{"certificates", "/etc/firefox/policies/policies.json", `{"policies": {"Certificates": {"ImportEnterpriseRoots": true, "Install": ["/etc/corporate.crt"]}}}`},
		{"beside the program", "/usr/lib/firefox-esr/distribution/policies.json", `{"policies": {"DisableAppUpdate": true}}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := temporary(t, nil)
			put(t, m, "/usr/lib/firefox-esr/firefox", "")
			if tt.before != "" {
				put(t, m, tt.file, tt.before)
			}
			a := newAuthority(t, newECDSA(t), same)
			if r := result(t, m.Install(t.Context(), a.Root), "firefox"); r.State != trust.Trusted || r.Failed {
				t.Fatalf("installed: %+v", r)
			}
			if got := policies(t, m, tt.file); !strings.Contains(got, "/etc/vitrine/trust/vitrine-") {
				t.Errorf("installed: %s", got)
			}
			if r := result(t, m.Uninstall(t.Context(), a.Root), "firefox"); r.State != trust.NotTrusted || r.Failed {
				t.Errorf("uninstalled: %+v", r)
			}
			if got := policies(t, m, tt.file); got != compact(t, tt.before) {
				t.Errorf("after: %s, before: %s", got, tt.before)
			}
			if _, err := os.Stat(filepath.Join(m.Root, "/etc/vitrine")); !os.IsNotExist(err) {
				t.Errorf("the folder stays: %v", err)
			}
		})
	}
}

func TestBrokenPoliciesAreNotOverwritten(t *testing.T) {
	m := temporary(t, nil)
	const broken = `{"policies": {,}}`
	put(t, m, "/etc/firefox/policies/policies.json", broken)
	r := result(t, m.Install(t.Context(), newAuthority(t, newECDSA(t), same).Root), "firefox")
	if !r.Failed || !strings.Contains(r.Detail, "mend it") {
		t.Errorf("%+v", r)
	}
	if text, err := os.ReadFile(filepath.Join(m.Root, "/etc/firefox/policies/policies.json")); err != nil || string(text) != broken {
		t.Errorf("the file: %s, %v", text, err)
	}
}

// TestLinksStayInside has a link of the machine point to a file outside of its root.
func TestLinksStayInside(t *testing.T) {
	outside := t.TempDir()
	m := temporary(t, nil)
	put(t, m, "/etc/firefox/README", "")
	if err := os.Symlink(outside, filepath.Join(m.Root, "/etc/firefox/policies")); err != nil {
		t.Fatal(err)
	}
	m.Install(t.Context(), newAuthority(t, newECDSA(t), same).Root)
	if all := snapshot(t, outside, "/"); len(all) > 0 {
		t.Errorf("written outside: %v", all)
	}
}

func policies(t *testing.T, m *trust.Machine, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(m.Root, name))
	if os.IsNotExist(err) {
		return ""
	}
	if err != nil {
		t.Fatal(err)
	}
	return compact(t, string(text))
}

// compact is a JSON text with its keys sorted, and its numbers as they were.
func compact(t *testing.T, text string) string {
	t.Helper()
	if text == "" {
		return ""
	}
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	out, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}
