package keylogenv

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/vitrine-ndr/vitrine/decrypt/keylog"
	"github.com/vitrine-ndr/vitrine/internal/testkit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestKeep empties a key file under a program that has it open and a sensor that reads it: both go on.
func TestKeep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "programs.log")
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 2)
		keys := keylog.NewStore(1000)
		go func() { done <- Keep(ctx, file, testkit.Logger(t)) }()
		go func() { done <- keylog.Follow(ctx, file, keys, testkit.Logger(t)) }()
		time.Sleep(10 * time.Second) // there is no file yet

		program, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		defer program.Close()
		written := 0
		write := func(filler int) {
			written++
			line := fmt.Sprintf("CLIENT_RANDOM %064x %096x\n", written, written)
			if _, err := program.WriteString(line + strings.Repeat("#"+strings.Repeat("-", 1022)+"\n", filler)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(5 * time.Second / 2)
		}
		size := func() int64 {
			info, err := os.Stat(file)
			if err != nil {
				t.Fatal(err)
			}
			return info.Size()
		}
		write(0)
		if size() == 0 {
			t.Error("emptied before it was full")
		}
		for range 3 {
			if write(keepSize >> 10); size() > 0 {
				t.Errorf("not emptied at %d bytes", size())
			}
			if write(0); size() != 176 {
				t.Errorf("a line is %d bytes after it was emptied", size())
			}
		}
		cancel()
		if err := errors.Join(<-done, <-done); err != nil {
			t.Error(err)
		}
		if keys.Sessions() != written {
			t.Errorf("read %d sessions of %d", keys.Sessions(), written)
		}
	})
}

func TestHolders(t *testing.T) {
	proc := t.TempDir()
	for path, environment := range map[string]string{
		"10": "PATH=/bin\x00SSLKEYLOGFILE=/run/k/k.log\x00", "11": "SSLKEYLOGFILE=/run/k/k.log\x00HOME=/\x00",
		"12": "SSLKEYLOGFILE=/run/k/k.log2\x00", "13": "XSSLKEYLOGFILE=/run/k/k.log\x00", "14": "", "self": "SSLKEYLOGFILE=/run/k/k.log\x00",
		fmt.Sprint(os.Getpid()): "SSLKEYLOGFILE=/run/k/k.log\x00",
	} {
		if err := errors.Join(os.Mkdir(filepath.Join(proc, path), 0o755), os.WriteFile(filepath.Join(proc, path, "environ"), []byte(environment), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(proc, "15"), 0o755); err != nil { // ended meanwhile
		t.Fatal(err)
	}
	if got := fmt.Sprint(holders(proc, "/run/k/k.log")); got != "[10 11]" {
		t.Errorf("got %s", got)
	}
}
