package main_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/internal/testkit"
)

// engine builds vitrine-store beside vitrine and returns the path of its library.
var engine = sync.OnceValues(func() (library string, err error) {
	store := exec.Command("go", "build", "-o", filepath.Join(buildDir, "vitrine-store"), "../vitrine-store")
	store.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := store.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build vitrine-store: %w: %s", err, out)
	}
	out, err := exec.Command("go", "run", "../../internal/chdb/fetch", "-cache", "../../.cache", "-print").Output()
	if err != nil {
		return "", fmt.Errorf("fetch libchdb: %w", err)
	}
	return filepath.Abs(strings.TrimSpace(string(out)))
})

// instance is a running vitrine up.
type instance struct {
	dir, url, announced string
	cmd                 *exec.Cmd
	stderr              *bytes.Buffer
	namespace           *testkit.Namespace // that it runs in; nil for the test's own
}

// startUp runs vitrine up until the end of the test and returns once it has announced itself.
func startUp(t testing.TB, dir string, args ...string) *instance {
	t.Helper()
	return startInstance(t, dir, upCommand(t, dir, args...))
}

func startInstance(t testing.TB, dir string, cmd *exec.Cmd) *instance {
	t.Helper()
	i := &instance{dir: dir, cmd: cmd, stderr: new(bytes.Buffer)}
	i.cmd.Stderr = i.stderr
	stdout, err := i.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := i.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if i.cmd.ProcessState == nil {
			_ = i.cmd.Process.Kill()
			_ = i.cmd.Wait()
		}
		if t.Failed() {
			t.Logf("stderr of vitrine up:\n%s", i.stderr)
		}
	})
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		i.announced += lines.Text() + "\n"
		if strings.HasPrefix(lines.Text(), "  bus ") { // the last line
			i.url = regexp.MustCompile(`https://\S+`).FindString(i.announced)
			return i
		}
	}
	_ = i.cmd.Wait()
	t.Fatalf("vitrine up ended: %s%s", i.announced, i.stderr)
	return nil
}

func upCommand(t testing.TB, dir string, args ...string) *exec.Cmd {
	t.Helper()
	program := vitrine(t)
	library, err := engine()
	if err != nil {
		testkit.Skip(t, "no engine: %v", err)
	}
	cmd := exec.Command(program, append([]string{"up", "--data", dir, "--listen", "127.0.0.1:0"}, args...)...)
	// The probe sees into every program of the machine: tests that want that ask for it.
	cmd.Env = append(os.Environ(), "VITRINE_LIBCHDB="+library, "VITRINE_NO_PROBE=true")
	return cmd
}

// stop ends the program as a person does, and checks that it ends well.
func (i *instance) stop(t testing.TB) {
	t.Helper()
	start := time.Now()
	if err := i.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := i.cmd.Wait(); err != nil {
		t.Errorf("vitrine up ended with %v", err)
	}
	if took := time.Since(start); took > 30*time.Second {
		t.Errorf("the stop took %s", took)
	}
}

// kill ends the program as a power cut does.
func (i *instance) kill(t testing.TB) {
	t.Helper()
	if err := i.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = i.cmd.Wait()
}

// search runs vitrine search on this machine and returns its result.
func (i *instance) search(t testing.TB, args ...string) result {
	t.Helper()
	t.Setenv("VITRINE_DATA", i.dir)
	return runVitrine(t, nil, append([]string{"search"}, args...)...)
}

// importCapture uploads a capture, and session keys if there are any, and returns the import's id.
func (i *instance) importCapture(t testing.TB, capture, keyLog []byte) string {
	t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	for field, content := range map[string][]byte{"capture": capture, "keylog": keyLog} {
		if content == nil {
			continue
		}
		part, err := form.CreateFormFile(field, field)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := part.Write(content); err != nil {
			t.Fatal(err)
		}
	}
	if err := form.Close(); err != nil {
		t.Fatal(err)
	}
	var accepted struct{ ID string }
	i.ask(t, http.MethodPost, "/api/v1/imports", form.FormDataContentType(), &body, &accepted)
	return accepted.ID
}

// waitImport waits until the import has ended and returns its state and error.
func (i *instance) waitImport(t testing.TB, id string) (state, message string) {
	t.Helper()
	for end := time.Now().Add(3 * time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		var in struct{ State, Error string }
		i.ask(t, http.MethodGet, "/api/v1/imports/"+id, "", nil, &in)
		if in.State != "queued" && in.State != "running" {
			return in.State, in.Error
		}
	}
	t.Fatalf("import %s does not end", id)
	return "", ""
}

// ask calls the API with the token of the local command line, and decodes the answer.
func (i *instance) ask(t testing.TB, method, path, contentType string, body io.Reader, out any) {
	t.Helper()
	answer := i.send(t, method, path, contentType, body)
	if err := json.Unmarshal(answer, out); err != nil {
		t.Fatalf("%s %s: %v: %s", method, path, err, answer)
	}
}

func (i *instance) send(t testing.TB, method, path, contentType string, body io.Reader) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(i.dir, "cli.json"))
	if err != nil {
		t.Fatal(err)
	}
	var access struct{ Token string }
	if err := json.Unmarshal(text, &access); err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, i.url+path, body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+access.Token)
	req.Header.Set("Content-Type", contentType)
	// The certificate is checked by the command line's own tests.
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode >= 300 {
		t.Fatalf("%s %s: %s %s %v", method, path, resp.Status, answer, err)
	}
	return answer
}

func TestUpImportsAndFinds(t *testing.T) {
	dir := t.TempDir()
	up := startUp(t, dir)
	if !strings.Contains(up.announced, "sign in    admin, password ") {
		t.Errorf("no password announced: %s", up.announced)
	}
	id := up.importCapture(t, plainCapture(t, 3), nil)
	if state, message := up.waitImport(t, id); state != "done" {
		t.Fatalf("the import is %s: %s", state, message)
	}
	wantURLs(t, up, id, 3)
	table := up.search(t, "http.url:/1 import:"+id, "--since", "2026-01-01T00:00:00Z")
	if table.status != 0 || !strings.Contains(table.stdout, "GET example.com/1 200") {
		t.Errorf("%+v", table)
	}
	for _, full := range []bool{false, true} {
		r := up.search(t, "http.url:/1 import:"+id, "--since", "2026-01-01T00:00:00Z", "-o", "json", "--full="+strconv.FormatBool(full))
		var got event.Record
		if err := json.Unmarshal([]byte(r.stdout), &got); err != nil || r.status != 0 {
			t.Fatalf("%v: %+v", err, r)
		}
		if h := got.HTTP; (len(h.Request.Headers) > 0) != full || (string(h.Response.Body) == "ok") != full {
			t.Errorf("with --full=%t: %s", full, r.stdout)
		}
	}
	if r := up.search(t, "kind:http", "--full"); r.status != 2 || !strings.Contains(r.stderr, "-o json") {
		t.Errorf("a table with --full: %+v", r)
	}

	up.stop(t)
	again := startUp(t, dir)
	if strings.Contains(again.announced, "password") {
		t.Errorf("the password is announced again: %s", again.announced)
	}
	wantURLs(t, again, id, 3)
	again.stop(t)
}

// wantURLs checks that the store has each of the first n transactions of plainCapture exactly once.
func wantURLs(t testing.TB, up *instance, id string, n int) {
	t.Helper()
	r := up.search(t, "kind:http import:"+id, "--since", "2026-01-01T00:00:00Z", "--limit", "100000", "-o", "json")
	if r.status != 0 {
		t.Fatalf("%+v", r)
	}
	got := urls(t, r.stdout)
	slices.Sort(got)
	if unique := slices.Compact(slices.Clone(got)); len(got) != n || len(unique) != n {
		t.Errorf("%d events, %d different; want %d", len(got), len(unique), n)
	}
}

func TestSearchShowsWhatIsWrong(t *testing.T) {
	up := startUp(t, t.TempDir())
	r := up.search(t, "kind:http and http.hots:x")
	if r.status != 2 || !strings.Contains(r.stderr, "  kind:http and http.hots:x\n                ^^^^^^^^^\n") || !strings.Contains(r.stderr, "http.host") {
		t.Errorf("status %d:\n%s", r.status, r.stderr)
	}
	for _, tc := range []struct{ name, server, token, want string }{
		{"no token", up.url, "", "VITRINE_TOKEN is missing"},
		{"wrong token", up.url, "wrong", "certificate"}, // the system does not know the console's certificate, so the token is not sent
		{"no TLS", strings.Replace(up.url, "https", "http", 1), "wrong", "must begin with https://"},
	} {
		t.Setenv("VITRINE_SERVER", tc.server)
		t.Setenv("VITRINE_TOKEN", tc.token)
		if r := up.search(t, "kind:http"); r.status != 1 || !strings.Contains(r.stderr, tc.want) {
			t.Errorf("%s: %+v", tc.name, r)
		}
	}
	t.Setenv("VITRINE_SERVER", "")
	t.Setenv("VITRINE_TOKEN", "wrong")
	if r := up.search(t, "kind:http"); r.status != 1 || !strings.Contains(r.stderr, "Sign in, or send a valid token") {
		t.Errorf("wrong token: %+v", r)
	}
	up.stop(t)
}

func TestUpRefuses(t *testing.T) {
	dir := t.TempDir()
	up := startUp(t, dir)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("data: x\nlissten: y\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	doubtful := filepath.Join(t.TempDir(), "doubtful")
	if err := os.WriteFile(doubtful, []byte("gateway: {on: true, doubt: maybe, export: {pcap_over_ip: nowhere}}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name   string
		args   []string
		status int
		want   string
	}{
		{"a folder in use", []string{"--data", dir}, 1, fmt.Sprintf("another vitrine (process %d) is using", up.cmd.Process.Pid)},
		{"a port in use", []string{"--data", t.TempDir(), "--listen", strings.TrimPrefix(up.url, "https://")}, 1, "choose another one with --listen"},
		{"a folder that is a file", []string{"--data", file}, 1, "choose another one with --data"},
		{"an interface that is not there", []string{"--data", t.TempDir(), "--listen", "127.0.0.1:0", "--iface", "nosuch0"}, 1, "open sensor on nosuch0"},
		{"an unknown key", []string{"--config", file}, 2, `line 2: unknown key "lissten"; did you mean "listen"?`},
		{"a bad choice", []string{"--config", doubtful}, 2, `doubt is "maybe", it must be block or pass`},
		{"a bad address for exports", []string{"--config", doubtful}, 2, `export must have address:port`},
		{"a bad address", []string{"--listen", "nowhere"}, 2, "listen must be address:port"},
		{"an argument", []string{"x"}, 2, "unknown command"},
	} {
		r := runVitrine(t, nil, append([]string{"up"}, tc.args...)...)
		if r.status != tc.status || !strings.Contains(r.stderr, tc.want) {
			t.Errorf("%s: %+v, want status %d and %q", tc.name, r, tc.status, tc.want)
		}
	}
	if r := runVitrine(t, nil, "up", "--check-config"); r.status != 0 || r.stdout != "" || r.stderr != "" {
		t.Errorf("the defaults are wrong: %+v", r)
	}
	up.stop(t)
}

// TestKilledDuringIngest kills the engine, then everything, while events come in.
func TestKilledDuringIngest(t *testing.T) {
	const n = 4000
	dir := t.TempDir()
	capture := plainCapture(t, n)
	up := startUp(t, dir)
	first := up.importCapture(t, capture, nil)
	for range 3 {
		time.Sleep(300 * time.Millisecond)
		killEngine(t, dir)
	}
	if state, message := up.waitImport(t, first); state != "done" {
		t.Fatalf("the import is %s: %s", state, message)
	}
	wantURLs(t, up, first, n)

	second := up.importCapture(t, capture, nil)
	time.Sleep(500 * time.Millisecond)
	up.kill(t)
	again := startUp(t, dir)
	wantURLs(t, again, first, n)
	if state, _ := again.waitImport(t, second); state != "failed" && state != "done" {
		t.Errorf("the interrupted import is %s", state)
	}
	third := again.importCapture(t, capture, nil)
	if state, message := again.waitImport(t, third); state != "done" {
		t.Fatalf("the import after a restart is %s: %s", state, message)
	}
	wantURLs(t, again, third, n)
	again.stop(t)
}

// killEngine kills the process that has the folder of the store open, if there is one at the moment.
func killEngine(t testing.TB, dir string) {
	t.Helper()
	processes, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range processes {
		text, err := os.ReadFile(path)
		if err != nil || !bytes.Contains(text, []byte("vitrine-store")) || !bytes.Contains(text, []byte(filepath.Join(dir, "store"))) {
			continue
		}
		var pid int
		if _, err := fmt.Sscanf(path, "/proc/%d/cmdline", &pid); err == nil {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}
