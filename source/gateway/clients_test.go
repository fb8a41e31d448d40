package gateway_test

import (
	"crypto"
	"crypto/tls"
	"fmt"
	"net/http"
	"net/url"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/internal/testkit"
	"github.com/vitrine-ndr/vitrine/source/gateway/policy"
)

// startNginx serves "fine" at shop.example until the test ends, and returns the address.
func startNginx(t testing.TB, id *identity, settings string) string {
	t.Helper()
	nginx, dir := testkit.Need(t, "nginx"), t.TempDir()
	cert, key := id.files(t, dir)
	l := listen(t)
	address := l.Addr().String()
	l.Close()
	conf := fmt.Sprintf(`daemon off; worker_processes 1; pid %[1]s/pid; error_log stderr crit; user root;
events { worker_connections 512; }
http {
	access_log off; client_body_temp_path %[1]s/a; proxy_temp_path %[1]s/b; fastcgi_temp_path %[1]s/c; uwsgi_temp_path %[1]s/d; scgi_temp_path %[1]s/e;
	server { listen %[2]s ssl %[3]s location / { return 200 "fine"; } ssl_certificate %[4]s; ssl_certificate_key %[5]s; }
}
`, dir, address, settings, cert, key)
	cmd := exec.Command(nginx, "-p", dir, "-c", write(t, dir, "nginx.conf", []byte(conf)))
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	check(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	})
	awaitServer(t, address)
	return address
}

// awaitHTTP checks the next request that was told.
func (w *world) awaitHTTP(t testing.TB, path, version string) {
	t.Helper()
	r := w.await(t, "the request", func(r *event.Record) bool { return r.Kind == event.KindHTTP })
	if r.HTTP.URL != path || r.HTTP.Status != http.StatusOK || r.HTTP.Version != version {
		t.Errorf("told %s %s %d, want %s %s", r.HTTP.Version, r.HTTP.URL, r.HTTP.Status, version, path)
	}
	if r.Decryption != (flow.Decryption{State: flow.DecryptedYes, Source: flow.FromInspection}) || r.Policy == nil || *r.Policy != (flow.Policy{ID: "all", Scope: "web", Action: flow.Inspect}) {
		t.Errorf("told %+v under %+v", r.Decryption, r.Policy)
	}
}

// TestCurl has curl talk to nginx, in HTTP/1 and HTTP/2, through both front ends.
func TestCurl(t *testing.T) {
	w := newWorld(t, options{rules: inspectAll(policy.Cases{})})
	address := startNginx(t, issue(t, w.public, newECDSA(t), forShop), "http2; ssl_protocols TLSv1.2 TLSv1.3;")
	ca, _ := w.private.files(t, t.TempDir())
	for version, flag := range map[string]string{"HTTP/2": "--http2", "HTTP/1.1": "--http1.1"} {
		for _, proxy := range []string{"http://" + w.proxy, "socks5://" + w.socks, "socks5h://" + w.socks} {
			path := "/" + strings.ReplaceAll(version+proxy[:6], "/", "")
			out, status := run(t, "", "curl", "-sS", flag, "-w", " %{http_version} %{ssl_verify_result}", "--cacert", ca, "-x", proxy, "https://localhost:"+port(address)+path)
			if want := "fine " + strings.TrimSuffix(version[5:], ".0") + " 0"; out != want || status != 0 {
				t.Errorf("curl %s over %s: %q, status %d; want %q", flag, proxy, out, status, want)
			}
			w.awaitHTTP(t, path, version)
			r := w.awaitTLS(t)
			if r.TLS.SNI != "localhost" || r.TLS.Version != "TLS 1.3" || r.TLS.Certificate.Issuer != "CN=Public CA" || r.TLS.Fault != "" || r.Server.String() != address || r.TLS.PlaintextBytes == 0 {
				t.Errorf("told %+v", r.TLS)
			}
			if want := map[string]string{"HTTP/2": "h2", "HTTP/1.1": "http/1.1"}[version]; r.TLS.ALPN != want {
				t.Errorf("ALPN is %q, want %q", r.TLS.ALPN, want)
			}
		}
	}
	out, status := run(t, "", "curl", "-sS", "-x", "http://"+w.proxy, "https://localhost:"+port(address))
	if status != 60 {
		t.Errorf("a curl that does not trust the gateway: status %d, %s", status, out)
	}
	if r := w.awaitTLS(t); r.Decryption != (flow.Decryption{State: flow.DecryptedNo, Reason: flow.ClientRefused}) {
		t.Errorf("told %+v", r.Decryption)
	}
}

// TestEarlyAnswer has nginx answer an upload that is too large before all of it is there, and reset it: curl must hear both, as it does directly.
func TestEarlyAnswer(t *testing.T) {
	w := newWorld(t, options{rules: inspectAll(policy.Cases{})})
	address := startNginx(t, issue(t, w.public, newECDSA(t), forShop), "http2; location /up { client_max_body_size 100k; root /nowhere; }")
	ca, _ := w.private.files(t, t.TempDir())
	upload := write(t, t.TempDir(), "upload", make([]byte, 5<<20))
	for range 20 {
		out, status := run(t, "", "curl", "-sS", "--http2", "-o", "/dev/null", "-w", "%{http_code}", "--cacert", ca, "-x", "http://"+w.proxy, "-T", upload, "https://localhost:"+port(address)+"/up")
		if out != "413" || status != 0 {
			t.Fatalf("curl: %q, status %d; want 413, status 0", out, status)
		}
	}
}

// TestPython has Python's own TLS, and through it OpenSSL's strictest checks, talk to nginx.
func TestPython(t *testing.T) {
	w := newWorld(t, options{rules: inspectAll(policy.Cases{})})
	address := startNginx(t, issue(t, w.public, newRSA(t), forShop), ";")
	ca, _ := w.private.files(t, t.TempDir())
	program := fmt.Sprintf(`
import http.client, ssl
context = ssl.create_default_context(cafile=%q)
context.verify_flags |= ssl.VERIFY_X509_STRICT
c = http.client.HTTPSConnection(%q, context=context)
c.set_tunnel("localhost", %s)
for path in "/a", "/b":
    c.request("GET", path)
    print(c.getresponse().read().decode())
`, ca, w.proxy, port(address))
	if out, status := run(t, "", "/usr/bin/python3", "-c", program); out != "fine\nfine\n" || status != 0 {
		t.Errorf("Python: %s, status %d", out, status)
	}
	w.awaitHTTP(t, "/a", "HTTP/1.1")
	w.awaitHTTP(t, "/b", "HTTP/1.1")
}

// TestGo has Go's HTTP client, which offers HTTP/2, talk to nginx.
func TestGo(t *testing.T) {
	w := newWorld(t, options{rules: inspectAll(policy.Cases{})})
	address := startNginx(t, issue(t, w.public, newECDSA(t), forShop), "http2; ssl_protocols TLSv1.2 TLSv1.3;")
	tr := &http.Transport{
		Proxy:           http.ProxyURL(&url.URL{Scheme: "http", Host: w.proxy}),
		TLSClientConfig: &tls.Config{RootCAs: w.private.pool()}, ForceAttemptHTTP2: true,
	}
	defer tr.CloseIdleConnections()
	resp, err := (&http.Client{Transport: tr}).Get("https://" + address + "/go")
	check(t, err)
	resp.Body.Close()
	if resp.Proto != "HTTP/2.0" {
		t.Errorf("got %s", resp.Proto)
	}
	w.awaitHTTP(t, "/go", "HTTP/2")
}

// TestWget has GnuTLS talk to nginx.
func TestWget(t *testing.T) {
	w := newWorld(t, options{rules: inspectAll(policy.Cases{})})
	address := startNginx(t, issue(t, w.public, newECDSA(t), forShop), ";")
	ca, _ := w.private.files(t, t.TempDir())
	out, status := run(t, "", "wget", "-q", "-O", "-", "--ca-certificate", ca, "-e", "https_proxy=http://"+w.proxy, "https://localhost:"+port(address)+"/w")
	if out != "fine" || status != 0 {
		t.Errorf("wget: %s, status %d", out, status)
	}
	w.awaitHTTP(t, "/w", "HTTP/1.1")
}

// TestVersionsAndSuites has OpenSSL talk to OpenSSL through the gateway, with one version and suite each. Both sides get what they would
// have agreed on.
func TestVersionsAndSuites(t *testing.T) {
	w := newWorld(t, options{rules: inspectAll(policy.Cases{}), private: newRoot(t, "Private CA", newRSA(t))})
	ca, _ := w.private.files(t, t.TempDir())
	keys := map[string]crypto.Signer{"RSA": newRSA(t), "ECDSA": newECDSA(t)}
	for _, tt := range []struct {
		key, version, suite string
		reason              flow.Reason // of a connection that is bypassed
	}{
		{"ECDSA", "-tls1_3", "TLS_AES_128_GCM_SHA256", ""},
		{"RSA", "-tls1_3", "TLS_CHACHA20_POLY1305_SHA256", ""},
		{"ECDSA", "-tls1_2", "ECDHE-ECDSA-AES256-GCM-SHA384", ""},
		{"RSA", "-tls1_2", "ECDHE-RSA-CHACHA20-POLY1305", ""},
		{"RSA", "-tls1_2", "ECDHE-RSA-AES128-SHA256", ""},
		{"RSA", "-tls1_2", "AES128-GCM-SHA256", ""}, // RSA key exchange
		{"RSA", "-tls1_2", "AES256-SHA", ""},
		{"RSA", "-tls1_2", "DHE-RSA-AES128-GCM-SHA256", flow.UnsupportedSuite},
		{"RSA", "-tls1_1", "ECDHE-RSA-AES128-SHA", ""},
		{"ECDSA", "-tls1_1", "ECDHE-ECDSA-AES256-SHA", ""},
		{"RSA", "-tls1", "ECDHE-RSA-AES256-SHA", ""},
		{"RSA", "-tls1", "AES128-SHA", ""},
	} {
		t.Run(tt.key+tt.version+" "+tt.suite, func(t *testing.T) {
			id, dir := issue(t, w.public, keys[tt.key], forShop), t.TempDir()
			cert, key := id.files(t, dir)
			public, _ := w.public.files(t, t.TempDir())
			l := listen(t)
			address := l.Addr().String()
			l.Close()
			suite := []string{"-cipher", tt.suite + ":@SECLEVEL=0"}
			if tt.version == "-tls1_3" {
				suite = []string{"-ciphersuites", tt.suite}
			}
			server := exec.Command(testkit.Need(t, "openssl"), append([]string{"s_server", "-accept", address, "-cert", cert, "-key", key, "-www", "-quiet", tt.version}, suite...)...)
			check(t, server.Start())
			defer func() {
				_ = server.Process.Kill()
				_ = server.Wait()
			}()
			trusted := ca
			if tt.reason != "" {
				trusted = public
			}
			args := append([]string{"s_client", "-proxy", w.proxy, "-connect", "localhost:" + port(address), "-CAfile", trusted, "-verify_return_error", "-verify_hostname", "localhost", "-ign_eof", tt.version}, suite...)
			out, status := "", 1
			for end := time.Now().Add(patience); status != 0 && time.Now().Before(end); time.Sleep(50 * time.Millisecond) { // until it listens
				out, status = run(t, "GET /x HTTP/1.0\r\n\r\n", "openssl", args...)
				if strings.Contains(out, "CONNECTED") && !strings.Contains(out, "Bad Gateway") {
					break
				}
			}
			if status != 0 || !strings.Contains(out, "Verification: OK") || !strings.Contains(out, "HTTP/1.0 200 ok") {
				t.Fatalf("status %d:\n%s\nthe gateway: %+v", status, out, w.awaitTLS(t))
			}
			if n := strings.Count(out, tt.suite); n == 0 {
				t.Errorf("the client has another suite:\n%s", out)
			}
			r := w.awaitTLS(t)
			if tt.reason != "" {
				if r.Decryption != (flow.Decryption{State: flow.DecryptedNo, Reason: tt.reason}) || r.Policy.Action != flow.Bypass {
					t.Errorf("told %+v, %+v", r.Decryption, r.Policy)
				}
				return
			}
			if r.Decryption.State != flow.DecryptedYes || r.TLS.Fault != "" {
				t.Errorf("told %+v, %+v", r.Decryption, r.TLS)
			}
		})
	}
}
