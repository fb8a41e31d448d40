package main_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vitrine-ndr/vitrine/export"
	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/source"
)

// plainCapture returns a capture of n HTTP transactions, each in a connection of its own.
func plainCapture(t testing.TB, n int) []byte {
	t.Helper()
	var buf bytes.Buffer
	file := export.NewFile(&buf)
	sink := export.PlainSink(deaf{}, file, export.PlainOptions{})
	for i := range n {
		at := time.Date(2026, 11, 20, 12, 0, i, 0, time.UTC)
		c := flow.NewConn(0, flow.Tuple{Proto: flow.TCP,
			Client: flow.Endpoint{IP: netip.MustParseAddr("192.0.2.1"), Port: uint16(40000 + i)},
			Server: flow.Endpoint{IP: netip.MustParseAddr("192.0.2.2"), Port: 80},
		}, at)
		s := sink.Open(c)
		s.Data(flow.ToServer, at, fmt.Appendf(nil, "GET /%d HTTP/1.1\r\nHost: example.com\r\n\r\n", i))
		s.Data(flow.ToClient, at, []byte("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"))
		s.Close(at)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// deaf is a Sink that hears nothing.
type deaf struct{}

func (deaf) Open(*flow.Conn) source.Stream                       { return deaf{} }
func (deaf) Data(flow.Direction, time.Time, []byte) flow.Verdict { return flow.Pass }
func (deaf) Gap(flow.Direction, time.Time, int)                  {}
func (deaf) Close(time.Time)                                     {}

// result is how a run of the program ended.
type result struct {
	stdout, stderr string
	status         int
}

// runVitrine runs the program to its end.
func runVitrine(t testing.TB, stdin []byte, args ...string) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := exec.Command(vitrine(t), args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(stdin), &stdout, &stderr
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir())
	err := cmd.Run()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return result{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// urls returns those of the http events among lines of native JSON.
func urls(t testing.TB, lines string) (out []string) {
	t.Helper()
	for line := range strings.Lines(lines) {
		var r struct {
			Kind string
			HTTP struct{ URL string }
		}
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if r.Kind == "http" {
			out = append(out, r.HTTP.URL)
		}
	}
	return out
}

func TestReplayReadsWhatPeopleHave(t *testing.T) {
	plain := plainCapture(t, 3)
	var zipped bytes.Buffer
	w := gzip.NewWriter(&zipped)
	if _, err := w.Write(plain); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "x.pcapng")
	if err := os.WriteFile(path, plain, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, r := range map[string]result{
		"file":                runVitrine(t, nil, "replay", path),
		"standard input":      runVitrine(t, plain, "replay", "-"),
		"gzip standard input": runVitrine(t, zipped.Bytes(), "replay", "-o", "json", "-"),
	} {
		if got := strings.Join(urls(t, r.stdout), " "); r.status != 0 || got != "/0 /1 /2" || r.stderr != "" {
			t.Errorf("%s: status %d, URLs %q, stderr %q", name, r.status, got, r.stderr)
		}
	}
}

func TestReplayGivesEventsUpToTheDamage(t *testing.T) {
	good := plainCapture(t, 3)
	damaged := append(bytes.Clone(good), "this is no block of a capture file"...)
	r := runVitrine(t, damaged, "replay", "-")
	if got := strings.Join(urls(t, r.stdout), " "); got != "/0 /1 /2" {
		t.Errorf("URLs %q", got)
	}
	var offset int
	_, err := fmt.Sscanf(r.stderr, "vitrine: read standard input: damaged at byte %d:", &offset)
	if err != nil || r.status != 1 || strings.Count(r.stderr, "\n") != 1 || offset < len(good) || offset > len(damaged) {
		t.Errorf("status %d, stderr %q; the damage begins at byte %d", r.status, r.stderr, len(good))
	}
}

func TestReplayReadsTheOtherFilesToo(t *testing.T) {
	r := runVitrine(t, plainCapture(t, 1), "replay", "/does/not/exist", "-")
	if got := strings.Join(urls(t, r.stdout), " "); r.status != 1 || got != "/0" || !strings.Contains(r.stderr, "/does/not/exist") {
		t.Errorf("status %d, URLs %q, stderr %q", r.status, got, r.stderr)
	}
}

func TestReplayPcapAfterCanBeReplayed(t *testing.T) {
	after := filepath.Join(t.TempDir(), "after.pcapng")
	if r := runVitrine(t, plainCapture(t, 2), "replay", "-o", "none", "--stats", "--pcap-after", after, "-"); r.status != 0 || r.stdout != "" || !strings.Contains(r.stderr, "connections                  2\n") {
		t.Fatalf("%+v", r)
	}
	if r := runVitrine(t, nil, "replay", after); strings.Join(urls(t, r.stdout), " ") != "/0 /1" {
		t.Errorf("%+v", r)
	}
	if info, err := os.Stat(after); err != nil || info.Mode() != 0o600 {
		t.Errorf("plaintext is in a file of mode %v, error %v", info.Mode(), err)
	}
}

func TestReplayEndsWithItsReader(t *testing.T) {
	cmd := exec.Command("bash", "-c", `"$0" replay -o json - | head -n 1; echo "${PIPESTATUS[0]}"`, vitrine(t))
	cmd.Stdin = bytes.NewReader(plainCapture(t, 2000)) // more than a pipe and a buffer hold
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(out), "\n")
	if len(lines) != 3 || !json.Valid([]byte(lines[0])) || lines[1] != "141" { // 128 + SIGPIPE
		t.Errorf("printed %q", out)
	}
}

func TestWrongUsage(t *testing.T) {
	for _, tc := range []struct {
		args   []string
		status int
		want   string
	}{
		{[]string{"replay"}, 2, "see vitrine replay --help"},
		{[]string{"replay", "-o", "xml", "-"}, 2, `unknown output format "xml"`},
		{[]string{"replay", "--no-such-flag", "-"}, 2, "unknown flag"},
		{[]string{"no-such-command"}, 2, `unknown command "no-such-command"`},
		{[]string{"version", "more"}, 2, "see vitrine version --help"},
		{[]string{"replay", "--keylog", "/does/not/exist", "-"}, 1, "read key log"},
		{[]string{"replay", "/no/\x1b[31m/file"}, 1, `/no/\x1b[31m/file`},
		{[]string{"replay", "--pcap-after", "/no/such/folder/x", "-"}, 1, "create packet file"},
	} {
		r := runVitrine(t, nil, tc.args...)
		if r.status != tc.status || !strings.Contains(r.stderr, tc.want) || r.stdout != "" || strings.Contains(r.stderr, "\x1b") {
			t.Errorf("%q: status %d, stdout %q, stderr %q; want %d and %q", tc.args, r.status, r.stdout, r.stderr, tc.status, tc.want)
		}
	}
}
