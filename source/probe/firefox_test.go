package probe_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/internal/testkit"
	"github.com/vitrine-ndr/vitrine/source/probe"
)

// TestFirefox has Firefox load a page by each version of HTTP. It brings its own NSS, on the NSPR of the system.
func TestFirefox(t *testing.T) {
	ca := newIdentity(t)
	w := watch(t, probe.Config{})
	port := nginx(t, issue(t, ca), newSite(t))
	for version, http2 := range map[string]bool{"1.1": false, "2": true} {
		t.Run("http "+version, func(t *testing.T) {
			path := "/ok/firefox-" + version
			pid := firefox(t, ca, fmt.Sprintf("https://localhost:%d%s", port, path), http2)
			checkBoth(t, w, path, port, "nginx", pid)
			for _, r := range w.all(func(r *event.Record) bool { return r.HTTP != nil && r.HTTP.URL == path }) {
				if r.HTTP.Version != "HTTP/"+version {
					t.Errorf("the %s speaks %s", r.Local, r.HTTP.Version)
				}
			}
		})
	}
}

// firefox opens a URL and goes on until the test ends.
func firefox(t *testing.T, ca identity, url string, http2 bool) (pid int) {
	t.Helper()
	profile := nssDatabase(t, ca)
	write(t, filepath.Join(profile, "user.js"), fmt.Appendf(nil, `user_pref("network.http.http2.enabled", %t);
%s`, http2, testkit.QuietFirefox))
	cmd := exec.Command(testkit.Need(t, "firefox-esr"), "--headless", "--no-remote", "--profile", profile, url)
	cmd.Env = append(os.Environ(), "HOME="+profile)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return cmd.Process.Pid
}

// issue returns a certificate for localhost from an authority: browsers take none from itself.
func issue(t testing.TB, ca identity) identity {
	t.Helper()
	authority, err := tls.LoadX509KeyPair(ca.cert, ca.key)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(8), Subject: pkix.Name{CommonName: "a site"}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, authority.Leaf, &key.PublicKey, authority.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	id := identity{cert: filepath.Join(dir, "cert.pem"), key: filepath.Join(dir, "key.pem")}
	write(t, id.cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	write(t, id.key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}))
	return id
}
