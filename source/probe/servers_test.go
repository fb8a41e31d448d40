package probe_test

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/vitrine-ndr/vitrine/internal/testkit"
)

// site is what servers serve: files of random bytes, by their size.
type site struct {
	dir    string
	hashes map[string]string // SHA-256 by name
}

func newSite(t testing.TB) site {
	t.Helper()
	s := site{dir: t.TempDir(), hashes: map[string]string{}}
	if err := os.Chmod(s.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, size := range map[string]int{"small": 100, "16k": 16 << 10, "64k": 64 << 10, "10m": 10 << 20} {
		b := make([]byte, size)
		rand.Read(b)
		sum := sha256.Sum256(b)
		s.hashes[name] = hex.EncodeToString(sum[:])
		write(t, filepath.Join(s.dir, name), b)
	}
	return s
}

// nginx serves the site, answers anything below /ok, and takes files below /up, with HTTP/2 where that is wanted. It returns its port.
func nginx(t testing.TB, id identity, s site) int {
	t.Helper()
	port, dir := freePort(t), t.TempDir()
	conf := filepath.Join(dir, "nginx.conf")
	write(t, conf, fmt.Appendf(nil, `daemon off; worker_processes 1; pid %[1]s/pid; error_log stderr warn; user root;
events { worker_connections 1024; }
http {
	access_log off; client_max_body_size 100m; limit_rate 20m;
	client_body_temp_path %[1]s/a; proxy_temp_path %[1]s/b; fastcgi_temp_path %[1]s/c; uwsgi_temp_path %[1]s/d; scgi_temp_path %[1]s/e;
	server {
		listen 127.0.0.1:%[2]d ssl http2; listen [::1]:%[2]d ssl http2;
		ssl_certificate %[3]s; ssl_certificate_key %[4]s; ssl_protocols TLSv1.2 TLSv1.3;
		root %[5]s;
		location /ok { return 200 "fine\n"; }
		location /up { root %[1]s; dav_methods PUT; create_full_put_path on; }
	}
}
`, dir, port, id.cert, id.key, s.dir))
	serve(t, port, exec.Command(testkit.Need(t, "nginx"), "-p", dir, "-c", conf))
	return port
}

func apache(t testing.TB, id identity, s site) int {
	t.Helper()
	port, dir := freePort(t), t.TempDir()
	conf := filepath.Join(dir, "apache.conf")
	write(t, conf, fmt.Appendf(nil, `ServerRoot %[1]s
ServerName localhost
PidFile %[1]s/pid
ErrorLog /dev/stderr
Listen 127.0.0.1:%[2]d
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule ssl_module /usr/lib/apache2/modules/mod_ssl.so
User www-data
DocumentRoot %[5]s
SSLEngine on
SSLCertificateFile %[3]s
SSLCertificateKeyFile %[4]s
<Directory %[5]s>
	Require all granted
</Directory>
`, dir, port, id.cert, id.key, s.dir))
	serve(t, port, exec.Command(testkit.Need(t, "apache2"), "-D", "FOREGROUND", "-f", conf))
	return port
}

// haproxy takes TLS off and passes on to another server over TLS: it is server and client.
func haproxy(t testing.TB, id identity, behind int) int {
	t.Helper()
	port, dir := freePort(t), t.TempDir()
	conf := filepath.Join(dir, "haproxy.cfg")
	write(t, conf, fmt.Appendf(nil, `defaults
	mode http
	timeout connect 5s
	timeout client 10s
	timeout server 10s
frontend f
	bind 127.0.0.1:%d ssl crt %s
	default_backend b
backend b
	server s 127.0.0.1:%d ssl verify none
`, port, id.both, behind))
	serve(t, port, exec.Command(testkit.Need(t, "haproxy"), "-f", conf, "-db"))
	return port
}

func opensslServer(t testing.TB, id identity, s site) int {
	t.Helper()
	port := freePort(t)
	cmd := exec.Command(testkit.Need(t, "openssl"), "s_server", "-accept", fmt.Sprint("127.0.0.1:", port), "-cert", id.cert, "-key", id.key, "-WWW", "-quiet")
	cmd.Dir = s.dir
	serve(t, port, cmd)
	return port
}

func gnutlsServer(t testing.TB, id identity) int {
	t.Helper()
	port := freePort(t)
	serve(t, port, exec.Command(testkit.Need(t, "gnutls-serv"), "--http", "--port", fmt.Sprint(port), "--x509certfile", id.cert, "--x509keyfile", id.key, "--quiet"))
	return port
}

// nssDatabase returns a database in which NSS trusts the certificate.
func nssDatabase(t testing.TB, id identity) string {
	t.Helper()
	db := t.TempDir()
	run(t, "certutil", "-N", "-d", "sql:"+db, "--empty-password")
	run(t, "certutil", "-A", "-n", "ca", "-t", "C,,", "-i", id.cert, "-d", "sql:"+db)
	return db
}

// nssServer answers anything with what it was asked, and never from a file. It writes by PR_Writev.
func nssServer(t testing.TB, id identity) int {
	t.Helper()
	db := nssDatabase(t, id)
	bundle := filepath.Join(db, "server.p12")
	run(t, "openssl", "pkcs12", "-export", "-in", id.cert, "-inkey", id.key, "-passout", "pass:", "-out", bundle)
	run(t, "pk12util", "-i", bundle, "-d", "sql:"+db, "-W", "")
	port := freePort(t)
	serve(t, port, exec.Command(testkit.Need(t, "selfserv"), "-p", fmt.Sprint(port), "-d", "sql:"+db, "-n", "ca", "-e", "ca", "-V", "tls1.2:"))
	return port
}

// goProgram is a client and a server, built with a release of Go.
func goProgram(t testing.TB, release string) string {
	t.Helper()
	source, err := os.ReadFile("testdata/peer.go.txt")
	if err != nil {
		t.Fatal(err)
	}
	return testkit.GoBuild(t, release, []string{"-ldflags=-s -w"}, string(source))
}

// patient runs a client that waits until its standard input ends. TLS is part of the program, so nothing of it is hooked before it has
// been started: it may begin once that is done.
func patient(t testing.TB, w *watched, name string, args ...string) (pid int) {
	t.Helper()
	cmd := exec.Command(testkit.Need(t, name), args...)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Error(err)
		return 0
	}
	_, pid = runCommand(t, cmd, func() {
		w.sees(t, cmd.Process.Pid)
		in.Close()
	})
	return pid
}

func goServer(t testing.TB, w *watched, program string, id identity, s site) int {
	t.Helper()
	port := freePort(t)
	cmd := serve(t, port, exec.Command(program, "server", fmt.Sprint("127.0.0.1:", port), id.cert, id.key, s.dir))
	w.sees(t, cmd.Process.Pid)
	return port
}

// pipe runs a client that takes a request on its standard input, which stays open until the answer's end is there. Some clients go on for
// ever after that: they are killed.
func pipe(t testing.TB, request, end, name string, args ...string) (pid int) {
	t.Helper()
	cmd := exec.Command(testkit.Need(t, name), args...)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Error(err)
		return 0
	}
	answer := &untilText{want: end, then: func() {
		in.Close()
		time.AfterFunc(time.Second, func() { _ = cmd.Process.Kill() })
	}}
	cmd.Stdout, cmd.Stderr = answer, answer
	if err := cmd.Start(); err != nil {
		t.Error(err)
		return 0
	}
	defer time.AfterFunc(patience, func() { _ = cmd.Process.Kill() }).Stop()
	if _, err := in.Write([]byte(request)); err != nil {
		t.Error(err)
	}
	_ = cmd.Wait() // some end with an error where the server closes first
	if answer.then != nil {
		t.Errorf("%s got no answer that ends in %q:\n%s", name, end, answer.got)
	}
	return cmd.Process.Pid
}

// untilText collects output and calls then once the text is in it.
type untilText struct {
	got  []byte
	want string
	then func() // nil once it was called
}

func (u *untilText) Write(b []byte) (int, error) {
	u.got = append(u.got, b...)
	if u.then != nil && bytes.Contains(u.got, []byte(u.want)) {
		u.then()
		u.then = nil
	}
	return len(b), nil
}
