package main_test

import (
	"bufio"
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/vitrine-ndr/vitrine/internal/testkit"
)

// transaction is what tshark and Vitrine must agree on.
type transaction struct{ Method, Host, URL, Status string }

func (t transaction) String() string {
	return strings.Join([]string{t.Method, t.Host, t.URL, t.Status}, " ")
}

// TestReplayAgreesWithTshark captures real traffic of curl, nginx and Go and compares what tshark and Vitrine make of it.
func TestReplayAgreesWithTshark(t *testing.T) {
	tshark := testkit.Need(t, "tshark")
	shop := newShop(t)
	stop := capturePackets(t, shop.server, shop.file("traffic.pcapng"))
	for _, version := range []string{"1.2", "1.3"} {
		for _, protocol := range []string{"1.1", "2"} {
			shop.visit(t, version, protocol)
		}
	}
	shop.curl(t, "http://shop.example/x.json")
	shop.visitGo(t)
	stop()

	want := tsharkTransactions(t, tshark, shop)
	if len(want) < 40 {
		t.Fatalf("tshark saw %d transactions only", len(want))
	}
	got, bodies := replayTransactions(t, shop)
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("transactions: -tshark +vitrine:\n%s", diff)
	}
	if diff := gocmp.Diff(tsharkBodies(t, tshark, shop), bodies); diff != "" {
		t.Errorf("bodies by SHA-256: -tshark +vitrine:\n%s", diff)
	}
	shop.compareBodies(t, bodies)
}

// form is a body that is parameters rather than a file: fileinfo leaves such out, as Suricata does.
const form = "a=b&c=d"

// shop is an nginx in one namespace, with a folder of its own, and customers in another.
type shop struct {
	dir, keyLog    string
	client, server *testkit.Namespace
}

func (s *shop) file(name string) string { return filepath.Join(s.dir, name) }

func newShop(t *testing.T) *shop {
	t.Helper()
	nginx := testkit.Need(t, "nginx")
	s := &shop{dir: t.TempDir()}
	s.keyLog = s.file("keys.log")
	if err := os.Chmod(filepath.Dir(s.dir), 0o755); err != nil { // nginx's workers are not root
		t.Fatal(err)
	}
	s.client, s.server = testkit.VethPair(t)
	www := s.file("www")
	s.write(t, "www/index.html", []byte("<html><body>hello</body></html>"))
	s.write(t, "www/x.json", []byte(`{"a":1}`))
	s.write(t, "www/text.txt", bytes.Repeat([]byte("lorem ipsum "), 20_000))
	s.write(t, "www/big.bin", random(1_000_000))
	certificate(t, s.file("cert.pem"), s.file("key.pem"))
	s.write(t, "nginx.conf", fmt.Appendf(nil, `daemon off; pid %[1]s/nginx.pid; error_log stderr warn; worker_processes 1;
events {}
http {
	access_log off; types { text/html html; text/plain txt; application/json json; }
	gzip on; gzip_min_length 10; gzip_types text/plain application/json;
	client_body_temp_path %[1]s/t1; proxy_temp_path %[1]s/t2; fastcgi_temp_path %[1]s/t3; uwsgi_temp_path %[1]s/t4; scgi_temp_path %[1]s/t5;
	server {
		listen 80; listen 443 ssl http2;
		ssl_certificate %[1]s/cert.pem; ssl_certificate_key %[1]s/key.pem; ssl_protocols TLSv1.2 TLSv1.3;
		root %[2]s; location /echo { return 201 "made"; }
	}
}`, s.dir, www))
	cmd := s.server.Command(t.Context(), nginx, "-c", s.file("nginx.conf"), "-p", s.dir)
	start(t, cmd)
	waitFor(t, "nginx", func() bool { return s.curlOnce(t, "http://shop.example/") == nil })
	return s
}

func (s *shop) write(t *testing.T, name string, content []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(s.file(name)), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.file(name), content, 0o644); err != nil {
		t.Fatal(err)
	}
}

// visit asks for everything with curl.
func (s *shop) visit(t *testing.T, version, protocol string) {
	t.Helper()
	how := []string{"--tlsv" + version, "--tls-max", version, "--http" + protocol}
	base := "https://shop.example/"
	for _, args := range [][]string{
		{base, "-o", os.DevNull, base + "x.json?q=1", "-o", os.DevNull, base + "missing"},
		{"--compressed", base + "text.txt"},
		{"-d", form, base + "echo"},
		{"-I", base + "x.json"},
		{"--ciphers", "ECDHE-ECDSA-CHACHA20-POLY1305", "--tls13-ciphers", "TLS_CHACHA20_POLY1305_SHA256", base + "text.txt"},
		{"--ciphers", "ECDHE-ECDSA-AES128-GCM-SHA256", "--tls13-ciphers", "TLS_AES_128_GCM_SHA256", base + "big.bin"},
	} {
		s.curl(t, append(slices.Clone(how), args...)...)
	}
}

func (s *shop) curl(t *testing.T, args ...string) {
	t.Helper()
	if err := s.curlOnce(t, args...); err != nil {
		t.Fatal(err)
	}
}

func (s *shop) curlOnce(t *testing.T, args ...string) error {
	address := s.server.IPv4.String()
	fixed := []string{"-sS", "-k", "--max-time", "30", "-o", os.DevNull, "--resolve", "shop.example:443:" + address, "--resolve", "shop.example:80:" + address}
	cmd := s.client.Command(t.Context(), testkit.Need(t, "curl"), append(fixed, args...)...)
	cmd.Env = append(os.Environ(), "SSLKEYLOGFILE="+s.keyLog)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("curl %q: %w: %s", args, err, out)
	}
	return nil
}

// visitGo is a server and a client written in Go, over both versions of HTTP.
func (s *shop) visitGo(t *testing.T) {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(s.file("cert.pem"), s.file("key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	var listener net.Listener
	s.server.Do(t, func() { listener, err = net.Listen("tcp", "198.18.0.2:8443") })
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			b, _ := io.ReadAll(r.Body)
			w.WriteHeader(http.StatusAccepted)
			fmt.Fprintf(w, "%d bytes", len(b))
		}),
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{pair}, NextProtos: []string{"h2", "http/1.1"}},
	}
	go server.ServeTLS(listener, "", "")
	defer server.Close()
	keys, err := os.OpenFile(s.keyLog, os.O_APPEND|os.O_WRONLY|os.O_CREATE, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer keys.Close()
	for _, h2 := range []bool{false, true} {
		transport := &http.Transport{
			ForceAttemptHTTP2: h2,
			TLSClientConfig:   &tls.Config{InsecureSkipVerify: true, KeyLogWriter: keys}, // a certificate made for this test
			DialContext: func(_ context.Context, network, _ string) (c net.Conn, err error) {
				s.client.Do(t, func() { c, err = net.Dial(network, "198.18.0.2:8443") })
				return c, err
			},
		}
		for i := range 5 {
			res, err := (&http.Client{Transport: transport}).Post(fmt.Sprintf("https://go.example/post?n=%d", i), "text/plain", strings.NewReader(strings.Repeat("x", 1000*i)))
			if err != nil {
				t.Fatal(err)
			}
			io.Copy(io.Discard, res.Body)
			res.Body.Close()
		}
		transport.CloseIdleConnections()
	}
}

// compareBodies holds the hashes against the files that nginx sent.
func (s *shop) compareBodies(t *testing.T, bodies map[string]int) {
	t.Helper()
	for _, name := range []string{"text.txt", "big.bin", "x.json"} {
		content, err := os.ReadFile(s.file("www/" + name))
		if err != nil {
			t.Fatal(err)
		}
		if n := bodies[hash(content)]; n < 4 {
			t.Errorf("%s was seen %d times, want at least 4", name, n)
		}
	}
}

// capturePackets runs Wireshark's own capture program, so that Vitrine is not its own judge.
func capturePackets(t *testing.T, ns *testkit.Namespace, file string) (stop func()) {
	t.Helper()
	cmd := ns.Command(t.Context(), testkit.Need(t, "dumpcap"), "-i", ns.Interface, "-B", "64", "-w", file)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stderr)
	for lines.Scan() && !strings.HasPrefix(lines.Text(), "File:") {
	}
	return func() {
		time.Sleep(500 * time.Millisecond) // dumpcap hands over what the kernel has within that time
		cmd.Process.Signal(syscall.SIGINT)
		io.Copy(io.Discard, stderr)
		if err := cmd.Wait(); err != nil {
			t.Fatalf("dumpcap: %v", err)
		}
	}
}

// tsharkTransactions pairs what tshark tells of requests and responses.
func tsharkTransactions(t *testing.T, tshark string, s *shop) []transaction {
	t.Helper()
	fields := []string{
		"tcp.stream", "http.request.method", "http.host", "http.request.uri", "http.response.code", "http2.streamid",
		"http2.headers.method", "http2.headers.authority", "http2.headers.path", "http2.headers.status",
	}
	args := []string{"-r", s.file("traffic.pcapng"), "-o", "tls.keylog_file:" + s.keyLog, "-o", "tcp.reassemble_out_of_order:TRUE",
		"-Y", "http.request or http.response or http2.headers", "-T", "fields", "-E", "separator=|"}
	for _, f := range fields {
		args = append(args, "-e", f)
	}
	out, err := exec.Command(tshark, args...).Output()
	if err != nil {
		t.Fatalf("tshark: %v", err)
	}
	open := map[string]*transaction{} // by connection and HTTP/2 stream
	var all []*transaction
	for line := range strings.Lines(string(out)) {
		f := strings.Split(strings.TrimRight(line, "\n"), "|")
		id := f[0] + "/" + lastStream(f[5])
		if method := f[1] + f[6]; method != "" {
			tx := &transaction{Method: method, Host: strings.TrimSuffix(f[2]+f[7], ":8443"), URL: f[3] + f[8]}
			open[id] = tx
			all = append(all, tx)
		} else if tx := open[id]; tx != nil {
			tx.Status = f[4] + f[9]
		}
	}
	return sorted(all)
}

// tsharkBodies counts the bodies that tshark restores, by their SHA-256.
func tsharkBodies(t *testing.T, tshark string, s *shop) map[string]int {
	t.Helper()
	bodies := map[string]int{}
	count := func(b []byte) {
		if z, err := gzip.NewReader(bytes.NewReader(b)); err == nil {
			if b, err = io.ReadAll(z); err != nil {
				t.Fatal(err)
			}
		}
		if len(b) > 0 && string(b) != form {
			bodies[hash(b)]++
		}
	}
	args := []string{"-r", s.file("traffic.pcapng"), "-o", "tls.keylog_file:" + s.keyLog, "-o", "tcp.reassemble_out_of_order:TRUE"}
	if out, err := exec.Command(tshark, append(args, "-q", "--export-objects", "http,"+s.file("objects"))...).CombinedOutput(); err != nil {
		t.Fatalf("tshark: %v: %s", err, out)
	}
	objects, err := filepath.Glob(s.file("objects/*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range objects {
		b, err := os.ReadFile(o)
		if err != nil {
			t.Fatal(err)
		}
		count(b)
	}
	args = append(args, "-Y", "http2.type == 0", "-T", "fields", "-e", "tcp.stream", "-e", "tcp.srcport", "-e", "http2.streamid", "-e", "http2.data.data", "-e", "http2.body.reassembled.data")
	out, err := exec.Command(tshark, args...).Output() // its export knows HTTP/1 only
	if err != nil {
		t.Fatalf("tshark: %v", err)
	}
	streams := map[string]string{}
	for line := range strings.Lines(string(out)) {
		f := strings.Split(strings.TrimRight(line, "\n"), "\t")
		id := f[0] + "/" + f[1] + "/" + lastStream(f[2])
		if whole := f[4]; whole != "" { // a body of several frames, told once more at its end
			streams[id] = whole
		} else {
			streams[id] += strings.ReplaceAll(f[3], ",", "")
		}
	}
	for _, text := range streams {
		b, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		count(b)
	}
	return bodies
}

// lastStream returns the last of the HTTP/2 streams in a packet that is not the connection itself.
func lastStream(ids string) string {
	for _, id := range slices.Backward(strings.Split(ids, ",")) {
		if id != "0" {
			return id
		}
	}
	return "0"
}

// replayTransactions reads what `vitrine replay -o eve` tells of the same capture: transactions, and bodies by SHA-256.
func replayTransactions(t *testing.T, s *shop) ([]transaction, map[string]int) {
	t.Helper()
	cmd := exec.Command(vitrine(t), "replay", "--keylog", s.keyLog, "-o", "eve", s.file("traffic.pcapng"))
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var all []*transaction
	bodies := map[string]int{}
	for text := range strings.Lines(string(out)) {
		var l struct {
			EventType string `json:"event_type"`
			HTTP      struct {
				Method string `json:"http_method"`
				Host   string `json:"hostname"`
				URL    string `json:"url"`
				Status int    `json:"status"`
			} `json:"http"`
			FileInfo struct {
				SHA256 string `json:"sha256"`
				State  string `json:"state"`
			} `json:"fileinfo"`
		}
		if err := json.Unmarshal([]byte(text), &l); err != nil {
			t.Fatal(err)
		}
		switch l.EventType {
		case "http":
			all = append(all, &transaction{l.HTTP.Method, l.HTTP.Host, l.HTTP.URL, fmt.Sprint(l.HTTP.Status)})
		case "fileinfo":
			bodies[l.FileInfo.SHA256]++
		}
	}
	return sorted(all), bodies
}

func sorted(all []*transaction) []transaction {
	out := make([]transaction, len(all))
	for i, tx := range all {
		out[i] = *tx
	}
	slices.SortFunc(out, func(a, b transaction) int { return cmp.Compare(a.String(), b.String()) })
	return out
}

func hash(b []byte) string {
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:])
}
