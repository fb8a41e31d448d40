package main_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/vitrine-ndr/vitrine/internal/testkit"
)

// rounds is how often each measurement is taken with the probe and without, in turn.
const rounds = 5

// BenchmarkSessions makes new TLS connections to nginx at a steady rate, each with one small request. It tells the share of a core that
// the agent uses, which sees both nginx and the client, its memory, what nginx uses more, and the time of the slowest hundredth.
func BenchmarkSessions(b *testing.B) {
	agent, shop := buildAgent(b), newBenchShop(b)
	for _, rate := range []int{100, 600, 3000} {
		b.Run(fmt.Sprint(rate), func(b *testing.B) {
			var agentCPU, memory, nginxWith, nginxWithout, p99With, p99Without, reached, seen []float64
			for range max(b.N, rounds) {
				nginx := shop.cpu(b)
				load := shop.sessions(b, rate, 5*time.Second)
				nginxWithout, p99Without = append(nginxWithout, per(shop.cpu(b)-nginx, load.took)), append(p99Without, load.p99.Seconds()*1e3)

				a := startAgent(b, agent)
				before, own := shop.cpu(b), a.cpu(b)
				load = shop.sessions(b, rate, 5*time.Second)
				nginxWith, p99With = append(nginxWith, per(shop.cpu(b)-before, load.took)), append(p99With, load.p99.Seconds()*1e3)
				agentCPU, reached = append(agentCPU, per(a.cpu(b)-own, load.took)), append(reached, float64(load.done)/load.took.Seconds())
				memory = append(memory, a.memory(b))
				events := a.stop(b)
				seen = append(seen, 100*float64(events)/float64(2*load.done))
			}
			b.ReportMetric(testkit.Median(reached), "sessions/s")
			b.ReportMetric(testkit.Median(agentCPU), "agent-%core")
			b.ReportMetric(testkit.Median(memory), "agent-MB")
			b.ReportMetric(testkit.Median(nginxWithout), "nginx-%core")
			b.ReportMetric(100*(testkit.Median(nginxWith)/testkit.Median(nginxWithout)-1), "nginx-%more")
			b.ReportMetric(100*(testkit.Median(p99With)/testkit.Median(p99Without)-1), "p99-%more")
			b.ReportMetric(slices.Min(seen), "seen-%")
		})
	}
}

// BenchmarkThroughput measures nginx alone, with the client left out by a filter: 16 KB responses over connections that stay, and one
// download of 100 MB.
func BenchmarkThroughput(b *testing.B) {
	agent, shop := buildAgent(b), newBenchShop(b)
	loads := map[string]func(testing.TB) float64{
		"keep-alive 16KB": func(t testing.TB) float64 { return shop.requests(t, "/16k", 4, 3*time.Second) },
		"download 100MB":  func(t testing.TB) float64 { return shop.download(t, "/100m") },
	}
	for name, load := range loads {
		b.Run(name, func(b *testing.B) {
			var with, without []float64
			for range max(b.N, rounds) {
				without = append(without, load(b))
				a := startAgent(b, agent, "--exe", "nginx")
				with = append(with, load(b))
				a.stop(b)
			}
			b.ReportMetric(testkit.Median(without), "MB/s")
			b.ReportMetric(100*(1-testkit.Median(with)/testkit.Median(without)), "%less")
		})
	}
}

// BenchmarkPlaintext has nginx serve 1 Gbit/s for some seconds, and tells what was lost.
func BenchmarkPlaintext(b *testing.B) {
	agent, shop := buildAgent(b), newBenchShop(b)
	a := startAgent(b, agent, "--exe", "nginx")
	own, begun := a.cpu(b), time.Now()
	bytes := shop.steady(b, "/100m", 1e9/8, 5*time.Second)
	took := time.Since(begun)
	b.ReportMetric(bytes*8/1e9/took.Seconds(), "Gbit/s")
	b.ReportMetric(per(a.cpu(b)-own, took), "agent-%core")
	a.stop(b)
	b.ReportMetric(a.counter(b, "gap bytes"), "lost-bytes")
}

func per(cpu, took time.Duration) float64 { return 100 * cpu.Seconds() / took.Seconds() }

func buildAgent(t testing.TB) string {
	t.Helper()
	if os.Geteuid() != 0 {
		testkit.Skip(t, "seeing into programs needs root")
	}
	return buildProgram(t)
}

// buildProgram is buildAgent for what any user may do.
func buildProgram(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "vitrine-agent")
	cmd := exec.Command("go", "build", "-o", path, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build: %v: %s", err, out)
	}
	return path
}

// agentProcess is vitrine-agent probe, writing events as EVE.
type agentProcess struct {
	cmd    *exec.Cmd
	events atomic.Int64 // of requests
	stats  bytes.Buffer
	ended  sync.WaitGroup
}

func startAgent(t testing.TB, program string, args ...string) *agentProcess {
	t.Helper()
	a := &agentProcess{cmd: exec.Command(program, append([]string{"probe", "-o", "eve", "--stats", "--max-cpu", "400"}, args...)...)}
	stdout, err := a.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	stderr, err := a.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := a.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	a.ended.Go(func() {
		lines := bufio.NewScanner(stdout)
		lines.Buffer(nil, 16<<20)
		for lines.Scan() {
			if bytes.Contains(lines.Bytes(), []byte(`"event_type":"http"`)) {
				a.events.Add(1)
			}
		}
	})
	ready := make(chan struct{})
	a.ended.Go(func() {
		lines := bufio.NewScanner(stderr)
		for lines.Scan() {
			if strings.Contains(lines.Text(), "watching") {
				close(ready)
			}
			fmt.Fprintln(&a.stats, lines.Text())
		}
	})
	select {
	case <-ready:
	case <-time.After(30 * time.Second):
		t.Fatal("the agent does not get ready")
	}
	time.Sleep(time.Second) // until its start has cost what it costs
	return a
}

// stop ends the agent and returns how many requests it told of.
func (a *agentProcess) stop(t testing.TB) int64 {
	t.Helper()
	time.Sleep(100 * time.Millisecond)
	if err := a.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	a.ended.Wait()
	if err := a.cmd.Wait(); err != nil {
		t.Errorf("the agent: %v: %s", err, a.stats.Bytes())
	}
	return a.events.Load()
}

// counter reads one of the numbers that --stats prints at the end.
func (a *agentProcess) counter(t testing.TB, name string) float64 {
	t.Helper()
	for line := range strings.Lines(a.stats.String()) {
		if rest, ok := strings.CutPrefix(line, name); ok {
			n, err := strconv.ParseFloat(strings.TrimSpace(rest), 64)
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatalf("no %s in %s", name, a.stats.Bytes())
	return 0
}

func (a *agentProcess) cpu(t testing.TB) time.Duration { return cpuOf(t, a.cmd.Process.Pid) }

// memory returns the most that was resident, in MB.
func (a *agentProcess) memory(t testing.TB) float64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", a.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "VmHWM:")
	kb, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
	if err != nil {
		t.Fatal(err)
	}
	return kb / 1000
}

// cpuOf returns the processor time of a process: fields 14 and 15 of proc_pid_stat(5), in hundredths of a second.
func cpuOf(t testing.TB, pid int) time.Duration {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	user, err1 := strconv.Atoi(fields[11])
	system, err2 := strconv.Atoi(fields[12])
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	return time.Duration(user+system) * 10 * time.Millisecond
}

// benchShop is nginx with one worker.
type benchShop struct {
	address string
	port    string
	worker  int
}

func newBenchShop(t testing.TB) *benchShop {
	t.Helper()
	nginx, dir := testkit.Need(t, "nginx"), t.TempDir()
	for name, size := range map[string]int{"16k": 16 << 10, "100m": 100 << 20} {
		if err := os.WriteFile(filepath.Join(dir, name), bytes.Repeat([]byte("x"), size), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	s := &benchShop{address: l.Addr().String()}
	_, s.port, _ = net.SplitHostPort(s.address)
	run := exec.Command("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=bench", "-keyout", dir+"/key.pem", "-out", dir+"/cert.pem")
	if out, err := run.CombinedOutput(); err != nil {
		t.Fatalf("openssl: %v: %s", err, out)
	}
	conf := fmt.Sprintf(`daemon off; worker_processes 1; pid %[1]s/pid; error_log stderr crit; user root;
events { worker_connections 16384; }
http {
	access_log off; keepalive_requests 10000000; client_body_temp_path %[1]s/a; proxy_temp_path %[1]s/b; fastcgi_temp_path %[1]s/c; uwsgi_temp_path %[1]s/d; scgi_temp_path %[1]s/e;
	server { listen %[2]s ssl backlog=8192; %[3]s ssl_certificate %[1]s/cert.pem; ssl_certificate_key %[1]s/key.pem; root %[1]s; location /ok { return 200 "fine"; } }
}
`, dir, s.address, s.more())
	if err := os.WriteFile(dir+"/nginx.conf", []byte(conf), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(nginx, "-p", dir, "-c", dir+"/nginx.conf")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	})
	children := fmt.Sprintf("/proc/%[1]d/task/%[1]d/children", cmd.Process.Pid)
	for end := time.Now().Add(10 * time.Second); s.worker == 0; time.Sleep(10 * time.Millisecond) {
		text, _ := os.ReadFile(children)
		s.worker, _ = strconv.Atoi(strings.TrimSpace(string(text)))
		if time.Now().After(end) {
			t.Fatal("nginx has no worker")
		}
	}
	return s
}

// shopAddresses is at how many addresses nginx listens: for so many connections, one has too few ports.
const shopAddresses = 8

// at returns one of the addresses.
func (s *benchShop) at(i int) string { return fmt.Sprintf("127.0.0.%d:%s", 1+i%shopAddresses, s.port) }

// more has nginx listen at all but the first.
func (s *benchShop) more() (lines string) {
	for i := range shopAddresses - 1 {
		lines += "listen " + s.at(i+1) + " ssl backlog=8192; "
	}
	return lines
}

func (s *benchShop) cpu(t testing.TB) time.Duration { return cpuOf(t, s.worker) }

// sessionLoad is what came of a load.
type sessionLoad struct {
	done int64
	took time.Duration
	p99  time.Duration
}

// sessions makes connections at a rate, however long each takes.
func (s *benchShop) sessions(t testing.TB, rate int, long time.Duration) sessionLoad {
	t.Helper()
	cfg := &tls.Config{InsecureSkipVerify: true}
	total := rate * int(long/time.Second)
	times := make([]time.Duration, total)
	var wg sync.WaitGroup
	var failed atomic.Int64
	begun := time.Now()
	for i := range total {
		time.Sleep(time.Until(begun.Add(time.Duration(i) * time.Second / time.Duration(rate))))
		wg.Go(func() {
			start := time.Now()
			c, err := tls.Dial("tcp", s.at(i), cfg)
			if err != nil {
				failed.Add(1)
				return
			}
			defer c.Close()
			if _, err := io.WriteString(c, "GET /ok HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n"); err != nil {
				failed.Add(1)
			}
			if _, err := io.ReadAll(c); err != nil {
				failed.Add(1)
			}
			times[i] = time.Since(start)
		})
	}
	wg.Wait()
	if n := failed.Load(); n > 0 {
		t.Errorf("%d of %d connections failed", n, total)
	}
	slices.Sort(times)
	return sessionLoad{int64(total) - failed.Load(), time.Since(begun), times[len(times)*99/100]}
}

// requests asks for a path over and over on connections that stay, and returns MB a second.
func (s *benchShop) requests(t testing.TB, path string, conns int, long time.Duration) float64 {
	t.Helper()
	var wg sync.WaitGroup
	var bytes atomic.Int64
	begun := time.Now()
	for range conns {
		wg.Go(func() {
			client := s.client()
			for time.Since(begun) < long {
				bytes.Add(s.get(t, client, path))
			}
		})
	}
	wg.Wait()
	return float64(bytes.Load()) / 1e6 / time.Since(begun).Seconds()
}

// download asks for a path once and returns MB a second.
func (s *benchShop) download(t testing.TB, path string) float64 {
	t.Helper()
	begun := time.Now()
	return float64(s.get(t, s.client(), path)) / 1e6 / time.Since(begun).Seconds()
}

// steady reads a path over and over, as many bytes a second, and returns how many.
func (s *benchShop) steady(t testing.TB, path string, rate float64, long time.Duration) (bytes float64) {
	t.Helper()
	begun, client, buffer := time.Now(), s.client(), make([]byte, 64<<10)
	for time.Since(begun) < long {
		resp, err := client.Get("https://" + s.address + path)
		if err != nil {
			t.Fatal(err)
		}
		for err == nil {
			var n int
			n, err = resp.Body.Read(buffer)
			bytes += float64(n)
			time.Sleep(time.Until(begun.Add(time.Duration(bytes / rate * float64(time.Second)))))
		}
		resp.Body.Close()
		if !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
	}
	return bytes
}

func (s *benchShop) client() *http.Client {
	return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
}

func (s *benchShop) get(t testing.TB, client *http.Client, path string) int64 {
	resp, err := client.Get("https://" + s.address + path)
	if err != nil {
		t.Error(err)
		return 0
	}
	defer resp.Body.Close()
	n, err := io.Copy(io.Discard, resp.Body)
	if err != nil {
		t.Error(err)
	}
	return n
}
