package main_test

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/internal/testkit"
)

// host is a client's machine behind the gateway: a folder with what clients need, among it the names that it knows.
type host struct {
	web *web
	dir string
	env []string
}

// newHost makes a machine whose programs trust the gateway's root, by what "vitrine trust install" sets, and the site's.
func (w *web) newHost(t *testing.T) *host {
	t.Helper()
	h := &host{web: w, dir: t.TempDir()}
	h.write(t, "hosts", "127.0.0.1 localhost\n"+siteIP+" "+siteName+"\n")
	gateway, err := os.ReadFile(filepath.Join(w.dir, "ca.pem"))
	check(t, err)
	public, err := os.ReadFile(filepath.Join(w.dir, "public.pem"))
	check(t, err)
	bundle := h.write(t, "bundle.pem", string(gateway)+string(public))
	for name, file := range map[string]string{"gateway": "ca.pem", "public": "public.pem"} {
		if out, errs, status := command(t, "keytool", "-importcert", "-noprompt", "-alias", name, "-file", filepath.Join(w.dir, file), "-keystore", h.file("trust.jks"), "-storepass", "changeit"); status != 0 {
			t.Fatal(out, errs)
		}
	}
	h.env = append(os.Environ(), "SSL_CERT_FILE="+bundle, "CURL_CA_BUNDLE="+bundle, "REQUESTS_CA_BUNDLE="+bundle, "NODE_EXTRA_CA_CERTS="+bundle, "PATH=/usr/bin:/bin:/usr/sbin:/sbin", "HOME="+h.dir,
		"JAVA_TOOL_OPTIONS=-Djavax.net.ssl.trustStore="+h.file("trust.jks")+" -Djavax.net.ssl.trustStorePassword=changeit")
	return h
}

func (h *host) file(name string) string { return filepath.Join(h.dir, name) }

func (h *host) write(t *testing.T, name, text string) string {
	t.Helper()
	check(t, os.WriteFile(h.file(name), []byte(text), 0o644))
	return h.file(name)
}

// run runs a program on the machine and returns what it says.
func (h *host) run(t *testing.T, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := h.web.client.Command(ctx, "sh", append([]string{"-c", `mount --bind "$HOME/hosts" /etc/hosts && exec "$@"`, "sh", testkit.Need(t, args[0])}, args[1:]...)...)
	cmd.Env, cmd.Dir = h.env, h.dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Sprintf("%s%v", out, err)
	}
	return string(out)
}

// apache serves "fine" to everybody until the end of the test.
func (w *web) apache(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	check(t, os.Chmod(filepath.Dir(dir), 0o755))
	for _, d := range []string{dir, dir + "/www"} {
		check(t, os.MkdirAll(d, 0o755))
		check(t, os.Chmod(d, 0o755))
	}
	id := newPair(t, w.public, forSite)
	cert, key := id.files(t, dir, "site")
	check(t, os.WriteFile(dir+"/www/index.html", []byte("fine"), 0o644))
	modules := ""
	for _, m := range []string{"mpm_event", "authz_core", "ssl", "http2", "rewrite"} {
		modules += fmt.Sprintf("LoadModule %[1]s_module /usr/lib/apache2/modules/mod_%[1]s.so\n", m)
	}
	conf := filepath.Join(dir, "apache.conf")
	check(t, os.WriteFile(conf, fmt.Appendf(nil, `ServerRoot %[1]s
ServerName %[5]s
PidFile %[1]s/pid
ErrorLog /dev/stderr
Listen %[4]s:443
%[6]sUser www-data
Protocols h2 http/1.1
DocumentRoot %[1]s/www
RewriteEngine on
RewriteRule .* %[1]s/www/index.html
SSLEngine on
SSLProtocol all
SSLCipherSuite ALL:@SECLEVEL=0
SSLCertificateFile %[2]s
SSLCertificateKeyFile %[3]s
<Directory %[1]s/www>
	Require all granted
</Directory>
`, dir, cert, key, siteIP, siteName, modules), 0o600))
	start(t, w.origin.Command(t.Context(), testkit.Need(t, "apache2"), "-D", "FOREGROUND", "-f", conf))
	eventually(t, "Apache answers", func() bool {
		var err error
		w.origin.Do(t, func() { err = tryDial(siteIP + ":443") })
		return err == nil
	})
}

// programs for clients that are no commands by themselves. Each prints what it gets from the URL in the first argument; the second
// is a file with a certificate and its key, if there is one.
var programs = map[string]string{
	"with_urllib.py": `import ssl, sys, urllib.request
c = ssl.create_default_context()
c.verify_flags |= ssl.VERIFY_X509_STRICT
if len(sys.argv) > 2: c.load_cert_chain(sys.argv[2])
print(urllib.request.urlopen(sys.argv[1], context=c).read().decode())`,
	"with_requests.py": `import requests, sys
print(requests.get(sys.argv[1], cert=sys.argv[2] if len(sys.argv) > 2 else None).text)`,
	"with_httpx.py": `import httpx, sys
with httpx.Client(http2=True, cert=sys.argv[2] if len(sys.argv) > 2 else None) as c: print(c.get(sys.argv[1]).text)`,
	"https.js": `const https = require("https"), fs = require("fs")
const id = process.argv[3] && fs.readFileSync(process.argv[3])
https.get(process.argv[2], {cert: id, key: id}, r => r.pipe(process.stdout))`,
	"fetch.js": `fetch(process.argv[2]).then(r => r.text()).then(console.log)`,
	"Client.java": `import java.net.URI; import java.net.http.*;
class Client { public static void main(String[] a) throws Exception {
	System.out.println(HttpClient.newHttpClient().send(HttpRequest.newBuilder(URI.create(a[0])).build(), HttpResponse.BodyHandlers.ofString()).body()); } }`,
	"Connection.java": `import java.net.URL;
class Connection { public static void main(String[] a) throws Exception { new URL(a[0]).openStream().transferTo(System.out); } }`,
	"client.go": `package main
import ("fmt"; "io"; "net/http"; "os")
func main() {
	r, err := http.Get(os.Args[1])
	if err != nil { fmt.Println(err); os.Exit(1) }
	b, _ := io.ReadAll(r.Body)
	fmt.Println(string(b))
}`,
}

// TestClients has programs that people use talk to Apache through the gateway, each with its own TLS.
func TestClients(t *testing.T) {
	w := newWeb(t)
	w.apache(t)
	h := w.newHost(t)
	for name, text := range programs {
		h.write(t, name, text)
	}
	if out, errs, status := command(t, "go", "build", "-o", h.file("client"), h.file("client.go")); status != 0 {
		t.Fatal(out, errs)
	}
	g := w.start(t)
	url := "https://" + siteName + "/"
	clients := map[string]struct {
		version string // of HTTP
		args    []string
	}{
		"curl":        {"HTTP/2", []string{"curl", "-sS", url + "curl"}},
		"curl-http11": {"HTTP/1.1", []string{"curl", "-sS", "--http1.1", url + "curl-http11"}},
		"wget":        {"HTTP/1.1", []string{"wget", "-q", "-O", "-", "--ca-certificate", h.file("bundle.pem"), url + "wget"}},
		"urllib":      {"HTTP/1.1", []string{"/usr/bin/python3", "with_urllib.py", url + "urllib"}},
		"requests":    {"HTTP/1.1", []string{"/usr/bin/python3", "with_requests.py", url + "requests"}},
		"httpx":       {"HTTP/2", []string{"/usr/bin/python3", "with_httpx.py", url + "httpx"}},
		"https":       {"HTTP/1.1", []string{"node", "https.js", url + "https"}},
		"fetch":       {"HTTP/1.1", []string{"node", "fetch.js", url + "fetch"}},
		"HttpClient":  {"HTTP/2", []string{"java", "Client.java", url + "HttpClient"}},
		"URL":         {"HTTP/1.1", []string{"java", "Connection.java", url + "URL"}},
		"go":          {"HTTP/2", []string{h.file("client"), url + "go"}},
	}
	for _, v := range []string{"1.0", "1.1", "1.2", "1.3"} {
		name := "tls" + v
		clients[name] = struct {
			version string
			args    []string
		}{"HTTP/1.1", []string{"curl", "-sS", "--http1.1", "--tlsv" + v, "--tls-max", v, "--ciphers", "DEFAULT:@SECLEVEL=0", url + name}}
	}
	for name, c := range clients {
		if out := h.run(t, c.args...); !strings.Contains(out, "fine") {
			t.Errorf("%s: %s", name, out)
		}
	}
	seen := map[string]*event.Record{}
	printed := g.end(t)
	for _, r := range records(t, printed) {
		if r.Kind == event.KindHTTP {
			seen[strings.TrimPrefix(r.HTTP.URL, "/")] = r
		}
	}
	for name, c := range clients {
		r := seen[name]
		if r == nil || r.HTTP.Version != c.version || r.HTTP.Status != http.StatusOK || r.Decryption.State != flow.DecryptedYes {
			t.Errorf("%s: told %+v", name, r)
		} else if v, ok := strings.CutPrefix(name, "tls"); ok && r.TLS.Version != "TLS "+v {
			t.Errorf("%s: told %s", name, r.TLS.Version)
		}
	}
}

// TestClientCertificates has programs show a certificate to a site that asks for one: each gets through at its first try, and later. The
// gateway is a new one for each.
func TestClientCertificates(t *testing.T) {
	w := newWeb(t)
	w.handle(t, w.listen(t, siteIP+":443"), &tls.Config{ClientAuth: tls.RequireAnyClientCert}, http.HandlerFunc(page))
	h := w.newHost(t)
	for name, text := range programs {
		h.write(t, name, text)
	}
	me := newPair(t, w.public, func(c *x509.Certificate) {
		c.Subject, c.ExtKeyUsage = pkix.Name{CommonName: "Ann"}, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	})
	cert, key := me.files(t, h.dir, "ann")
	both, err := os.ReadFile(cert)
	check(t, err)
	secret, err := os.ReadFile(key)
	check(t, err)
	id := h.write(t, "both.pem", string(both)+string(secret))
	if out, errs, status := command(t, "openssl", "pkcs12", "-export", "-in", id, "-passout", "pass:changeit", "-out", h.file("ann.p12")); status != 0 {
		t.Fatal(out, errs)
	}
	url := "https://" + siteName + "/"
	store := []string{"-Djavax.net.ssl.keyStore=" + h.file("ann.p12"), "-Djavax.net.ssl.keyStorePassword=changeit"}
	for name, args := range map[string][]string{
		"curl": {"curl", "-sS", "--cert", id, url}, "wget": {"wget", "-q", "-O", "-", "--ca-certificate", h.file("bundle.pem"), "--certificate", cert, "--private-key", key, url},
		"urllib": {"/usr/bin/python3", "with_urllib.py", url, id}, "requests": {"/usr/bin/python3", "with_requests.py", url, id}, "httpx": {"/usr/bin/python3", "with_httpx.py", url, id},
		"https": {"node", "https.js", url, id}, "HttpClient": append([]string{"java"}, append(store, "Client.java", url)...), "URL": append([]string{"java"}, append(store, "Connection.java", url)...),
	} {
		g := w.start(t)
		for _, when := range []string{"first", "later"} {
			if out := h.run(t, args...); !strings.Contains(out, "certificates=") || strings.Contains(out, "certificates=0") { // some send the issuer's too
				t.Errorf("%s, %s: %s", name, when, out)
			}
		}
		n := 0
		for _, r := range records(t, g.end(t)) {
			if r.Kind == event.KindTLS && r.Decryption.Reason == flow.ClientCertificate && r.Policy.Action == flow.Bypass {
				n++
			}
		}
		if n != 2 {
			t.Errorf("%s: %d connections were bypassed, want 2", name, n)
		}
	}
}

// TestPinnedClient has curl accept only the site's own key: it refuses the gateway's, and no request of it is told.
func TestPinnedClient(t *testing.T) {
	w := newWeb(t)
	w.apache(t)
	h := w.newHost(t)
	var state tls.ConnectionState
	w.origin.Do(t, func() {
		c, err := tls.Dial("tcp", siteIP+":443", &tls.Config{InsecureSkipVerify: true})
		check(t, err)
		state = c.ConnectionState()
		c.Close()
	})
	sum := sha256.Sum256(state.PeerCertificates[0].RawSubjectPublicKeyInfo)
	args := []string{"curl", "-sS", "--pinnedpubkey", "sha256//" + base64.StdEncoding.EncodeToString(sum[:]), "https://" + siteName + "/secret"}
	if out := h.run(t, args...); out != "fine" {
		t.Fatalf("without the gateway: %s", out)
	}
	g := w.start(t)
	if out := h.run(t, args...); !strings.Contains(out, "public key does not match") {
		t.Errorf("with the gateway: %s", out)
	}
	for _, r := range records(t, g.end(t)) {
		if r.Kind == event.KindHTTP {
			t.Errorf("told %+v", r.HTTP)
		}
	}
}
