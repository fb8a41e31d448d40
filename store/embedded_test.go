package store

import (
	"context"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vitrine-ndr/vitrine/internal/testkit"
)

func TestOpenSaysWhyTheEngineDoesNotStart(t *testing.T) {
	db := openDB(t, Retention{})
	for _, tc := range []struct {
		name string
		cfg  Embedded
		want string
	}{
		{"no program", Embedded{Dir: t.TempDir(), Program: "/nowhere/vitrine-store"}, "start vitrine-store"},
		{"no library", Embedded{Dir: t.TempDir(), Program: real.program, Library: "/nowhere/libchdb.so"}, "/nowhere/libchdb.so"},
		{"folder in use", db.cfg.Embedded, "another vitrine-store runs in this data folder"},
	} {
		if _, err := Open(t.Context(), Config{Embedded: tc.cfg}, testkit.Logger(t)); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", tc.name, err, tc.want)
		}
	}
}

func TestURLOfServer(t *testing.T) {
	for _, url := range []string{"", "clickhouse:9000", "tcp://host:9000", "http://"} {
		if _, err := newClient(url); err == nil {
			t.Errorf("%q was taken", url)
		}
	}
	c, err := newClient("https://reader:p%20w@example.com:8443/logs")
	if err != nil || c.base != "https://example.com:8443/" || c.database != "logs" || c.user.Username() != "reader" {
		t.Errorf("client %+v, %v", c, err)
	}
}

// A search that comes while the engine is being started again waits for it.
func TestSearchWaitsForRestart(t *testing.T) {
	db := openDB(t, Retention{})
	old := db.engine.pid.Load()
	if err := syscall.Kill(int(old), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for db.engine.pid.Load() == old {
		time.Sleep(time.Millisecond)
	}
	if _, err := db.Search(ctx, Search{}); err != nil {
		t.Errorf("search after a kill: %v", err)
	}
}
