package trust_test

import (
	"crypto/x509"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/vitrine-ndr/vitrine/internal/testkit"
	"github.com/vitrine-ndr/vitrine/internal/trust"
)

// clients are programs that connect to a server whose certificate the authority has signed, by the name of the store that they follow.
// A login shell starts each, as after the next login.
var clients = map[string]string{
	"openssl": `echo | openssl s_client -verify_return_error -connect localhost:$PORT`,
	"curl":    `curl -sS https://localhost:$PORT/`,
	"git":     `git ls-remote https://localhost:$PORT/`,
	"python":  `python3 -c 'import sys, urllib.request, requests; [urllib.request.urlopen(sys.argv[1]), requests.get(sys.argv[1])]' https://localhost:$PORT/`,
	"node":    `node -e 'require("https").get(process.argv[1], { family: 4 }).on("error", (e) => { throw e; })' https://localhost:$PORT/`,
	"java":    `/usr/lib/jvm/java-17-openjdk-amd64/bin/java /tmp/Get.java https://localhost:$PORT/`,
}

// everything is what clients, and vitrine trust, need.
var everything = []string{"curl", "git", "libnss3-tools", "nodejs", "openjdk-17-jdk-headless", "python3", "python3-requests", "python3-certifi"}

const getJava = `class Get { public static void main(String[] a) throws Exception { new java.net.URL(a[0]).openStream().readAllBytes(); } }`

// connects runs the client of a store against a server.
func connects(t *testing.T, c *testkit.Container, store, port string) (bool, string) {
	t.Helper()
	cmd := c.Command(t.Context(), "sh", "-c", `for f in /etc/profile.d/vitrine-trust-*.sh; do if [ -e "$f" ]; then . "$f"; fi; done; `+clients[store])
	cmd.Env = append(cmd.Env, "PORT="+port)
	out, err := cmd.CombinedOutput()
	return err == nil, string(out)
}

const profile = "/root/.config/mozilla/firefox/x.default"

// firefoxImports does what Firefox does when its policy names a certificate: it keeps it in the profile, under a name of its own.
func firefoxImports(t *testing.T, m *trust.Machine, c *testkit.Container, a *authority) {
	t.Helper()
	put(t, m, "/tmp/root.pem", string(a.pem()))
	inside(t, c, "sh", "-c", "mkdir -p "+profile+" && certutil -N -d sql:"+profile+" --empty-password && certutil -A -d sql:"+profile+" -a -t CTu,CTu, -n 'CN of it' -i /tmp/root.pem")
}

// TestDebian installs a root on a whole machine, has programs connect, and undoes it. What verify says must be what programs do.
func TestDebian(t *testing.T) {
	m, c := debianMachine(t, "bookworm", everything...)
	inside(t, c, "sh", "-c", `mkdir -p /etc/ssl/certs/java /root/.pki/nssdb /usr/lib/firefox-esr && certutil -N -d sql:/root/.pki/nssdb --empty-password &&
		keytool=/usr/lib/jvm/java-17-openjdk-amd64/bin/keytool && $keytool -importcert -storetype JKS -noprompt -keystore /etc/ssl/certs/java/cacerts -storepass changeit -alias one -file /usr/share/ca-certificates/mozilla/ISRG_Root_X1.crt`)
	put(t, m, "/tmp/Get.java", getJava)
	a := newAuthority(t, newRSA(t), same)
	port := a.serve(t)
	before := snapshot(t, c.Dir, "/etc", "/usr/local")

	agree := func(when string, all []trust.Result, want trust.State) {
		t.Helper()
		for store := range clients {
			ok, said := connects(t, c, store, port)
			if r := result(t, all, store); r.State != want || ok != (want == trust.Trusted) {
				t.Errorf("%s: %s is %+v, its client connects: %t: %s", when, store, r, ok, said)
			}
		}
		for _, store := range []string{"system", "nss", "firefox"} {
			if r := result(t, all, store); r.State != want {
				t.Errorf("%s: %+v", when, r)
			}
		}
	}
	agree("before", m.Verify(t.Context(), a.Root), trust.NotTrusted)

	m.Dry = true
	for _, r := range m.Install(t.Context(), a.Root) {
		if r.Failed {
			t.Errorf("dry run: %+v", r)
		}
	}
	if diff := cmp.Diff(before, snapshot(t, c.Dir, "/etc", "/usr/local")); diff != "" {
		t.Errorf("a dry run changed files: %s", diff)
	}
	m.Dry = false

	agree("installed", m.Install(t.Context(), a.Root), trust.Trusted)
	firefoxImports(t, m, c, a)
	for _, r := range m.Install(t.Context(), a.Root) {
		if len(r.Changes) > 0 || r.Failed {
			t.Errorf("the second time: %+v", r)
		}
	}
	for _, r := range m.Uninstall(t.Context(), a.Root) {
		if r.Failed || r.State == trust.Trusted {
			t.Errorf("uninstalled: %+v", r)
		}
	}
	agree("undone", m.Verify(t.Context(), a.Root), trust.NotTrusted)
	if list := inside(t, c, "certutil", "-L", "-d", "sql:"+profile); strings.Contains(list, "CN of it") {
		t.Errorf("the profile still has the root: %s", list)
	}
	after := snapshot(t, c.Dir, "/etc", "/usr/local")
	for _, s := range []map[string]string{before, after} {
		delete(s, filepath.Join(c.Dir, "/etc/ssl/certs/java/cacerts")) // has the time of its last change
	}
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("uninstall left behind: %s", diff)
	}
}

// TestHalfDone takes up at each point at which an installation can break off.
func TestHalfDone(t *testing.T) {
	m, c := debianMachine(t, "bookworm", "curl")
	a := newAuthority(t, newECDSA(t), same)
	name := "vitrine-" + a.Fingerprint()[:16]
	anchor, link, bundle := "/usr/local/share/ca-certificates/"+name+".crt", "/etc/ssl/certs/"+name+".pem", "/etc/ssl/certs/ca-certificates.crt"
	before := snapshot(t, c.Dir, "/etc/ssl", "/usr/local")
	for _, tt := range []struct {
		name   string
		broken func()
	}{
		{"written, not refreshed", func() { put(t, m, anchor, string(a.pem())) }},
		{"refreshed, then the file removed", func() {
			m.Install(t.Context(), a.Root)
			if err := os.Remove(filepath.Join(c.Dir, anchor)); err != nil {
				t.Fatal(err)
			}
		}},
		{"only the link", func() {
			if err := os.Symlink(anchor, filepath.Join(c.Dir, link)); err != nil {
				t.Fatal(err)
			}
		}},
		{"nothing", func() {}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.broken()
			for _, r := range m.Uninstall(t.Context(), a.Root) {
				if r.Failed {
					t.Errorf("%+v", r)
				}
			}
			if diff := cmp.Diff(before, snapshot(t, c.Dir, "/etc/ssl", "/usr/local")); diff != "" {
				t.Errorf("left behind: %s", diff)
			}
			tt.broken()
			if r := result(t, m.Install(t.Context(), a.Root), "system"); r.Failed || r.State != trust.Trusted {
				t.Errorf("install after that: %+v", r)
			}
			m.Uninstall(t.Context(), a.Root)
		})
	}
	if text, err := os.ReadFile(filepath.Join(c.Dir, bundle)); err != nil || strings.Contains(string(text), string(a.pem())) {
		t.Errorf("the root is still in the bundle: %v", err)
	}
}

// TestTwoRoots replaces a root: both are trusted for a while, and each goes alone, though they have one name.
func TestTwoRoots(t *testing.T) {
	m, c := debianMachine(t, "bookworm", everything...)
	inside(t, c, "sh", "-c", `db=/root/.local/share/pki/nssdb; mkdir -p $db /usr/lib/firefox && certutil -N -d sql:$db --empty-password`)
	old, young := newAuthority(t, newRSA(t), same), newAuthority(t, newECDSA(t), same)
	before := snapshot(t, c.Dir, "/etc", "/usr/local")
	check := func(when string, a *authority, want trust.State) {
		t.Helper()
		all := m.Verify(t.Context(), a.Root)
		for _, store := range []string{"system", "openssl", "curl", "python", "node", "nss", "firefox"} {
			if r := result(t, all, store); r.State != want {
				t.Errorf("%s: %+v, want %s", when, r, want)
			}
		}
	}
	m.Install(t.Context(), old.Root)
	check("one installed", young, trust.NotTrusted)
	m.Install(t.Context(), young.Root)
	check("both installed", old, trust.Trusted)
	check("both installed", young, trust.Trusted)
	m.Uninstall(t.Context(), old.Root)
	check("the old one gone", old, trust.NotTrusted)
	check("the old one gone", young, trust.Trusted)
	m.Uninstall(t.Context(), young.Root)
	check("both gone", young, trust.NotTrusted)
	if diff := cmp.Diff(before, snapshot(t, c.Dir, "/etc", "/usr/local")); diff != "" {
		t.Errorf("left behind: %s", diff)
	}
}

// TestVerdicts shows roots of several kinds to the clients of a newer release, whose Python is strict, and finds them trusted or not.
func TestVerdicts(t *testing.T) {
	m, _ := debianMachine(t, "trixie", "curl", "python3", "python3-requests")
	for name, a := range map[string]*authority{
		"ECDSA":             newAuthority(t, newECDSA(t), same),
		"RSA":               newAuthority(t, newRSA(t), same),
		"without key usage": newAuthority(t, newECDSA(t), func(c *x509.Certificate) { c.KeyUsage = 0 }),
		"for servers": newAuthority(t, newECDSA(t), func(c *x509.Certificate) {
			c.KeyUsage |= x509.KeyUsageDigitalSignature
			c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		}),
	} {
		t.Run(name, func(t *testing.T) {
			for _, want := range []trust.State{trust.NotTrusted, trust.Trusted} {
				all := m.Verify(t.Context(), a.Root)
				for _, store := range []string{"openssl", "curl", "python"} {
					if r := result(t, all, store); r.State != want {
						t.Errorf("%+v, want %s", r, want)
					}
				}
				m.Install(t.Context(), a.Root)
			}
			m.Uninstall(t.Context(), a.Root)
		})
	}
}

// TestOthersEntriesStay uninstalls what somebody else has installed too.
func TestOthersEntriesStay(t *testing.T) {
	m, c := debianMachine(t, "bookworm")
	a := newAuthority(t, newECDSA(t), same)
	put(t, m, "/usr/local/share/ca-certificates/corporate.crt", string(a.pem()))
	inside(t, c, "update-ca-certificates")
	if r := result(t, m.Install(t.Context(), a.Root), "system"); r.State != trust.Trusted || len(r.Changes) > 0 {
		t.Errorf("installed twice: %+v", r)
	}
	r := result(t, m.Uninstall(t.Context(), a.Root), "system")
	if r.State != trust.Trusted || !strings.Contains(r.Detail, "not of vitrine trust") || slices.ContainsFunc(r.Changes, func(c string) bool { return strings.HasPrefix(c, "remove") }) {
		t.Errorf("uninstalled: %+v", r)
	}
	if _, err := os.Stat(filepath.Join(c.Dir, "/usr/local/share/ca-certificates/corporate.crt")); err != nil {
		t.Error(err)
	}
}
