package store

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/internal/testkit"
)

// reopen closes the store and opens its folder again.
func reopen(t *testing.T, db *DB) (*DB, error) {
	t.Helper()
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	again, err := Open(ctx, db.cfg, testkit.Logger(t))
	if err == nil {
		t.Cleanup(func() { again.Close() })
	}
	return again, err
}

// The folder of an older program lacks columns: they are added, and what was stored stays.
func TestNewFieldsBecomeColumns(t *testing.T) {
	db := openDB(t, Retention{})
	recs := []*event.Record{small(1, time.Now())}
	if err := db.Append(t.Context(), recs); err != nil {
		t.Fatal(err)
	}
	for _, sql := range []string{"ALTER TABLE events DROP INDEX http_url_index", "ALTER TABLE events DROP COLUMN http_url", "ALTER TABLE events DROP COLUMN dns_flags",
		"ALTER TABLE events ADD COLUMN of_another_program String"} {
		if err := db.client.exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	db, err := reopen(t, db)
	if err != nil {
		t.Fatal(err)
	}
	r := small(2, time.Now())
	r.DNS.Flags, r.HTTP = []string{"aa"}, &event.HTTP{URL: "/"}
	if err := db.Append(t.Context(), []*event.Record{r}); err != nil {
		t.Fatal(err)
	}
	for _, id := range []event.ID{recs[0].ID, r.ID} {
		if _, err := db.Event(t.Context(), id); err != nil {
			t.Errorf("%s: %v", id, err)
		}
	}
	if got, err := db.Event(t.Context(), r.ID); err != nil || got.HTTP.URL != "/" || len(got.DNS.Flags) != 1 {
		t.Errorf("new columns: %+v, %v", got, err)
	}
}

func TestSchemaOfOtherProgramsIsRefused(t *testing.T) {
	for _, tc := range []struct {
		name, sql, want string
	}{
		{"newer", "INSERT INTO schema (version) VALUES (1000)", "newer program"},
		{"other type", "ALTER TABLE events MODIFY COLUMN http_status UInt32", "column http_status has type UInt32, this program needs UInt16"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			db := openDB(t, Retention{})
			if err := db.client.exec(t.Context(), tc.sql); err != nil {
				t.Fatal(err)
			}
			_, err := reopen(t, db)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("open: %v, want %q", err, tc.want)
			}
			if newer := errors.Is(err, ErrNewerSchema); newer != (tc.name == "newer") {
				t.Errorf("is ErrNewerSchema: %v", newer)
			}
		})
	}
}

// Every type that a field has must be known to the schema and to the codec alike.
func TestColumnsAgreeWithCells(t *testing.T) {
	for i := range event.Fields {
		f := &event.Fields[i]
		typ, _ := columnType(f)
		if got := string(newCells(f).col().Type()); strings.ReplaceAll(got, " ", "") != strings.ReplaceAll(typ, " ", "") {
			t.Errorf("%s is sent as %s and kept as %s", f.Name, got, typ)
		}
	}
}
