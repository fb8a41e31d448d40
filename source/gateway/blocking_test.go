package gateway_test

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
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
	w = newWorld(t, options{rules: inspectAll(policy.Cases{}), sink: sink})
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
				"form":     {"-F", "file=@" + big, "ORIGIN/files/form"},
				"post":     {"--data-binary", "@" + big, "-H", "Content-Type: application/octet-stream", "ORIGIN/files/post"},
				"detour":   {"--path-as-is", "-T", big, "ORIGIN/public/..//%66iles/detour"},
				"no files": {"-X", "PUT", "--data-binary", "", "-H", "Content-Range: bytes 0-0/1", "ORIGIN/files/empty"},
			} {
				in := ""
				if name == "stdin" {
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
