package gateway_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/vitrine-ndr/vitrine/detect"
	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/inspect"
	"github.com/vitrine-ndr/vitrine/parse"
	"github.com/vitrine-ndr/vitrine/parse/all"
	"github.com/vitrine-ndr/vitrine/source/gateway"
	"github.com/vitrine-ndr/vitrine/source/gateway/policy"
)

const uploadRules = `rules:
- {id: no-uploads, action: block, description: Uploads are denied, urls: ["localhost/files/*"], direction: upload}
- {id: no-secrets, action: block, urls: ["localhost/form"], contains: [{field: body, text: SECRET}]}
- {id: no-reading, action: block, urls: ["localhost/private/*"]}
`

// judging makes a world of which the rules decide about requests.
func judging(t testing.TB, rules string) *world {
	t.Helper()
	engine, err := detect.Compile(fstest.MapFS{"rules.yaml": {Data: []byte(rules)}})
	check(t, err)
	judge := new(atomic.Pointer[detect.Engine])
	judge.Store(engine)
	var w *world
	ready := make(chan struct{})
	sink := inspect.New(inspect.Config{
		Protocols: all.Protocols, Unknown: all.Unknown, Limits: parse.DefaultLimits, Time: inspect.DefaultTime,
		Origin: event.Origin{Vantage: event.Gateway}, Detect: judge, Contact: "help@example.com",
		Emit: func(e *event.Event) { <-ready; w.tell(e) },
	})
	w = newWorld(t, options{rules: inspectAll(policy.Cases{}), sink: sink, config: func(c *gateway.Config) { c.Blocks = engine.BlocksAt }})
	close(ready)
	return w
}

// uploads is an nginx that takes files by PUT, and what it has got.
type uploads struct{ address, log, files string }

func startUploads(t testing.TB, w *world, protocols string) *uploads {
	t.Helper()
	dir := t.TempDir()
	u := &uploads{log: filepath.Join(dir, "access.log"), files: filepath.Join(dir, "www")}
	check(t, os.MkdirAll(filepath.Join(u.files, "files"), 0o755))
	check(t, os.MkdirAll(filepath.Join(u.files, "public"), 0o755))
	u.address = startNginx(t, issue(t, w.public, newECDSA(t), forShop), fmt.Sprintf(`%s client_max_body_size 100m; access_log %s;
		location ~ ^/(files|public)/. { root %s; dav_methods PUT; create_full_put_path on; }`, protocols, u.log, u.files))
	return u
}

// got returns the access log, once it ends with the path: nginx writes it when it is done with a request.
func (u *uploads) got(t testing.TB, last string) string {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		text, err := os.ReadFile(u.log)
		check(t, err)
		if strings.Contains(string(text), last) {
			return string(text)
		}
		if time.Now().After(end) {
			t.Fatalf("the origin has not been asked for %s, but: %s", last, text)
		}
	}
}

// stored are the names of the files that the origin has, or has begun to write.
func (u *uploads) stored(t testing.TB) (names []string) {
	t.Helper()
	check(t, filepath.WalkDir(u.files, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			names = append(names, filepath.Base(path))
		}
		return err
	}))
	return names
}

// curl asks the origin through the gateway.
func (w *world) curl(t testing.TB, u *uploads, ca, stdin string, args ...string) (out string, status int) {
	t.Helper()
	args = append([]string{"-sS", "-w", " [%{http_code} %{http_version}]", "--cacert", ca, "-x", "http://" + w.proxy}, args...)
	for i, a := range args {
		args[i] = strings.ReplaceAll(a, "ORIGIN", "https://localhost:"+port(u.address))
	}
	return run(t, stdin, "curl", args...)
}

// TestDeniedUploads has curl upload 20 MB where that is denied, in all the ways it has. What the origin logs and stores proves that nothing
// has reached it; browsing the same place, and uploads elsewhere, go on.
func TestDeniedUploads(t *testing.T) {
	big := filepath.Join(t.TempDir(), "big")
	check(t, os.WriteFile(big, bytes.Repeat([]byte("confidential 0123456789\n"), 20<<20/24), 0o600))
	stream, err := os.ReadFile(big)
	check(t, err)
	for version, flag := range map[string]string{"1.1": "--http1.1", "2": "--http2"} {
		t.Run(version, func(t *testing.T) {
			w := judging(t, uploadRules)
			u := startUploads(t, w, "http2;")
			ca, _ := w.private.files(t, t.TempDir())
			for name, args := range map[string][]string{
				"put":      {"-T", big, "ORIGIN/files/put"},
				"no wait":  {"-T", big, "-H", "Expect:", "ORIGIN/files/nowait"},
				"wait":     {"-T", big, "-H", "Expect: 100-continue", "--expect100-timeout", "10", "ORIGIN/files/wait"},
				"stdin":    {"-T", "-", "ORIGIN/files/stdin"},
				"text":     {"-X", "POST", "-T", "-", "-H", "Content-Type: text/plain", "ORIGIN/files/text"}, // of a length that is not said
				"form":     {"-F", "file=@" + big, "ORIGIN/files/form"},
				"post":     {"--data-binary", "@" + big, "-H", "Content-Type: application/octet-stream", "ORIGIN/files/post"},
				"detour":   {"--path-as-is", "-T", big, "ORIGIN/public/..//%66iles/detour"},
				"no files": {"-X", "PUT", "--data-binary", "", "-H", "Content-Range: bytes 0-0/1", "ORIGIN/files/empty"},
			} {
				in := ""
				if name == "stdin" || name == "text" {
					in = string(stream)
				}
				out, _ := w.curl(t, u, ca, in, append([]string{flag}, args...)...) // curl may complain that it could not send all
				if !strings.Contains(out, "[403 "+version+"]") || version == "1.1" && !strings.Contains(out, "Uploads are denied") {
					t.Errorf("%s: %s", name, out)
				}
				f := w.await(t, "the finding", func(r *event.Record) bool { return r.Finding != nil }).Finding
				if f.Rule != "no-uploads" || f.Action != event.Blocked || f.Host != "localhost" || f.Reference == "" {
					t.Errorf("%s: told %+v", name, f)
				}
				w.await(t, "the end of the connection", func(r *event.Record) bool {
					if r.Anomaly != nil { // curl does nothing wrong: it was told that nobody wants the rest
						t.Errorf("%s: told of %s", name, r.Anomaly.Code)
					}
					return r.Kind == event.KindConn
				})
			}
			for path, args := range map[string][]string{"/files/x": {}, "/public/ok": {"-T", big}, "/last": {}} {
				want := map[string]string{"/files/x": "[404 ", "/public/ok": "[201 ", "/last": "fine [200 "}[path]
				if out, status := w.curl(t, u, ca, "", append(append([]string{flag}, args...), "ORIGIN"+path)...); !strings.Contains(out, want) || status != 0 {
					t.Errorf("%s: %s, status %d", path, out, status)
				}
			}
			log := u.got(t, "/last")
			if n := strings.Count(log, "\n"); strings.Contains(log, "PUT /files") || strings.Contains(log, "POST") || strings.Contains(log, "detour") || n > 5 {
				t.Errorf("the origin was asked for:\n%s", log)
			}
			if got := u.stored(t); len(got) != 1 || got[0] != "ok" {
				t.Errorf("the origin has %q", got)
			}
		})
	}
}

// TestHeldForm has forms judged by what is in them.
func TestHeldForm(t *testing.T) {
	for version, flag := range map[string]string{"1.1": "--http1.1", "2": "--http2"} {
		t.Run(version, func(t *testing.T) {
			w := judging(t, uploadRules)
			u := startUploads(t, w, "http2;")
			ca, _ := w.private.files(t, t.TempDir())
			if out, status := w.curl(t, u, ca, "", flag, "-d", "a=public", "ORIGIN/form"); !strings.Contains(out, "fine [200 ") || status != 0 {
				t.Errorf("harmless: %s, status %d", out, status)
			}
			out, status := w.curl(t, u, ca, "", flag, "-d", "a=SECRET", "ORIGIN/form")
			if status != 0 || !strings.Contains(out, "[403 "+version+"]") {
				t.Errorf("secret: %s, status %d", out, status)
			}
			f := w.await(t, "the finding", func(r *event.Record) bool { return r.Finding != nil }).Finding
			if f.Rule != "no-secrets" || f.Action != event.Blocked {
				t.Errorf("told %+v", f)
			}
		})
	}
}

// TestBlockedConnection tells of a connection that a rule has ended as blocked.
func TestBlockedConnection(t *testing.T) {
	w := judging(t, uploadRules)
	u := startUploads(t, w, ";")
	ca, _ := w.private.files(t, t.TempDir())
	out, status := w.curl(t, u, ca, "", "-H", "Accept: text/html", "-H", "Accept-Language: zh-CN", "ORIGIN/private/x")
	if status != 0 || !strings.Contains(out, "此请求已被阻断") || !strings.Contains(out, "help@example.com") {
		t.Errorf("curl: %s, status %d", out, status)
	}
	r := w.await(t, "the request", func(r *event.Record) bool { return r.HTTP != nil })
	if r.HTTP.Status != http.StatusForbidden {
		t.Errorf("told status %d", r.HTTP.Status)
	}
	if r := w.awaitTLS(t); r.Policy.Action != flow.Block || r.Decryption.State != flow.DecryptedYes {
		t.Errorf("told %+v, %+v", r.Policy, r.Decryption)
	}
}

// TestBlockBehindAnAnswer has a client ask twice at once, in HTTP/1.1, where the second request is blocked: it gets all of the first answer, then the
// page, and both sides hear of a regular end at once.
func TestBlockBehindAnAnswer(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		w := judging(t, uploadRules)
		ends := make(chan error, 1)
		l := listen(t)
		address, id := l.Addr().String(), issue(t, w.public, newECDSA(t), forShop).tls()
		serve(t, tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{id}, MaxVersion: version}), func(c net.Conn) {
			request := make([]byte, 1<<10)
			if n, err := c.Read(request); err != nil || !bytes.HasPrefix(request[:n], []byte("GET /ok")) {
				ends <- fmt.Errorf("the origin was asked for %q: %w", request[:n], err)
				return
			}
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
			time.Sleep(50 * time.Millisecond) // that it comes by itself
			_, _ = io.WriteString(c, "world")
			n, err := c.Read(request)
			ends <- fmt.Errorf("the origin was told %q: %w", request[:n], err)
		})
		cfg := w.client()
		cfg.ServerName = "localhost"
		c, err := w.handshake(t, address, cfg)
		check(t, err)
		start := time.Now()
		_, err = io.WriteString(c, "GET /ok HTTP/1.1\r\nHost: localhost\r\n\r\nGET /private/x HTTP/1.1\r\nHost: localhost\r\n\r\n")
		check(t, err)
		check(t, c.SetReadDeadline(start.Add(patience)))
		got, err := io.ReadAll(c)
		if text := string(got); err != nil || !strings.Contains(text, "\r\n\r\nhelloworldHTTP/1.1 403 ") || !strings.Contains(text, "Reference") {
			t.Errorf("version %x: the client got %q, %v", version, text, err)
		}
		if d := time.Since(start); d > 5*time.Second {
			t.Errorf("version %x: the end took %v", version, d)
		}
		c.Close()
		if err := <-ends; !errors.Is(err, io.EOF) {
			t.Errorf("version %x: %v", version, err)
		}
	}
}

// TestOtherStreamsGoOn mixes requests of one connection that pass with ones that are blocked, many at once.
func TestOtherStreamsGoOn(t *testing.T) {
	w := judging(t, uploadRules)
	u := startUploads(t, w, "http2; ssl_protocols TLSv1.2 TLSv1.3; keepalive_requests 10000;")
	tr := &http.Transport{
		Proxy:           http.ProxyURL(&url.URL{Scheme: "http", Host: w.proxy}),
		TLSClientConfig: &tls.Config{RootCAs: w.private.pool(), ServerName: "localhost"}, ForceAttemptHTTP2: true, MaxConnsPerHost: 1,
	}
	defer tr.CloseIdleConnections()
	client := &http.Client{Transport: tr, Timeout: patience}
	body := bytes.Repeat([]byte("confidential"), 100<<10)
	ask := func(i int) {
		method, path, want := "GET", fmt.Sprintf("/public-%d", i), http.StatusOK
		var in io.Reader
		switch i % 4 {
		case 1:
			path, want = fmt.Sprintf("/private/%d", i), http.StatusForbidden
		case 2:
			method, path, want, in = "PUT", fmt.Sprintf("/files/%d", i), http.StatusForbidden, bytes.NewReader(body)
		case 3:
			method, path, want, in = "PUT", fmt.Sprintf("/public/%d", i), http.StatusCreated, bytes.NewReader(body)
		}
		req, err := http.NewRequest(method, "https://localhost:"+port(u.address)+path, in)
		if err != nil {
			t.Error(err)
			return
		}
		req.Header.Set("X-Number", strconv.Itoa(i)) // something for the header table
		resp, err := client.Do(req)
		if err != nil {
			t.Errorf("%s %s: %v", method, path, err)
			return
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != want || resp.ProtoMajor != 2 || want == http.StatusForbidden && !strings.Contains(string(text), "Reference") {
			t.Errorf("%s %s: %s, %v: %s", method, path, resp.Status, err, text)
		}
	}
	ask(0) // opens the connection
	var group sync.WaitGroup
	for i := range 80 {
		group.Go(func() { ask(i) })
	}
	group.Wait()
	ask(4000)
	log := u.got(t, "/public-4000")
	if strings.Contains(log, "private") || strings.Contains(log, "/files/") {
		t.Errorf("the origin was asked for:\n%s", log)
	}
	if got := u.stored(t); len(got) != 20 {
		t.Errorf("the origin has %d files, want 20", len(got))
	}
	if n := w.Stats(); n.Open != 1 {
		t.Errorf("%d connections are open, want 1", n.Open)
	}
}

// TestManyBlocked has one connection outlast more blocked requests than may be open in it at once.
func TestManyBlocked(t *testing.T) {
	w := judging(t, uploadRules)
	u := startUploads(t, w, "http2; keepalive_requests 10;") // which do not count: it gets none of them
	var made atomic.Int32
	tr := &http.Transport{
		Proxy:           http.ProxyURL(&url.URL{Scheme: "http", Host: w.proxy}),
		TLSClientConfig: &tls.Config{RootCAs: w.private.pool(), ServerName: "localhost"}, ForceAttemptHTTP2: true,
		OnProxyConnectResponse: func(context.Context, *url.URL, *http.Request, *http.Response) error {
			made.Add(1)
			return nil
		},
	}
	defer tr.CloseIdleConnections()
	client := &http.Client{Transport: tr}
	for i := range 10_500 {
		method, path, body := "GET", "/private/a", io.Reader(nil)
		if i%2 == 1 {
			method, path, body = "PUT", "/files/a", strings.NewReader("confidential")
		}
		req, err := http.NewRequest(method, "https://localhost:"+port(u.address)+path, body)
		check(t, err)
		resp, err := client.Do(req)
		if err != nil || resp.StatusCode != http.StatusForbidden {
			t.Fatalf("request %d: %v, %v", i, resp, err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
	if n := made.Load(); n != 1 {
		t.Errorf("it took %d connections", n)
	}
}

// TestParallelCurl does the same with curl, whose HTTP/2 is nghttp2.
func TestParallelCurl(t *testing.T) {
	w := judging(t, uploadRules)
	u := startUploads(t, w, "http2;")
	ca, _ := w.private.files(t, t.TempDir())
	args := []string{"--http2", "--parallel", "--parallel-max", "20", "ORIGIN/first"}
	for i := range 20 {
		args = append(args, fmt.Sprintf("ORIGIN/private/%d", i), fmt.Sprintf("ORIGIN/open-%d", i))
	}
	for range len(args) - 4 {
		args = append(args, "-o", "/dev/null")
	}
	out, status := w.curl(t, u, ca, "", args...)
	if status != 0 || strings.Count(out, "[403 2]") != 20 || strings.Count(out, "[200 2]") != 21 {
		t.Errorf("status %d: %s", status, out)
	}
	if log := u.got(t, "/first"); strings.Contains(log, "private") {
		t.Errorf("the origin was asked for:\n%s", log)
	}
}

// TestStreamingGoesOn has an origin that answers in pieces: each must come before the next is said.
func TestStreamingGoesOn(t *testing.T) {
	w := judging(t, uploadRules)
	next := make(chan string)
	l := listen(t)
	id := issue(t, w.public, newECDSA(t), forShop).tls()
	s := &http.Server{TLSConfig: &tls.Config{Certificates: []tls.Certificate{id}}, ErrorLog: log.New(io.Discard, "", 0), Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for range 5 {
			_, _ = io.WriteString(w, <-next)
			w.(http.Flusher).Flush()
		}
	})}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = s.ServeTLS(l, "", "") // which the end of the test closes
	}()
	defer func() { s.Close(); <-ended }()
	for _, h2 := range []bool{false, true} {
		tr := &http.Transport{
			Proxy: http.ProxyURL(&url.URL{Scheme: "http", Host: w.proxy}), TLSClientConfig: &tls.Config{RootCAs: w.private.pool(), ServerName: "localhost"}, ForceAttemptHTTP2: h2,
		}
		go func() { next <- "data: 0\n\n" }()
		resp, err := (&http.Client{Transport: tr, Timeout: patience}).Get("https://localhost:" + port(l.Addr().String()) + "/events")
		check(t, err)
		b := make([]byte, 9)
		for i := range 5 {
			if i > 0 {
				next <- fmt.Sprintf("data: %d\n\n", i)
			}
			if _, err := io.ReadFull(resp.Body, b); err != nil || string(b) != fmt.Sprintf("data: %d\n\n", i) {
				t.Errorf("HTTP/2 %t: read %q, %v", h2, b, err)
			}
		}
		resp.Body.Close()
		tr.CloseIdleConnections()
	}
}
