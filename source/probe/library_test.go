package probe

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"testing/iotest"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/source/probe/hooks"
	"github.com/vitrine-ndr/vitrine/source/probe/process"
)

// TestFileComesBack has a file that can't be opened at first: it must not be taken for one without TLS.
func TestFileComesBack(t *testing.T) {
	root := t.TempDir()
	path := filepath.Join(root, "lib", "libssl.so.3")
	if err := errors.Join(os.Mkdir(filepath.Dir(path), 0o755), os.WriteFile(path, []byte("no library"), 0o644)); err != nil {
		t.Fatal(err)
	}
	files := process.Libraries(root)
	if len(files) != 1 {
		t.Fatalf("there are %d libraries, want 1", len(files))
	}
	s := &scanner{log: slog.New(slog.DiscardHandler), files: map[process.FileID]*library{}, byPID: map[int][]*library{}}
	for _, step := range []struct {
		from, to string
		known    int
	}{{path, path + ".away", 0}, {path + ".away", path, 1}} {
		if err := os.Rename(step.from, step.to); err != nil {
			t.Fatal(err)
		}
		if s.meet(files, func(*library) {}); len(s.files) != step.known {
			t.Errorf("with the file at %s, %d files are known, want %d", filepath.Base(step.to), len(s.files), step.known)
		}
	}
}

// TestUnreadable reads a file whose disk fails: what Find says then is worth nothing.
func TestUnreadable(t *testing.T) {
	r := reader{file: failing{}}
	if _, err := hooks.Find(&r, 1<<20, hooks.Options{}); err == nil || !errors.Is(r.failed, iotest.ErrTimeout) {
		t.Errorf("Find says %v, and the reader %v", err, r.failed)
	}
	if _, err := (&reader{file: io.NewSectionReader(failing{}, 0, 0)}).ReadAt(make([]byte, 1), 0); err != io.EOF {
		t.Errorf("at the end: %v", err)
	}
}

// TestExplain wants each cause that a file's hooks may lack told by a code that events have.
func TestExplain(t *testing.T) {
	for cause, want := range map[hooks.Cause]event.CoverageCause{
		hooks.Java: event.CauseJava, hooks.OtherLibrary: event.CauseOtherLibrary, hooks.UnknownCode: event.CauseUnknownCode, hooks.Stripped: event.CauseStripped,
	} {
		if string(cause) != string(want) {
			t.Errorf("hooks say %q, events %q", cause, want)
		}
	}
	if got := explain(fmt.Errorf("%w: too new", hooks.ErrUnsupported)); got.reason != event.UnsupportedVersion || got.cause != "" || got.detail == "" {
		t.Errorf("explained as %+v", got)
	}
}

type failing struct{}

func (failing) ReadAt([]byte, int64) (int, error) { return 0, iotest.ErrTimeout }
