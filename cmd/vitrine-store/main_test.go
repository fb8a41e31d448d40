package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/vitrine-ndr/vitrine/internal/chdb/socket"
	"github.com/vitrine-ndr/vitrine/internal/testkit"
)

// Where the built program and the library are; needErr says why there is nothing to test.
var program, library string
var needErr error

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "vitrine-store-*")
	if err != nil {
		panic(err)
	}
	program = filepath.Join(dir, "vitrine-store")
	build := exec.Command("go", "build", "-o", program, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		needErr = fmt.Errorf("build vitrine-store: %w: %s", err, out)
	}
	out, err := exec.Command("go", "run", "../../internal/chdb/fetch", "-cache", "../../.cache", "-print").Output()
	if err != nil {
		needErr = fmt.Errorf("fetch libchdb: %w", err)
	}
	library = strings.TrimSpace(string(out))
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// server is a running vitrine-store.
type server struct {
	cmd   *exec.Cmd
	stdin io.Closer
	log   bytes.Buffer
	http  *http.Client
	dir   string
}

func start(t *testing.T, dir string) *server {
	t.Helper()
	if needErr != nil {
		testkit.Skip(t, "no engine: %v", needErr)
	}
	s := &server{dir: dir, cmd: exec.Command(program, "-child", "-data", dir, "-library", library)}
	s.cmd.Stderr = &s.log
	stdin, err := s.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	s.stdin = stdin
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if s.cmd.ProcessState == nil {
			s.cmd.Process.Kill()
			s.cmd.Wait()
		}
	})
	s.http = &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return socket.Dial(ctx, filepath.Join(dir, "store.sock"))
	}}}
	t.Cleanup(s.http.CloseIdleConnections)
	for late := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		res, err := s.http.Get("http://x/ping")
		if err == nil {
			res.Body.Close()
			return s
		}
		if time.Now().After(late) {
			t.Fatalf("no answer: %v\n%s", err, &s.log)
		}
	}
}

// ask sends a statement with arguments, given in pairs, and returns the answer.
func (s *server) ask(t *testing.T, body string, args ...string) (status int, answer string, h http.Header) {
	t.Helper()
	v := url.Values{}
	for i := 0; i < len(args); i += 2 {
		v.Set(args[i], args[i+1])
	}
	res, err := s.http.Post("http://x/?"+v.Encode(), "", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return res.StatusCode, string(b), res.Header
}

// The answers are those that a ClickHouse server gives.
func TestHTTPInterface(t *testing.T) {
	s := start(t, t.TempDir())
	for _, tc := range []struct {
		name, body string
		args       []string
		status     int
		code       string // of the exception
		want       string // the whole answer, or a part of an error's
	}{
		{"query in the body", "SELECT 1", nil, 200, "", "1\n"},
		{"query in the URL", "", []string{"query", "SELECT 1"}, 200, "", "1\n"},
		{"format", "SELECT 1 AS x FORMAT JSONEachRow", nil, 200, "", "{\"x\":1}\n"},
		{"default format", "SELECT 1 AS x", []string{"default_format", "JSONEachRow"}, 200, "", "{\"x\":1}\n"},
		{"parameter", "SELECT {a:String}, {n:UInt8}", []string{"param_a", `it's\tx\\y\n`, "param_n", "7"}, 200, "", `it\'s\tx\\y\n` + "\t7\n"},
		{"list", "SELECT {a:Array(String)}[2]", []string{"param_a", `['x','y\'']`}, 200, "", `y\'` + "\n"},
		{"parameter is no SQL", "SELECT {a:String}", []string{"param_a", "'; DROP DATABASE a; --"}, 200, "", `\'; DROP DATABASE a; --` + "\n"},
		{"parameter missing", "SELECT {a:String}", nil, 500, "456", "a"},
		{"parameter of another type", "SELECT {a:UInt8}", []string{"param_a", "x"}, 500, "457", "x"},
		{"setting", "SELECT getSetting('max_block_size')", []string{"max_block_size", "77"}, 200, "", "77\n"},
		{"setting of another request is gone", "SELECT getSetting('max_block_size') = 77", nil, 200, "", "0\n"},
		{"unknown setting", "SELECT 1", []string{"no_such", "1"}, 404, "115", "no_such"},
		{"setting is no SQL", "SELECT 1", []string{"a = 1, b", "1"}, 404, "115", "a = 1, b"},
		{"syntax", "SELEKT 1", nil, 400, "62", "Syntax error"},
		{"unknown table", "SELECT * FROM nowhere", nil, 404, "60", "nowhere"},
		{"no query", " ", nil, 400, "", "there is no query"},
		{"database", "CREATE DATABASE a", nil, 200, "", ""},
		{"table", "CREATE TABLE t (x UInt64, s String) ENGINE = MergeTree ORDER BY x", []string{"database", "a"}, 200, "", ""},
		{"insert", "1\tone\n2\ttwo\n", []string{"database", "a", "query", "INSERT INTO t (x, s) FORMAT TSV"}, 200, "", ""},
		{"insert in one body", "INSERT INTO t FORMAT TSV\n3\tthree\n", []string{"database", "a"}, 200, "", ""},
		{"insert of values", "INSERT INTO t VALUES (4, 'four')", []string{"database", "a"}, 200, "", ""},
		{"bad insert", "5\tfive\nBAD\n", []string{"database", "a", "query", "INSERT INTO t FORMAT TSV"}, 400, "27", "Cannot parse"},
		{"unknown database", "SELECT 1", []string{"database", "nowhere"}, 404, "81", "nowhere"},
		{"what was inserted", "SELECT groupArray(s) FROM (SELECT s FROM t ORDER BY x)", []string{"database", "a"}, 200, "", "['one','two','three','four']\n"},
		{"late error", "SELECT throwIf(number = 1) FROM numbers(2)", nil, 500, "395", "throwIf"},
	} {
		status, answer, h := s.ask(t, tc.body, tc.args...)
		if status != tc.status || h.Get("X-ClickHouse-Exception-Code") != tc.code {
			t.Errorf("%s: status %d, code %q, want %d, %q: %s", tc.name, status, h.Get("X-ClickHouse-Exception-Code"), tc.status, tc.code, answer)
		}
		if ok := tc.status == 200 && answer == tc.want || tc.status != 200 && strings.Contains(answer, tc.want); !ok {
			t.Errorf("%s: answer %q, want %q", tc.name, answer, tc.want)
		}
	}
	s.expectPrivate(t)
}

// expectPrivate looks at the permissions of all that the engine has written: it is decrypted traffic.
func (s *server) expectPrivate(t *testing.T) {
	t.Helper()
	err := filepath.WalkDir(s.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == s.dir || d.Type()&fs.ModeSymlink != 0 {
			return nil // removed meanwhile, or without permissions of its own
		}
		if info, err := d.Info(); err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// A result that breaks off must not look like a whole one.
func TestErrorAfterOutputBreaksTheAnswer(t *testing.T) {
	s := start(t, t.TempDir())
	res, err := s.http.Post("http://x/", "", strings.NewReader("SELECT number, throwIf(number = 900000) FROM numbers(1000000)"))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	n, err := io.Copy(io.Discard, res.Body)
	if n == 0 || err == nil {
		t.Errorf("%d bytes and error %v, want some and an error", n, err)
	}
}

// A client that goes away takes its statement with it.
func TestCancelledStatementEnds(t *testing.T) {
	s := start(t, t.TempDir())
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://x/", strings.NewReader("SELECT sum(cityHash64(number)) FROM numbers(100000000000)"))
	if err != nil {
		t.Fatal(err)
	}
	if res, err := s.http.Do(req); err == nil {
		res.Body.Close()
		t.Fatal("the statement ended by itself")
	}
	for late := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		_, answer, _ := s.ask(t, "SELECT count() FROM system.processes WHERE query LIKE '%100000000000)'")
		if answer == "0\n" {
			return
		}
		if time.Now().After(late) {
			t.Fatalf("it still runs: %q", answer)
		}
	}
}

// However many searches there are, what comes in is stored.
func TestInsertsDoNotWaitForSearches(t *testing.T) {
	s := start(t, t.TempDir())
	s.ask(t, "CREATE TABLE default.t (x UInt8) ENGINE = MergeTree ORDER BY x")
	ctx, cancel := context.WithCancel(t.Context())
	var searches sync.WaitGroup
	defer searches.Wait()
	defer cancel()
	var ended atomic.Int32
	for range 10 { // more than there are connections
		searches.Go(func() {
			defer ended.Add(1)
			req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://x/?max_block_size=1", strings.NewReader("SELECT sum(sleepEachRow(1)) FROM numbers(30)"))
			if err != nil {
				return
			}
			if res, err := s.http.Do(req); err == nil {
				res.Body.Close()
			}
		})
	}
	time.Sleep(500 * time.Millisecond) // until they have begun
	status, answer, _ := s.ask(t, "1\n", "query", "INSERT INTO default.t (x) FORMAT TSV")
	if n := ended.Load(); status != 200 || n > 0 {
		t.Errorf("the insert ended with %d after %d searches: %s", status, n, answer)
	}
}

func TestEndOfTheProcess(t *testing.T) {
	for _, tc := range []struct {
		name string
		end  func(*server) error
	}{
		{"SIGTERM", func(s *server) error { return s.cmd.Process.Signal(syscall.SIGTERM) }},
		{"the parent's end", func(s *server) error { return s.stdin.Close() }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			s := start(t, dir)
			s.ask(t, "CREATE TABLE default.t (x UInt8) ENGINE = MergeTree ORDER BY x")
			s.ask(t, "INSERT INTO default.t VALUES (1)")
			if err := tc.end(s); err != nil {
				t.Fatal(err)
			}
			if err := s.cmd.Wait(); err != nil {
				t.Errorf("it ended with %v\n%s", err, &s.log)
			}
			again := start(t, dir)
			if _, answer, _ := again.ask(t, "SELECT count() FROM default.t"); answer != "1\n" {
				t.Errorf("afterwards there are %q rows", answer)
			}
		})
	}
}

func TestOneProcessPerFolder(t *testing.T) {
	s := start(t, t.TempDir())
	out, err := exec.Command(program, "-data", s.dir, "-library", library).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "another vitrine-store runs in this data folder") {
		t.Errorf("a second process: %v: %s", err, out)
	}
	if status, _, _ := s.ask(t, "SELECT 1"); status != 200 {
		t.Errorf("the first one answers %d", status)
	}
}

func TestUsage(t *testing.T) {
	if needErr != nil {
		testkit.Skip(t, "no engine: %v", needErr)
	}
	for _, tc := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"no folder", nil, 2, "-data is missing"},
		{"little memory", []string{"-data", "x", "-memory", "1000"}, 2, "-memory must be"},
		{"word too many", []string{"-data", "x", "y"}, 2, `unknown argument "y"`},
		{"no library", []string{"-data", t.TempDir()}, 1, "get it with make build"},
		{"broken library", []string{"-data", t.TempDir(), "-library", program}, 1, "load " + program},
	} {
		out, _ := exec.Command(program, tc.args...).CombinedOutput()
		cmd := exec.Command(program, tc.args...)
		if err := cmd.Run(); cmd.ProcessState.ExitCode() != tc.code || !strings.Contains(string(out), tc.want) {
			t.Errorf("%s: %v: %s", tc.name, err, out)
		}
	}
}
