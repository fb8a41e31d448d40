package state

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var noon = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

func open(t testing.TB) *DB {
	t.Helper()
	return openAt(t, filepath.Join(t.TempDir(), "with space & ?#%.db"))
}

func openAt(t testing.TB, path string) *DB {
	t.Helper()
	db, err := Open(t.Context(), DefaultConfig(path), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestFileIsPrivateAndDurable(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	db := openAt(t, path)
	must(t, db.SetSetting(t.Context(), "a", "b"))
	for _, suffix := range []string{"", "-wal"} {
		info, err := os.Stat(path + suffix)
		must(t, err)
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", info.Name(), info.Mode())
		}
	}
	for pragma, want := range map[string]string{"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "busy_timeout": "10000"} {
		var got string
		must(t, db.sql.QueryRowContext(t.Context(), "PRAGMA "+pragma).Scan(&got))
		if got != want {
			t.Errorf("%s is %s, want %s", pragma, got, want)
		}
	}
	if got, err := openAt(t, path).Setting(t.Context(), "a"); err != nil || got != "b" {
		t.Errorf("got %q, %v after opening again", got, err)
	}
	if _, err := db.Setting(t.Context(), "b"); !errors.Is(err, ErrNotFound) {
		t.Errorf("got %v", err)
	}
}

func TestFirstAdministrator(t *testing.T) {
	db := open(t)
	password, err := db.EnsureAdmin(t.Context(), "", noon)
	must(t, err)
	if len(password) < 20 {
		t.Errorf("random password is %q", password)
	}
	u, err := db.CheckPassword(t.Context(), " Admin ", password)
	must(t, err)
	if diff := cmp.Diff(User{"admin", Admin, noon}, u); diff != "" {
		t.Error(diff)
	}
	if again, err := db.EnsureAdmin(t.Context(), "other password", noon); err != nil || again != "" {
		t.Errorf("second start: %q, %v", again, err)
	}
	if err := db.DeleteUser(t.Context(), "admin"); !errors.Is(err, ErrLastAdmin) {
		t.Errorf("deleting the last administrator: %v", err)
	}
	if _, err := db.CheckPassword(t.Context(), "admin", password); err != nil {
		t.Errorf("the last administrator is gone: %v", err)
	}
}

func TestUsersAndSessions(t *testing.T) {
	db, ctx := open(t), t.Context()
	must(t, db.CreateUser(ctx, User{"Ann", Admin, noon}, "first password"))
	must(t, db.CreateUser(ctx, User{"bob", Viewer, noon}, "second password"))
	if err := db.CreateUser(ctx, User{"ANN", Viewer, noon}, "x"); !errors.Is(err, ErrExists) {
		t.Errorf("second ann: %v", err)
	}
	for name, password := range map[string]string{"ann": "second password", "bob": "", "carl": "first password"} {
		if _, err := db.CheckPassword(ctx, name, password); !errors.Is(err, ErrNotFound) {
			t.Errorf("%s with %q: %v", name, password, err)
		}
	}
	here, err := db.NewSession(ctx, "ann", noon)
	must(t, err)
	there, err := db.NewSession(ctx, "ann", noon)
	must(t, err)
	if u, err := db.SessionUser(ctx, here, noon); err != nil || u.Name != "ann" {
		t.Errorf("got %v, %v", u, err)
	}
	must(t, db.SetPassword(ctx, "ann", "third password", here))
	if _, err := db.SessionUser(ctx, there, noon); !errors.Is(err, ErrNotFound) {
		t.Errorf("the other session lives on: %v", err)
	}
	if _, err := db.SessionUser(ctx, here, noon); err != nil {
		t.Errorf("this session ended: %v", err)
	}
	must(t, db.EndSession(ctx, here))
	if _, err := db.SessionUser(ctx, here, noon); !errors.Is(err, ErrNotFound) {
		t.Errorf("a session lives after its end: %v", err)
	}
	bobs, err := db.NewSession(ctx, "bob", noon)
	must(t, err)
	must(t, db.DeleteUser(ctx, "bob"))
	if _, err := db.SessionUser(ctx, bobs, noon); !errors.Is(err, ErrNotFound) {
		t.Errorf("a session outlives its account: %v", err)
	}
}

func TestSessionsExpire(t *testing.T) {
	db, ctx := open(t), t.Context()
	must(t, db.CreateUser(ctx, User{"ann", Admin, noon}, "first password"))
	idle, err := db.NewSession(ctx, "ann", noon)
	must(t, err)
	busy, err := db.NewSession(ctx, "ann", noon)
	must(t, err)
	for at := noon; at.Before(noon.Add(db.cfg.SessionMax)); at = at.Add(time.Hour) {
		if _, err := db.SessionUser(ctx, busy, at); err != nil {
			t.Fatalf("busy session after %v: %v", at.Sub(noon), err)
		}
	}
	if _, err := db.SessionUser(ctx, idle, noon.Add(db.cfg.SessionIdle+time.Second)); !errors.Is(err, ErrNotFound) {
		t.Errorf("idle session: %v", err)
	}
	end := noon.Add(db.cfg.SessionMax + time.Second)
	if _, err := db.SessionUser(ctx, busy, end); !errors.Is(err, ErrNotFound) {
		t.Errorf("old session: %v", err)
	}
	must(t, db.Prune(ctx, end))
	var n int
	must(t, db.sql.QueryRowContext(ctx, `SELECT count(*) FROM sessions`).Scan(&n))
	if n != 0 {
		t.Errorf("%d sessions are left", n)
	}
}

func TestSecretsAreNotStored(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	db := openAt(t, path)
	must(t, db.CreateUser(t.Context(), User{"ann", Admin, noon}, "a password to look for"))
	session, err := db.NewSession(t.Context(), "ann", noon)
	must(t, err)
	token, _, err := db.NewToken(t.Context(), Token{Name: "ci", Role: Viewer, Created: noon})
	must(t, err)
	for _, suffix := range []string{"", "-wal"} {
		b, err := os.ReadFile(path + suffix)
		must(t, err)
		for _, secret := range []string{"a password to look for", session, token} {
			if strings.Contains(string(b), secret) {
				t.Errorf("%s holds a secret", suffix)
			}
		}
	}
}

func TestImportsSurviveARestart(t *testing.T) {
	db, ctx := open(t), t.Context()
	imports := []Import{
		{ID: "1", Name: "a.pcap", State: Done, Actor: "ann", BytesTotal: 10, BytesDone: 10, Packets: 5, Started: noon, Finished: noon},
		{ID: "2", Name: "b.pcap", State: Queued, Started: noon.Add(time.Second)},
		{ID: "3", Name: "c.pcap", State: Queued, Started: noon.Add(2 * time.Second)},
	}
	for _, i := range imports {
		must(t, db.SaveImport(ctx, i))
	}
	imports[1].State, imports[1].BytesDone = Running, 7
	must(t, db.SaveImport(ctx, imports[1]))
	if n, err := db.InterruptImports(ctx, "interrupted", noon.Add(time.Hour)); n != 2 || err != nil {
		t.Errorf("%d were interrupted: %v", n, err)
	}
	for i := range imports[1:] {
		imports[i+1].State, imports[i+1].Error, imports[i+1].Finished = Failed, "interrupted", noon.Add(time.Hour)
	}
	got, err := db.Imports(ctx, 10)
	must(t, err)
	if diff := cmp.Diff([]Import{imports[2], imports[1], imports[0]}, got); diff != "" {
		t.Error(diff)
	}
	if one, err := db.Import(ctx, "1"); err != nil || one != imports[0] {
		t.Errorf("got %v, %v", one, err)
	}
	if _, err := db.Import(ctx, "4"); !errors.Is(err, ErrNotFound) {
		t.Errorf("got %v", err)
	}
}

func TestAuditTrail(t *testing.T) {
	db, ctx := open(t), t.Context()
	old := AuditEntry{noon, "ann", "10.0.0.1", "session.start", "", "", OK}
	young := AuditEntry{noon.Add(db.cfg.AuditAge), "ann", "10.0.0.1", "content.view", "1", "seen", Denied}
	must(t, db.Audit(ctx, old))
	must(t, db.Audit(ctx, young))
	got, err := db.AuditEntries(ctx, "", 10)
	must(t, err)
	if diff := cmp.Diff([]AuditEntry{young, old}, got); diff != "" {
		t.Error(diff)
	}
	must(t, db.Prune(ctx, young.Time.Add(time.Second)))
	if got, err = db.AuditEntries(ctx, "", 10); err != nil || len(got) != 1 {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestManyWritersWait(t *testing.T) {
	db := open(t)
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for range 10 {
				if err := db.Audit(t.Context(), AuditEntry{Time: noon, Action: "x", Outcome: OK}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if got, err := db.AuditEntries(t.Context(), "", 1000); err != nil || len(got) != 160 {
		t.Errorf("%d entries, %v", len(got), err)
	}
}

func TestPasswordHash(t *testing.T) {
	phc := hashPassword("päss")
	if !strings.HasPrefix(phc, "$argon2id$v=19$m=65536,t=3,p=4$") {
		t.Errorf("got %s", phc)
	}
	if phc == hashPassword("päss") {
		t.Error("two hashes of one password are equal")
	}
	for password, want := range map[string]bool{"päss": true, "pass": false, "": false} {
		if got, err := verifyPassword(phc, password); got != want || err != nil {
			t.Errorf("%q: %v, %v", password, got, err)
		}
	}
	for _, bad := range []string{"", "x", "$argon2i$v=19$m=65536,t=3,p=4$AAAA$AAAA", "$argon2id$v=19$m=4000000000,t=3,p=4$AAAA$AAAA", "$argon2id$v=19$m=1,t=0,p=0$AAAA$AAAA"} {
		if ok, err := verifyPassword(bad, "x"); ok || err == nil {
			t.Errorf("%s: %v, %v", bad, ok, err)
		}
	}
}
