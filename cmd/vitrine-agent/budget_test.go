package main_test

import (
	"bytes"
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/internal/governor"
	"github.com/vitrine-ndr/vitrine/internal/testkit"
	"github.com/vitrine-ndr/vitrine/source"
	"github.com/vitrine-ndr/vitrine/source/probe"
)

// TestGovernedProbe has a real probe go over a small budget under a real load: it takes its hooks out, comes back, and goes for good
// when it is over again. The programs that it watches go on all the while.
func TestGovernedProbe(t *testing.T) {
	if os.Geteuid() != 0 {
		testkit.Skip(t, "seeing into programs needs root")
	}
	address := serveTLS(t)
	seen := &words{}
	p := runProbe(t, seen)
	// The probe needs some 2 % of a core for the load below. Only who is configured by people must have more of a budget than that.
	cfg := governor.Config{CPU: 0.4, Memory: 500 << 20, Over: time.Second, Retry: 2 * time.Second}
	var took time.Duration // to pause
	g := governor.New(cfg, governor.Deps{
		Name: "probe", Log: testkit.Logger(t), Resume: p.Resume,
		Read: func() (governor.Reading, error) {
			return governor.Reading{CPU: p.CPU()}, nil
		},
		Pause: func(string) error {
			start := time.Now()
			defer func() { took = time.Since(start) }()
			return p.Pause()
		},
	})
	background(t, g.Run)
	await := func(want governor.Phase) {
		t.Helper()
		for end := time.Now().Add(30 * time.Second); g.State().Phase != want; time.Sleep(10 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("not %s within 30 s: %+v", want, g.State())
			}
		}
	}
	say := func(word string) {
		t.Helper()
		if out, err := exec.CommandContext(t.Context(), testkit.Need(t, "curl"), "-sSk", "--max-time", "10", "-o", os.DevNull, "https://"+address+"/"+word).CombinedOutput(); err != nil {
			t.Errorf("curl %s: %v: %s", word, err, out)
		}
	}

	say("before")
	seen.await(t, "before")
	load := startLoad(t, address)
	await(governor.Paused)
	if n := linksHeld(t); n > 0 {
		t.Errorf("%d links into the kernel while paused", n)
	}
	t.Logf("%s; all hooks out after %s", g.State(), took.Round(time.Millisecond))
	say("paused")

	await(governor.Stopped) // the load goes on, so that the next try is over the budget too
	time.Sleep(cfg.Retry + time.Second)
	if s := g.State(); s.Phase != governor.Stopped || linksHeld(t) > 0 {
		t.Errorf("%s, with %d links into the kernel", s, linksHeld(t))
	}
	load.stop(t)
	say("stopped")

	g.Resume()
	await(governor.Running)
	for end := time.Now().Add(10 * time.Second); !seen.has("resumed") && time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		say("resumed")
	}
	seen.await(t, "resumed")
	for _, word := range []string{"paused", "stopped"} {
		if seen.has(word) {
			t.Errorf("saw what was said while it was %s", word)
		}
	}
}

// background runs something until the test ends.
func background(t *testing.T, run func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// runProbe runs a probe until the test ends, and returns it once it sees.
func runProbe(t *testing.T, sink source.Sink) *probe.Probe {
	t.Helper()
	ready := make(chan struct{})
	p, err := probe.New(probe.Config{Ready: func() { close(ready) }}, testkit.Logger(t))
	if err != nil {
		t.Fatal(err)
	}
	failed := make(chan error, 1)
	background(t, func(ctx context.Context) error {
		err := p.Run(ctx, sink)
		failed <- err
		return err
	})
	select {
	case <-ready:
	case err := <-failed:
		testkit.SkipIfNotSupported(t, err)
		t.Fatal(err)
	case <-time.After(30 * time.Second):
		t.Fatal("the probe does not get ready")
	}
	return p
}

// linksHeld counts the BPF programs that this process keeps attached to anything.
func linksHeld(t *testing.T) (n int) {
	t.Helper()
	files, err := filepath.Glob("/proc/self/fdinfo/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if text, err := os.ReadFile(f); err == nil && bytes.Contains(text, []byte("link_type:")) {
			n++
		}
	}
	return n
}

// words is a sink that looks for words in what clients say.
type words struct {
	mu  sync.Mutex
	all strings.Builder
}

func (w *words) Open(*flow.Conn) source.Stream { return w }

func (w *words) Data(dir flow.Direction, _ time.Time, b []byte) (v flow.Verdict) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if dir == flow.ToServer && w.all.Len() < 64<<20 {
		w.all.Write(b)
	}
	return v
}

func (w *words) Gap(flow.Direction, time.Time, int) {}
func (w *words) Close(time.Time)                    {}

func (w *words) has(word string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Contains(w.all.String(), "GET /"+word+" ")
}

func (w *words) await(t *testing.T, word string) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !w.has(word); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never saw %q", word)
		}
	}
}

// serveTLS starts a server and returns its address once it answers.
func serveTLS(t *testing.T) string {
	t.Helper()
	dir, openssl, address := t.TempDir(), testkit.Need(t, "openssl"), freeAddress(t)
	certificate(t, dir)
	start(t, exec.CommandContext(t.Context(), openssl, "s_server", "-www", "-quiet", "-accept", address,
		"-key", filepath.Join(dir, "key.pem"), "-cert", filepath.Join(dir, "certificate.pem")))
	eventually(t, "the server listens", func() bool {
		c, err := net.Dial("tcp", address)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	return address
}

// certificate writes a key and a certificate into a folder.
func certificate(t *testing.T, dir string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), testkit.Need(t, "openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=stranger.example",
		"-keyout", filepath.Join(dir, "key.pem"), "-out", filepath.Join(dir, "certificate.pem"))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// load is a program that makes connections, one after the other, until it is stopped.
type load struct {
	cancel context.CancelFunc
	done   chan error
	said   bytes.Buffer
}

func startLoad(t *testing.T, address string) *load {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	l := &load{cancel: cancel, done: make(chan error, 1)}
	go func() {
		for ctx.Err() == nil { // one second each, so that each says how it went
			cmd := exec.Command("openssl", "s_time", "-connect", address, "-www", "/load", "-new", "-time", "1")
			cmd.Stdout, cmd.Stderr = &l.said, &l.said
			if err := cmd.Run(); err != nil {
				l.done <- err
				return
			}
		}
		l.done <- nil
	}()
	return l
}

// stop ends the load, and fails unless every second of it brought connections.
func (l *load) stop(t *testing.T) {
	t.Helper()
	l.cancel()
	if err := <-l.done; err != nil {
		t.Errorf("load: %v: %s", err, &l.said)
	}
	var counts []string
	for _, m := range regexp.MustCompile(`(?m)^(\d+) connections in \d+ real seconds`).FindAllStringSubmatch(l.said.String(), -1) {
		counts = append(counts, m[1])
		if m[1] == "0" {
			t.Error("a second without connections")
		}
	}
	if len(counts) == 0 {
		t.Errorf("no counts of connections: %s", &l.said)
	}
	t.Logf("connections a second: %s", strings.Join(counts, ", "))
}
