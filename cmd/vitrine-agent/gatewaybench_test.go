package main_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// BenchmarkGateway puts a gateway between nginx and clients and tells what the gateway costs: processor time for each new connection with one
// small request, for each request of 16 KB on a connection that stays, and for 10 MB of a download; and memory for each connection that is
// idle. TLS 1.2 with ECDSA, HTTP is parsed.
func BenchmarkGateway(b *testing.B) {
	agent, shop := buildProgram(b), newBenchShop(b)
	g := startBenchGateway(b, agent, shop)
	b.Run("connections", func(b *testing.B) {
		g.measure(b, "us/conn", 1, time.Microsecond, 4, func() { g.get(b, g.client(), "/ok") })
	})
	b.Run("requests", func(b *testing.B) {
		clients := sync.Pool{New: func() any { return g.client() }}
		g.measure(b, "us/request", 1, time.Microsecond, 4, func() {
			c := clients.Get().(*http.Client)
			g.get(b, c, "/16k")
			clients.Put(c)
		})
	})
	b.Run("download", func(b *testing.B) {
		g.measure(b, "ms/10MB", 10, time.Millisecond, 1, func() { g.get(b, g.client(), "/100m") })
	})
	b.Run("idle", func(b *testing.B) {
		const conns = 10_000
		for range conns {
			g.get(b, g.client(), "/ok") // whose connection stays
		}
		time.Sleep(15 * time.Second) // as long as connections are idle
		b.ReportMetric(g.resident(b)/1024, "MB")
		b.ReportMetric(g.resident(b)/conns, "KB/conn")
		b.ReportMetric(0, "ns/op")
	})
}

// benchGateway is a gateway that runs.
type benchGateway struct {
	pid           int
	proxy, server string
	mu            sync.Mutex
	open          []*http.Transport
}

func startBenchGateway(b *testing.B, agent string, shop *benchShop) *benchGateway {
	b.Helper()
	dir, g := filepath.Join(b.TempDir(), "gateway"), &benchGateway{server: shop.address}
	if out, err := exec.Command(agent, "gateway", "trial-ca", "--dir", dir).CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	text := `
listen: {connect: "127.0.0.1:0"}
limits: {connections: 20000, per_client: 20000}
authorities: [{certificate: ca.pem, key: ca.key}]
allow: [127.0.0.0/8]
rules:
  policies: [{id: bench, scopes: [{id: all, sources: [127.0.0.0/8], destinations: [127.0.0.0/8], destination_ports: [0/65535]}]}]
`
	config := filepath.Join(dir, "gateway.yaml")
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		b.Fatal(err)
	}
	r := &running{cmd: exec.Command(agent, "gateway", "--config", config, "-o", "none")}
	r.cmd.Stdout, r.cmd.Stderr = &r.stdout, &r.stderr
	if err := r.cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		g.hangUp()
		_ = r.cmd.Process.Kill()
		_ = r.cmd.Wait()
	})
	g.pid = r.cmd.Process.Pid
	for end := time.Now().Add(10 * time.Second); g.proxy == ""; time.Sleep(10 * time.Millisecond) {
		if _, rest, ok := strings.Cut(r.stderr.String(), "may connect to "); ok {
			g.proxy, _, _ = strings.Cut(rest, ";")
		}
		if time.Now().After(end) {
			b.Fatalf("the gateway does not listen: %s", r.stderr.String())
		}
	}
	return g
}

// measure does something again and again, in so many goroutines, and tells what the gateway used for each part of it.
func (g *benchGateway) measure(b *testing.B, unit string, parts int, per time.Duration, goroutines int, do func()) {
	b.Helper()
	before, todo := cpuOf(b, g.pid), make(chan struct{})
	var all sync.WaitGroup
	for range goroutines {
		all.Go(func() {
			for range todo {
				do()
			}
		})
	}
	for range b.N {
		todo <- struct{}{}
	}
	close(todo)
	all.Wait()
	b.ReportMetric(float64(cpuOf(b, g.pid)-before)/float64(per)/float64(b.N*parts), unit)
	g.hangUp()
}

// client returns one that has a connection of its own, once it asks.
func (g *benchGateway) client() *http.Client {
	tr := &http.Transport{
		Proxy:           http.ProxyURL(&url.URL{Scheme: "http", Host: g.proxy}),
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.open = append(g.open, tr)
	return &http.Client{Transport: tr}
}

// hangUp ends all connections.
func (g *benchGateway) hangUp() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, tr := range g.open {
		tr.CloseIdleConnections()
	}
	g.open = nil
}

func (g *benchGateway) get(b *testing.B, c *http.Client, path string) {
	resp, err := c.Get("https://" + g.server + path)
	if err != nil {
		b.Error(err)
		return
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		b.Error(err)
	}
}

// resident returns the memory of the gateway in KB.
func (g *benchGateway) resident(b *testing.B) float64 {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", g.pid))
	if err != nil {
		b.Fatal(err)
	}
	var size, pages float64
	if _, err := fmt.Sscan(string(text), &size, &pages); err != nil {
		b.Fatal(err)
	}
	return pages * float64(os.Getpagesize()) / 1024
}
