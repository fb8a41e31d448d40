package gateway_test

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/internal/testkit"
	"github.com/vitrine-ndr/vitrine/source/gateway/policy"
)

// startApache serves "fine" at shop.example until the test ends, below /private only to who has a certificate of the authority. It asks for
// one once it has read the request, by renegotiation or, in TLS 1.3, behind the handshake, unless the settings say otherwise. It returns the
// address.
func startApache(t testing.TB, id, clients *identity, versions, settings string) string {
	t.Helper()
	apache, dir := testkit.Need(t, "apache2"), t.TempDir()
	cert, key := id.files(t, dir)
	ca, _ := clients.files(t, t.TempDir())
	l := listen(t)
	address := l.Addr().String()
	l.Close()
	for _, page := range []string{"index.html", "private/index.html"} {
		path := filepath.Join(dir, "pages", page)
		check(t, os.MkdirAll(filepath.Dir(path), 0o755))
		check(t, os.WriteFile(path, []byte("fine"), 0o644))
	}
	check(t, os.Chmod(dir, 0o755))
	conf := fmt.Sprintf(`ServerRoot %[1]s
PidFile %[1]s/pid
Listen %[2]s
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule dir_module /usr/lib/apache2/modules/mod_dir.so
LoadModule ssl_module /usr/lib/apache2/modules/mod_ssl.so
ServerName shop.example
User www-data
ErrorLog %[1]s/error.log
DocumentRoot %[1]s/pages
SSLEngine on
SSLProtocol -all %[3]s
SSLCertificateFile %[4]s
SSLCertificateKeyFile %[5]s
SSLCACertificateFile %[6]s
%[7]s
<Location /private>
SSLVerifyClient require
</Location>
`, dir, address, versions, cert, key, ca, settings)
	cmd := exec.Command(apache, "-D", "FOREGROUND", "-f", write(t, dir, "apache.conf", []byte(conf)))
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	check(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	})
	awaitServer(t, address)
	return address
}

// awaitServer waits until somebody shakes hands at the address, or refuses to in the words of TLS.
func awaitServer(t testing.TB, address string) {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		if c, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true}); err == nil {
			c.Close()
			return
		} else if strings.Contains(err.Error(), "remote error") {
			return
		} else if time.Now().After(end) {
			t.Fatalf("the server does not answer: %v", err)
		}
	}
}

// TestLateClientCertificate has Apache ask curl for a certificate once it has read the request. In TLS 1.2 that ends the first connection, and
// the next one is curl's own; where that is forbidden, it is none. In TLS 1.3 Apache cannot ask through the gateway, and says so in its own words.
func TestLateClientCertificate(t *testing.T) {
	for _, tt := range []struct {
		versions string
		choice   policy.Choice
		want     [2]string      // what curl gets in two attempts, or nothing
		action   [2]flow.Action // what was done with them
		why      [2]flow.Decryption
	}{
		{"+TLSv1.2", policy.Bypass, [2]string{"", "fine 200"}, [2]flow.Action{flow.Inspect, flow.Bypass}, [2]flow.Decryption{
			{State: flow.DecryptedPartial, Source: flow.FromInspection, Reason: flow.ClientCertificate}, {State: flow.DecryptedNo, Reason: flow.ClientCertificate},
		}},
		{"+TLSv1.2", policy.Block, [2]string{"", ""}, [2]flow.Action{flow.Inspect, flow.Block}, [2]flow.Decryption{
			{State: flow.DecryptedPartial, Source: flow.FromInspection, Reason: flow.ClientCertificate}, {State: flow.DecryptedNo, Reason: flow.ClientCertificate},
		}},
		{"+TLSv1.3", policy.Bypass, [2]string{"403", "403"}, [2]flow.Action{flow.Inspect, flow.Inspect}, [2]flow.Decryption{
			{State: flow.DecryptedYes, Source: flow.FromInspection}, {State: flow.DecryptedYes, Source: flow.FromInspection},
		}},
	} {
		w := newWorld(t, options{rules: inspectAll(policy.Cases{ClientCertificate: tt.choice})})
		members := newRoot(t, "Members CA", newECDSA(t))
		address := startApache(t, issue(t, w.public, newECDSA(t), forShop), members, tt.versions, "")
		cert, key := issue(t, members, newECDSA(t), func(c *x509.Certificate) {
			c.Subject, c.ExtKeyUsage = pkix.Name{CommonName: "a member"}, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
		}).files(t, t.TempDir())
		ca := bundle(t, w.public, w.private)
		ask := func(path string, more ...string) string {
			out, _ := run(t, "", "curl", append([]string{"-s", "-w", " %{http_code}", "--http1.1", "--cacert", ca, "--cert", cert, "--key", key, "https://localhost:" + port(address) + path}, more...)...)
			return out
		}
		if got := ask("/private/"); got != "fine 200" {
			t.Fatalf("%s, without the gateway: %s", tt.versions, got)
		}
		if got := ask("/", "-x", "http://"+w.proxy); got != "fine 200" {
			t.Errorf("%s, where no certificate is asked for: %s", tt.versions, got)
		}
		w.awaitTLS(t)
		for i, want := range tt.want {
			got := strings.TrimSuffix(ask("/private/", "-x", "http://"+w.proxy), " 000")
			if (want == "") != (got == "") || !strings.HasSuffix(got, want) {
				t.Errorf("%s, %s, attempt %d: curl gets %q, want %q", tt.versions, tt.choice, i+1, got, want)
			}
			if r := w.awaitTLS(t); r.Decryption != tt.why[i] || r.Policy.Action != tt.action[i] {
				t.Errorf("%s, %s, attempt %d: told %+v, %+v", tt.versions, tt.choice, i+1, r.Decryption, r.Policy)
			}
		}
	}
}
