package http2

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/internal/testkit"
	"github.com/vitrine-ndr/vitrine/parse/parsetest"
)

// tape remembers what both sides of a connection sent.
type tape struct {
	mu    sync.Mutex
	steps []parsetest.Step
}

func (t *tape) add(dir flow.Direction, b []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(b) > 0 {
		t.steps = append(t.steps, parsetest.Step{Dir: dir, Data: slices.Clone(b), At: len(t.steps)})
	}
}

func (t *tape) all() []parsetest.Step {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.steps)
}

// taped is a client's connection on tape.
type taped struct {
	net.Conn
	*tape
}

func (c taped) Write(b []byte) (int, error) {
	c.add(flow.ToServer, b)
	return c.Conn.Write(b)
}

func (c taped) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.add(flow.ToClient, b[:n])
	return n, err
}

// relay forwards one TCP connection to a server and tapes it. It returns where to connect to.
func relay(t *testing.T, to string, tp *tape) (address string, wait func()) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() { _ = listener.Close() }()
		client, err := listener.Accept()
		if err != nil {
			return
		}
		defer func() { _ = client.Close() }()
		server, err := net.Dial("tcp", to)
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = server.Close() }()
		both := taped{server, tp}
		go func() {
			_, _ = io.Copy(client, both)
			_ = client.Close()
		}()
		_, _ = io.Copy(both, client)
	}()
	t.Cleanup(func() { _ = listener.Close() })
	return listener.Addr().String(), func() { <-done }
}

// said is what an event says of a transaction.
type said struct {
	Method, Host, URL string
	Status            uint16
	State             event.State
	RequestSize       int64
	RequestHash       string
	ResponseSize      int64
	ResponseHash      string
	Encoding          string
	Trailers          []string
}

// transactions returns what the events say, by URL, and fails the test at any anomaly.
func transactions(t *testing.T, steps []parsetest.Step) []said {
	t.Helper()
	var all []said
	for _, b := range parsetest.Bodies(t, steps, Protocol) {
		switch e := b.(type) {
		case *event.HTTP:
			all = append(all, said{
				Method: e.Method, Host: e.Host, URL: e.URL, Status: e.Status, State: e.State,
				RequestSize: e.Request.Size, RequestHash: e.Request.SHA256, ResponseSize: e.Response.Size, ResponseHash: e.Response.SHA256,
				Encoding: e.Response.Encoding, Trailers: e.Response.Trailers,
			})
		case *event.File:
		default:
			t.Errorf("unexpected: %+v", e)
		}
	}
	slices.SortFunc(all, func(a, b said) int { return cmp.Compare(a.URL, b.URL) })
	return all
}

func hashOf(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// prose returns n bytes that compress well, but not too well.
func prose(n int) []byte {
	var b bytes.Buffer
	for i := 0; b.Len() < n; i++ {
		fmt.Fprintf(&b, "line %d is %x\n", i, i*i)
	}
	return b.Bytes()[:n]
}

// site is a server with something of everything.
func site() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/hello", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") })
	mux.HandleFunc("/large", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(prose(700_000)) })
	mux.HandleFunc("/packed", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		_, _ = z.Write(prose(100_000))
		_ = z.Close()
	})
	mux.HandleFunc("/trailer", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Trailer", "X-Sum")
		w.WriteHeader(http.StatusAccepted)
		fmt.Fprint(w, "summed")
		w.Header().Set("X-Sum", "17")
	})
	mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusCreated)
		_, _ = io.Copy(w, r.Body)
	})
	return mux
}

type request struct {
	method, path string
	body         []byte
	want         said
}

func requests() []request {
	upload := prose(150_000)
	return []request{
		{"POST", "/echo", upload, said{Status: 201, RequestSize: 150_000, RequestHash: hashOf(upload), ResponseSize: 150_000, ResponseHash: hashOf(upload)}},
		{"GET", "/hello", nil, said{Status: 200, ResponseSize: 5, ResponseHash: hashOf([]byte("hello"))}},
		{"HEAD", "/hello?head", nil, said{Status: 200}},
		{"GET", "/large", nil, said{Status: 200, ResponseSize: 700_000, ResponseHash: hashOf(prose(700_000))}},
		{"GET", "/nowhere", nil, said{Status: 404, ResponseSize: 19, ResponseHash: hashOf([]byte("404 page not found\n"))}},
		{"GET", "/packed", nil, said{Status: 200, ResponseSize: 100_000, ResponseHash: hashOf(prose(100_000)), Encoding: "gzip"}},
		{"GET", "/trailer", nil, said{Status: 202, ResponseSize: 6, ResponseHash: hashOf([]byte("summed")), Trailers: []string{"x-sum: 17"}}},
	}
}

// askAll makes all requests at the same time.
func askAll(t *testing.T, client *http.Client, base string) []said {
	t.Helper()
	var want []said
	var group sync.WaitGroup
	for _, r := range requests() {
		r.want.Method, r.want.URL, r.want.State = r.method, r.path, event.Complete
		r.want.Host = "127.0.0.1"
		want = append(want, r.want)
		group.Go(func() {
			ask, err := http.NewRequestWithContext(t.Context(), r.method, base+r.path, bytes.NewReader(r.body))
			if err != nil {
				t.Error(err)
				return
			}
			answer, err := client.Do(ask)
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := io.Copy(io.Discard, answer.Body); err != nil {
				t.Error(err)
			}
			_ = answer.Body.Close()
		})
	}
	group.Wait()
	return want
}

// TestGoPeers runs Go's HTTP/2 client and server, in the clear and inside TLS that the test terminates.
func TestGoPeers(t *testing.T) {
	server := httptest.NewUnstartedServer(site())
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Start()
	defer server.Close()
	secure := httptest.NewUnstartedServer(site())
	secure.EnableHTTP2 = true
	secure.StartTLS()
	defer secure.Close()

	for _, tc := range []struct {
		name, address string
		dial          func(ctx context.Context, network, addr string) (net.Conn, error)
	}{
		{"h2c", server.Listener.Addr().String(), new(net.Dialer).DialContext},
		// The transport speaks in the clear to a connection that adds TLS: so the tape has what is inside.
		{"tls", secure.Listener.Addr().String(), (&tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}}}).DialContext},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var tp tape
			transport := &http.Transport{DisableCompression: true, Protocols: new(http.Protocols),
				DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
					c, err := tc.dial(ctx, network, addr)
					return taped{c, &tp}, err
				}}
			transport.Protocols.SetUnencryptedHTTP2(true)
			base := "http://" + tc.address
			client := &http.Client{Transport: transport}
			want := askAll(t, client, base)
			want = append(want, askAll(t, client, base)...) // the header tables are full now
			transport.CloseIdleConnections()
			slices.SortFunc(want, func(a, b said) int { return cmp.Compare(a.URL, b.URL) })
			if diff := gocmp.Diff(want, transactions(t, tp.all())); diff != "" {
				t.Errorf("-sent +events:\n%s", diff)
			}
		})
	}
}

// curl makes one request through a relay. (That of Debian 12 can't make a second one without an upgrade.)
func curl(t *testing.T, to, path string, args ...string) []said {
	t.Helper()
	program := testkit.Need(t, "curl")
	var tp tape
	address, wait := relay(t, to, &tp)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	args = append([]string{"-sS", "--http2-prior-knowledge", "-o", os.DevNull, "http://" + address + path}, args...)
	if out, err := exec.CommandContext(ctx, program, args...).CombinedOutput(); err != nil {
		t.Fatalf("curl: %v\n%s", err, out)
	}
	wait()
	return transactions(t, tp.all())
}

func TestCurl(t *testing.T) {
	server := httptest.NewUnstartedServer(site())
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Start()
	defer server.Close()
	upload := prose(50_000)
	file := filepath.Join(t.TempDir(), "upload")
	if err := os.WriteFile(file, upload, 0o600); err != nil {
		t.Fatal(err)
	}
	got := curl(t, server.Listener.Addr().String(), "/large")
	got = append(got, curl(t, server.Listener.Addr().String(), "/echo", "-H", "Host: named.example", "--data-binary", "@"+file)...)
	want := []said{
		{Method: "GET", Host: "127.0.0.1", URL: "/large", Status: 200, State: event.Complete, ResponseSize: 700_000, ResponseHash: hashOf(prose(700_000))},
		{Method: "POST", Host: "named.example", URL: "/echo", Status: 201, State: event.Complete, RequestSize: 50_000, RequestHash: hashOf(upload), ResponseSize: 50_000, ResponseHash: hashOf(upload)},
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("-sent +events:\n%s", diff)
	}
}

// nginx serves a folder over HTTP/2 in the clear and returns its address.
func nginx(t *testing.T, files map[string][]byte) string {
	t.Helper()
	program := testkit.Need(t, "nginx")
	dir := t.TempDir()
	for name, b := range files {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	_ = free.Close()
	config := strings.NewReplacer("DIR", dir, "ADDRESS", address).Replace(`
		daemon off; master_process off; pid DIR/pid; error_log stderr crit;
		events {}
		http {
			access_log off; gzip on; gzip_types *;
			client_body_temp_path DIR/body; proxy_temp_path DIR/proxy; fastcgi_temp_path DIR/fastcgi; uwsgi_temp_path DIR/uwsgi; scgi_temp_path DIR/scgi;
			server { listen ADDRESS http2; root DIR; }
		}`)
	file := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	command := exec.Command(program, "-c", file, "-p", dir, "-e", "stderr")
	command.Stderr = &stderr
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
	})
	for range 100 {
		if c, err := net.Dial("tcp", address); err == nil {
			_ = c.Close()
			return address
		}
		time.Sleep(50 * time.Millisecond)
	}
	_ = command.Process.Kill()
	_ = command.Wait()
	t.Fatalf("nginx does not listen: %s", &stderr)
	return ""
}

func TestCurlAndNginx(t *testing.T) {
	address := nginx(t, map[string][]byte{"large": prose(700_000)})
	got := curl(t, address, "/large")
	got = append(got, curl(t, address, "/large?packed", "--compressed")...)
	got = append(got, curl(t, address, "/nowhere", "-I")...)
	want := []said{
		{Method: "GET", Host: "127.0.0.1", URL: "/large", Status: 200, State: event.Complete, ResponseSize: 700_000, ResponseHash: hashOf(prose(700_000))},
		{Method: "GET", Host: "127.0.0.1", URL: "/large?packed", Status: 200, State: event.Complete, ResponseSize: 700_000, ResponseHash: hashOf(prose(700_000)), Encoding: "gzip"},
		{Method: "HEAD", Host: "127.0.0.1", URL: "/nowhere", Status: 404, State: event.Complete},
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("-sent +events:\n%s", diff)
	}
}
