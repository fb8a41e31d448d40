package keylog

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// follow starts Follow and returns its store, and its log once the test has ended it.
func follow(t *testing.T, path string) (*Store, *lockedBuffer) {
	t.Helper()
	store, log := NewStore(1000), &lockedBuffer{}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- Follow(ctx, path, store, slog.New(slog.NewTextHandler(log, nil))) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if strings.Contains(log.String(), "0101010101") {
			t.Error("the log holds key material")
		}
	})
	return store, log
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// wait waits until the sessions have secrets.
func wait(t *testing.T, store *Store, sessions ...byte) time.Duration {
	t.Helper()
	start := time.Now()
	for _, n := range sessions {
		for len(store.Secrets(random(n))) == 0 {
			if time.Since(start) > 5*time.Second {
				t.Fatalf("session %d never came", n)
			}
			time.Sleep(time.Millisecond)
		}
	}
	return time.Since(start)
}

func write(t *testing.T, path, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
}

func TestFollowAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.log")
	store, _ := follow(t, path)
	time.Sleep(3 * interval) // it does not exist yet
	write(t, path, secretLine("CLIENT_RANDOM", 1, 1))
	wait(t, store, 1)

	line := secretLine("CLIENT_RANDOM", 2, 1)
	write(t, path, line[:50])
	time.Sleep(4 * interval)
	write(t, path, line[50:])
	wait(t, store, 2)
	if got := store.Secrets(random(2)); len(got) != 1 || len(got[0].Value) != 32 {
		t.Errorf("got %d secrets of a line in two parts", len(got))
	}
	write(t, path, strings.TrimSpace(secretLine("CLIENT_RANDOM", 3, 1))) // no end of line
	wait(t, store, 3)
}

func TestFollowLatency(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.log")
	store, _ := follow(t, path)
	var all []time.Duration
	for i := range byte(21) {
		write(t, path, secretLine("CLIENT_RANDOM", i, 1))
		all = append(all, wait(t, store, i))
		time.Sleep(time.Duration(i) * time.Millisecond)
	}
	slices.Sort(all)
	t.Logf("median %v, longest %v", all[len(all)/2], all[len(all)-1])
	if median := all[len(all)/2]; median > 100*time.Millisecond {
		t.Errorf("the median is %v", median)
	}
}

func TestFollowReplacedFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.log")
	store, _ := follow(t, path)
	write(t, path, secretLine("CLIENT_RANDOM", 1, 1)+secretLine("CLIENT_RANDOM", 2, 1))
	wait(t, store, 2)

	// Rotated away, with a last line that comes just before.
	write(t, path, secretLine("CLIENT_RANDOM", 3, 1))
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	write(t, path, secretLine("CLIENT_RANDOM", 4, 1))
	wait(t, store, 3, 4)

	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	time.Sleep(3 * interval)
	write(t, path, secretLine("CLIENT_RANDOM", 5, 1))
	wait(t, store, 5)

	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	time.Sleep(3 * interval)
	write(t, path, secretLine("CLIENT_RANDOM", 6, 1))
	wait(t, store, 6)
}

func TestFollowAFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keys")
	store, log := follow(t, dir)
	time.Sleep(2 * interval)
	if err := os.MkdirAll(filepath.Join(dir, "folder.is.not.read"), 0o700); err != nil {
		t.Fatal(err)
	}
	for i := range byte(20) {
		write(t, filepath.Join(dir, string('a'+rune(i))), secretLine("CLIENT_RANDOM", i, 1))
	}
	for i := range byte(20) {
		wait(t, store, i)
	}
	write(t, filepath.Join(dir, "a"), secretLine("CLIENT_RANDOM", 100, 1))
	wait(t, store, 100)
	if log.String() != "" {
		t.Errorf("logged: %s", log.String())
	}
}

func TestFollowWhatCannotBeRead(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "keys.log")
	if err := os.Symlink("/dev/null", path); err != nil {
		t.Fatal(err)
	}
	store, log := follow(t, path)
	time.Sleep(4 * interval)
	if got := strings.Count(log.String(), "not a regular file"); got != 1 {
		t.Errorf("logged %d times: %s", got, log.String())
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	write(t, path, secretLine("CLIENT_RANDOM", 1, 1))
	wait(t, store, 1)
}

func TestLoad(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.log")
	store := NewStore(200)
	if err := Load(path, store); err == nil {
		t.Error("a file that is not there: no error")
	}
	var text strings.Builder
	for i := range byte(200) {
		text.WriteString(strings.Repeat("#", int(i)*37) + "\n") // comments that make lines cross the ends of reads
		text.WriteString(secretLine("CLIENT_RANDOM", i, 1))
	}
	write(t, path, strings.TrimSpace(text.String()))
	if err := Load(path, store); err != nil {
		t.Fatal(err)
	}
	if store.Sessions() != 200 {
		t.Errorf("got %d sessions", store.Sessions())
	}
}
