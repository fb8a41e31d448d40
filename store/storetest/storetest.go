// Package storetest gives tests of other packages an event store on the real engine. Nothing goes in; an open, empty store.DB
// comes out. It knows nothing of what is stored.
package storetest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vitrine-ndr/vitrine/internal/testkit"
	"github.com/vitrine-ndr/vitrine/store"
)

// Engine builds vitrine-store and fetches its library, once for all tests of a package. Use it from TestMain:
//
//	func TestMain(m *testing.M) { os.Exit(engine.Main(m)) }
type Engine struct {
	once             sync.Once
	dir              string
	program, library string
	err              error
}

// Main runs the tests and removes what Open has built.
func (e *Engine) Main(m *testing.M) int {
	defer func() { _ = os.RemoveAll(e.dir) }()
	return m.Run()
}

// Open returns an empty store, which is closed at the end of the test. It skips the test where the engine can't be had.
func (e *Engine) Open(t testing.TB) *store.DB {
	t.Helper()
	e.once.Do(func() { e.err = e.build() })
	if e.err != nil {
		testkit.Skip(t, "no engine: %v", e.err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	db, err := store.Open(ctx, store.Config{Embedded: store.Embedded{Dir: t.TempDir(), Program: e.program, Library: e.library}}, testkit.Logger(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("close store: %v", err)
		}
	})
	return db
}

func (e *Engine) build() error {
	mod, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		return fmt.Errorf("find module: %w", err)
	}
	root := filepath.Dir(strings.TrimSpace(string(mod)))
	if e.dir, err = os.MkdirTemp("", "vitrine-storetest-*"); err != nil {
		return err
	}
	e.program = filepath.Join(e.dir, "vitrine-store")
	build := exec.Command("go", "build", "-o", e.program, "./cmd/vitrine-store")
	build.Dir, build.Env = root, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build vitrine-store: %w: %s", err, out)
	}
	fetch := exec.Command("go", "run", "./internal/chdb/fetch", "-cache", filepath.Join(root, ".cache"), "-print")
	fetch.Dir = root
	out, err := fetch.Output()
	if err != nil {
		return fmt.Errorf("fetch libchdb: %w", err)
	}
	e.library = strings.TrimSpace(string(out))
	return nil
}
