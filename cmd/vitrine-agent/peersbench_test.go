package main_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vitrine-ndr/vitrine/internal/testkit"
)

// BenchmarkGatewayPeers puts one inspecting proxy after the other between wrk and nginx, each on a router of three network namespaces, and tells
// what each costs: processor time for a new connection with one request of 1 KB, for such a request on a connection that stays, and gigabits
// a second of 10 MB bodies for a core. TLS 1.3, ECDSA certificates, the proxy on one core, the others on another; rounds are interleaved.
func BenchmarkGatewayPeers(b *testing.B) {
	p := newPeers(b)
	loads := []struct {
		name, unit string
		args       []string
		figure     func(l wrkLoad) float64
	}{
		{"connections", "us/conn", []string{"-c8", "-H", "Connection: close", "https://shop.example:8443/1k"}, wrkLoad.perRequest},
		{"requests", "us/request", []string{"-c8", "https://shop.example:8443/1k"}, wrkLoad.perRequest},
		{"bodies", "Gbit/s-core", []string{"-c4", "https://shop.example:8443/10m"}, wrkLoad.perCore},
	}
	figures := map[string][]float64{}
	for range max(b.N, 3) {
		for _, peer := range peers {
			proxy := p.start(b, peer)
			for _, l := range loads {
				key := l.name + " " + peer.name
				figures[key] = append(figures[key], l.figure(p.load(b, proxy, l.args...)))
			}
			p.end(b, proxy)
		}
	}
	for _, l := range loads {
		for _, peer := range peers {
			b.ReportMetric(testkit.Median(figures[l.name+" "+peer.name]), peer.name+"-"+l.unit)
		}
	}
	b.ReportMetric(0, "ns/op")
}

// BenchmarkGatewayLatency tells by how much the gateway delays requests of 1 KB on eight connections that stay, at half of as many as it could
// answer: the median and the 99th percentile of what they take through it, less what they take without, each of interleaved rounds.
func BenchmarkGatewayLatency(b *testing.B) {
	testkit.Need(b, "h2load")
	p := newPeers(b)
	proxy := p.start(b, peers[0])
	const wrk = 4 // seconds that load takes
	rate := p.load(b, proxy, "-c8", "https://shop.example:8443/1k").requests / wrk / 2
	p.end(b, proxy)
	var median, late, without []float64
	for range max(b.N, 5) {
		direct := p.latencies(b, rate)
		proxy := p.start(b, peers[0])
		through := p.latencies(b, rate)
		p.end(b, proxy)
		without = append(without, direct[len(direct)/2])
		median = append(median, through[len(through)/2]-direct[len(direct)/2])
		late = append(late, through[len(through)*99/100]-direct[len(direct)*99/100])
	}
	b.ReportMetric(rate, "requests/s")
	b.ReportMetric(testkit.Median(without), "us-p50-without")
	b.ReportMetric(testkit.Median(median), "us-p50-added")
	b.ReportMetric(testkit.Median(late), "us-p99-added")
	b.ReportMetric(0, "ns/op")
}

// latencies sends requests at a rate a second, and returns what each took in microseconds, the shortest first.
func (p *peerNet) latencies(b *testing.B, rate float64) (all []float64) {
	b.Helper()
	const conns, seconds = 8, 5
	log := p.path("h2load.log")
	_ = os.Remove(log)
	out, err := p.client.Command(b.Context(), "taskset", "-c", "0", "h2load", "--h1", "-c", strconv.Itoa(conns), "-D", strconv.Itoa(seconds),
		"--rps", fmt.Sprintf("%.0f", rate/conns), "--log-file", log, "https://shop.example:8443/1k").CombinedOutput()
	text, readErr := os.ReadFile(log)
	if err != nil || readErr != nil {
		b.Fatalf("h2load: %v: %s: %v", err, out, readErr)
	}
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line) // when it began, the status, what it took
		took, err := strconv.ParseFloat(f[2], 64)
		if err != nil || f[1] != "200" {
			b.Fatalf("h2load: %q", line)
		}
		all = append(all, took)
	}
	if sent := float64(len(all)); sent < rate*seconds*0.9 {
		b.Fatalf("%.0f requests in %d seconds, want %.0f a second", sent, seconds, rate)
	}
	slices.Sort(all)
	return all
}

// peer is an inspecting proxy.
type peer struct {
	name     string
	redirect bool // by its port 11443; else it diverts by itself
	command  func(t testing.TB, p *peerNet) []string
}

var peers = []peer{
	{name: "vitrine", command: gatewayWith("")},
	{name: "vitrine-rules", command: gatewayWith("detection: {rules: rules.d}")},
	{name: "vitrine-unhashed", command: gatewayWith("detection: {hashed: 0}")}, // as the others: they have no SHA-256 of bodies
	{name: "sslsplit", redirect: true, command: func(_ testing.TB, p *peerNet) []string {
		return []string{"sslsplit", "-u", "root", "-k", p.path("ca.key"), "-c", p.path("ca.pem"), "-K", p.path("leaf.key"), "-e", "netfilter", "https", "0.0.0.0", "11443"}
	}},
	{name: "squid", redirect: true, command: func(t testing.TB, p *peerNet) []string {
		p.write(t, "squid.conf", fmt.Sprintf(`
http_port 3128
https_port 11443 intercept ssl-bump tls-cert=%[1]s/both.pem generate-host-certificates=on dynamic_cert_mem_cache_size=16MB
acl step1 at_step SslBump1
ssl_bump peek step1
ssl_bump bump all
http_access allow all
sslcrtd_program /usr/lib/squid/security_file_certgen -s %[1]s/certs -M 16MB
tls_outgoing_options cafile=%[1]s/server.pem
cache deny all
access_log none
cache_log %[1]s/squid/cache.log
cache_store_log none
pid_filename %[1]s/squid/pid
coredump_dir %[1]s/squid
host_verify_strict off
shutdown_lifetime 0 seconds
`, p.dir))
		p.shell(t, `
cd `+p.dir+`
rm -rf certs squid /dev/shm/vitrinebench-*
/usr/lib/squid/security_file_certgen -c -s certs -M 16MB
mkdir squid
chown -R proxy certs squid
chmod 755 . .. ../..`)
		return []string{"squid", "-N", "-n", "vitrinebench", "-f", p.path("squid.conf")}
	}},
	{name: "mitmproxy", redirect: true, command: func(_ testing.TB, p *peerNet) []string {
		return []string{"mitmdump", "--mode", "transparent", "-p", "11443", "--set", "confdir=" + p.dir, "--set", "ssl_verify_upstream_trusted_ca=" + p.path("server.pem"), "-q", "--set", "flow_detail=0", "--set", "stream_large_bodies=100k"}
	}},
	{name: "haproxy", redirect: true, command: func(t testing.TB, p *peerNet) []string {
		p.write(t, "haproxy.cfg", fmt.Sprintf(`
global
	nbthread 1
	maxconn 2000
	tune.ssl.default-dh-param 2048
defaults
	mode http
	timeout connect 10s
	timeout client 30s
	timeout server 30s
frontend in
	bind :11443 ssl crt %[1]s/leaf.pem generate-certificates ca-sign-file %[1]s/both.pem alpn http/1.1 no-tls-tickets
	default_backend out
backend out
	http-reuse never
	server s 10.77.2.2:8443 ssl verify required ca-file %[1]s/server.pem sni ssl_fc_sni no-ssl-reuse
`, p.dir))
		return []string{"haproxy", "-f", p.path("haproxy.cfg")}
	}},
}

// gatewayWith is the command of the gateway, with some more of configuration.
func gatewayWith(more string) func(testing.TB, *peerNet) []string {
	return func(t testing.TB, p *peerNet) []string {
		p.write(t, "gateway.yaml", `
listen: {transparent: 15443}
authorities: [{certificate: ca.pem, key: ca.key}]
trust: {system: false, roots: [server.pem]}
rules: {policies: [{id: all, scopes: [{id: web, sources: [10.77.1.0/24], destinations: [10.77.0.0/16], destination_ports: [8443/8443]}]}]}
`+more)
		if err := os.MkdirAll(p.path("rules.d"), 0o755); err != nil {
			t.Fatal(err)
		}
		p.write(t, filepath.Join("rules.d", "uploads.yaml"), `
rules:
- {id: no-uploads, action: block, urls: ["*.example/private/*", "*.share.example"], direction: upload}
- {id: no-files-to-drive, action: block, applications: [google-drive, dropbox], activities: [upload]}
- {id: project-names, action: block, urls: ["*"], methods: [POST, PUT], contains: [{field: body, text: Project Falcon}]}
- {id: scanners, action: block, urls: ["*"], matches: [{field: header.user-agent, regex: "(?i)sqlmap|nikto"}]}
`)
		return []string{p.agent, "gateway", "--config", p.path("gateway.yaml"), "-o", "none"}
	}
}

// peerNet is where the proxies stand.
type peerNet struct{ *routed }

func (p *peerNet) path(name string) string { return filepath.Join(p.dir, name) }

func (p *peerNet) write(t testing.TB, name, text string) {
	t.Helper()
	if err := os.WriteFile(p.path(name), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func newPeers(b *testing.B) *peerNet {
	b.Helper()
	for _, program := range []string{"wrk", "nft", "taskset", "sslsplit", "squid", "mitmdump", "haproxy", "nginx", "openssl"} {
		testkit.Need(b, program)
	}
	p := &peerNet{newNetwork(b)}
	p.shell(b, `
cd `+p.dir+`
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "/CN=the origin" -addext subjectAltName=DNS:shop.example -keyout server.key -out server.pem
openssl ecparam -name prime256v1 -genkey -noout -out leaf.key
openssl req -x509 -key leaf.key -nodes -days 2 -subj "/CN=default" -out leaf.crt
cat leaf.crt leaf.key > leaf.pem
cat ca.pem ca.key > both.pem
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj "/CN=mitmproxy" -addext basicConstraints=critical,CA:TRUE -keyout m.key -out m.pem
cat m.key m.pem > mitmproxy-ca.pem
head -c 1024 /dev/zero > 1k
head -c 10485760 /dev/urandom > 10m
mkdir -p /etc/netns/`+p.client.Name+`
echo 10.77.2.2 shop.example > /etc/netns/`+p.client.Name+`/hosts
nft --version`)
	b.Cleanup(func() { _ = os.RemoveAll("/etc/netns/" + p.client.Name) })
	p.write(b, "nginx.conf", fmt.Sprintf(`daemon off; worker_processes 1; pid %[1]s/nginx.pid; error_log stderr crit; user root;
events { worker_connections 2048; }
http {
	access_log off; keepalive_requests 100000000; client_body_temp_path %[1]s/a; proxy_temp_path %[1]s/b; fastcgi_temp_path %[1]s/c; uwsgi_temp_path %[1]s/d; scgi_temp_path %[1]s/e;
	ssl_protocols TLSv1.3; ssl_session_tickets off;
	server { listen 8443 ssl backlog=2048; root %[1]s; ssl_certificate %[1]s/server.pem; ssl_certificate_key %[1]s/server.key; }
}
`, p.dir))
	p.background(b, p.origin, []string{"taskset", "-c", "0", "nginx", "-p", p.dir, "-c", p.path("nginx.conf")})
	p.answers(b)
	return p
}

func (p *peerNet) shell(b testing.TB, script string) {
	b.Helper()
	if out, err := exec.Command("bash", "-ec", script).CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, out)
	}
}

// background runs a program until it is ended, or until the benchmark ends.
func (p *peerNet) background(b *testing.B, where *testkit.Namespace, args []string) *exec.Cmd {
	b.Helper()
	cmd := where.Command(context.Background(), args[0], args[1:]...)
	cmd.Dir = p.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	log, err := os.Create(p.path(filepath.Base(args[len(args)-1]) + ".log"))
	if err != nil {
		b.Fatal(err)
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { p.end(b, cmd) })
	return cmd
}

// end ends a program and its children.
func (p *peerNet) end(b *testing.B, cmd *exec.Cmd) {
	b.Helper()
	_ = exec.Command("ip", "netns", "exec", p.router.Name, "nft", "delete", "table", "ip", "bench").Run()
	if cmd.ProcessState != nil {
		return
	}
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM)
	kill := time.AfterFunc(10*time.Second, func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
	_ = cmd.Wait()
	kill.Stop()
}

// start runs a proxy, and has connections go through it. What it keeps of the origin is there before anything is measured.
func (p *peerNet) start(b *testing.B, peer peer) *exec.Cmd {
	b.Helper()
	cmd := p.background(b, p.router, append([]string{"taskset", "-c", "1"}, peer.command(b, p)...))
	port := "15443"
	if peer.redirect {
		port = "11443"
	}
	listening := regexp.MustCompile(`:` + port + `\b`)
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if out, err := p.router.Command(b.Context(), "ss", "-Hltn").Output(); err == nil && listening.Match(out) {
			break
		}
		if time.Now().After(end) {
			log, _ := os.ReadFile(cmd.Stdout.(*os.File).Name())
			b.Fatalf("%s does not listen: %s", peer.name, log)
		}
	}
	if peer.redirect {
		nft := p.router.Command(b.Context(), "nft", "-f", "-")
		nft.Stdin = strings.NewReader("table ip bench {\nchain in {\ntype nat hook prerouting priority dstnat\niifname vt1 tcp dport 8443 redirect to :11443\n}\n}\n")
		if out, err := nft.CombinedOutput(); err != nil {
			b.Fatalf("%v: %s", err, out)
		}
	}
	p.answers(b)
	if who := p.issuer(b); !strings.Contains(who, "trial") && !strings.Contains(who, "mitmproxy") {
		b.Fatalf("%s does not inspect: the certificate was issued by %q", peer.name, who)
	}
	return cmd
}

func (p *peerNet) answers(b *testing.B) {
	b.Helper()
	eventually(b, "the origin answers", func() bool {
		return p.client.Command(b.Context(), "curl", "-skf", "-o", "/dev/null", "https://shop.example:8443/1k").Run() == nil
	})
}

// issuer is who has signed the certificate that clients see.
func (p *peerNet) issuer(b *testing.B) string {
	out, _ := p.client.Command(b.Context(), "curl", "-skv", "-o", "/dev/null", "https://shop.example:8443/1k").CombinedOutput()
	_, rest, _ := strings.Cut(string(out), "issuer: ")
	who, _, _ := strings.Cut(rest, "\n")
	return who
}

// wrkLoad is what came of a run of wrk.
type wrkLoad struct {
	requests float64
	bytes    float64
	cpu      time.Duration // of the proxy
}

func (l wrkLoad) perRequest() float64 { return float64(l.cpu.Microseconds()) / l.requests }
func (l wrkLoad) perCore() float64    { return l.bytes * 8 / 1e9 / l.cpu.Seconds() }

var wrkTotals = regexp.MustCompile(`(\d+) requests in [\d.]+s, ([\d.]+)([KMGT]?)B read`)

func (p *peerNet) load(b *testing.B, proxy *exec.Cmd, args ...string) wrkLoad {
	b.Helper()
	before := p.cpu(b, proxy)
	out, err := p.client.Command(b.Context(), "taskset", append([]string{"-c", "0", "wrk", "-t1", "-d4s"}, args...)...).CombinedOutput()
	found := wrkTotals.FindSubmatch(out)
	if err != nil || found == nil {
		b.Fatalf("wrk: %v: %s", err, out)
	}
	if bytes.Contains(out, []byte("Non-2xx")) {
		b.Fatalf("wrk: %s", out)
	}
	requests, _ := strconv.ParseFloat(string(found[1]), 64)
	read, _ := strconv.ParseFloat(string(found[2]), 64)
	return wrkLoad{requests, read * map[string]float64{"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}[string(found[3])], p.cpu(b, proxy) - before}
}

// cpu is the processor time that a program and its children have used.
func (p *peerNet) cpu(b *testing.B, cmd *exec.Cmd) (sum time.Duration) {
	b.Helper()
	out, err := exec.Command("pgrep", "-g", strconv.Itoa(cmd.Process.Pid)).Output()
	if err != nil {
		b.Fatal(err)
	}
	for _, pid := range strings.Fields(string(out)) {
		n, _ := strconv.Atoi(pid)
		sum += cpuOf(b, n)
	}
	return sum
}
