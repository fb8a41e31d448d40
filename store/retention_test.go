package store

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/internal/testkit"
)

// bulky returns n records from a time on that do not compress.
func bulky(n int, at time.Time) []*event.Record {
	out := make([]*event.Record, n)
	rnd := rand.NewChaCha8([32]byte{})
	for i := range out {
		body := make([]byte, 1000)
		rnd.Read(body)
		out[i] = &event.Record{ID: flow.NewID(at, 1, uint64(i)), Time: at.Add(time.Duration(i) * time.Second).UTC(), Kind: event.KindUnknown, Unknown: &event.Unknown{ToServer: body}}
	}
	return out
}

// days returns on which days there are events, the newest first.
func days(t *testing.T, db *DB) (out []string) {
	t.Helper()
	p, err := db.Search(t.Context(), Search{Limit: MaxLimit})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range p.Records {
		if d := r.Time.Format(time.DateOnly); len(out) == 0 || out[len(out)-1] != d {
			out = append(out, d)
		}
	}
	return out
}

func codes(db *DB) (out []string) {
	for _, a := range db.Alarms() {
		out = append(out, a.Code)
	}
	return out
}

func TestRetentionByAge(t *testing.T) {
	db := openDB(t, Retention{MaxAge: 48 * time.Hour, MinFree: 1})
	today := time.Now().UTC().Truncate(24 * time.Hour)
	for d := -3; d < 3; d++ {
		if err := db.Append(t.Context(), bulky(2, today.AddDate(0, 0, d))); err != nil {
			t.Fatal(err)
		}
	}
	for _, tc := range []struct {
		name string
		now  time.Time
		want []int // days that are left
	}{
		{"just imported", today.Add(time.Hour), []int{2, 1, 0, -1, -2, -3}},
		{"on the second day nothing is dropped", today.Add(48 * time.Hour), []int{2, 1, 0, -1, -2, -3}},
		{"on the third all is, whatever time it claims", today.Add(97 * time.Hour), nil},
	} {
		if err := db.Retain(t.Context(), tc.now); err != nil {
			t.Fatal(err)
		}
		var want []string
		for _, d := range tc.want {
			want = append(want, today.AddDate(0, 0, d).Format(time.DateOnly))
		}
		if diff := cmp.Diff(want, days(t, db)); diff != "" {
			t.Errorf("%s: -want +got:\n%s", tc.name, diff)
		}
	}
	if got := codes(db); got != nil {
		t.Errorf("alarms %v, want none: this is what was asked for", got)
	}
}

// With a limit on disk space the oldest pieces go first.
func TestRetentionBySize(t *testing.T) {
	db := openDB(t, Retention{MaxBytes: 1, MinFree: 1})
	if err := db.client.exec(t.Context(), "SYSTEM STOP MERGES events"); err != nil {
		t.Fatal(err)
	}
	now := time.Now().UTC().AddDate(0, 0, -10)
	var kept []*event.Record
	for d := range 3 {
		for hour := range 3 {
			kept = bulky(200, now.AddDate(0, 0, d).Add(time.Duration(hour)*time.Hour))
			if err := db.Append(t.Context(), kept); err != nil {
				t.Fatal(err)
			}
		}
	}
	parts, err := db.parts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	piece := int64(parts[0].bytes)
	for _, tc := range []struct {
		name      string
		maxBytes  int64
		rows      int
		wantAlarm []string
	}{
		{"room enough", 100 * piece, 1800, nil},
		{"one too much", 8*piece + piece/2, 1600, []string{AlarmEarly}},
		{"some more", 2*piece + piece/2, 400, []string{AlarmEarly}},
		{"settled", 2*piece + piece/2, 400, nil},
		{"the newest piece stays", 1, 200, []string{AlarmEarly}},
	} {
		db.cfg.Retention.MaxBytes = tc.maxBytes
		if err := db.Retain(t.Context(), now); err != nil {
			t.Fatalf("%s: %v", tc.name, err)
		}
		if rows, _ := count(t, db); rows != tc.rows {
			t.Errorf("%s: %d rows, want %d", tc.name, rows, tc.rows)
		}
		if diff := cmp.Diff(tc.wantAlarm, codes(db)); diff != "" {
			t.Errorf("%s: alarms: -want +got:\n%s", tc.name, diff)
		}
	}
	if _, err := db.Event(t.Context(), kept[0].ID); err != nil {
		t.Errorf("an event of the newest piece: %v", err)
	}
}

// Events that claim to come from the future are no younger than those that came with them: they must not push out what comes later.
func TestFutureEventsDoNotOutliveTodays(t *testing.T) {
	db := openDB(t, Retention{MaxBytes: 1, MinFree: 1})
	if err := db.client.exec(t.Context(), "SYSTEM STOP MERGES events"); err != nil {
		t.Fatal(err)
	}
	future := bulky(200, time.Now().AddDate(20, 0, 0))
	if err := db.Append(t.Context(), future); err != nil {
		t.Fatal(err)
	}
	time.Sleep(2 * time.Second) // parts tell the time to the second
	live := bulky(200, time.Now().Add(-200*time.Second))
	for i, r := range live {
		r.Time = time.Now().Add(time.Duration(i) * time.Microsecond).UTC()
	}
	if err := db.Append(t.Context(), live); err != nil {
		t.Fatal(err)
	}
	if err := db.Retain(t.Context(), time.Now()); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Event(t.Context(), future[0].ID); err != ErrNotFound {
		t.Errorf("an event from the future: %v, want it dropped", err)
	}
	if _, err := db.Event(t.Context(), live[0].ID); err != nil {
		t.Errorf("an event of today: %v", err)
	}
}

// A capture in which each packet has a day of its own does not cripple the engine.
func TestPartitionsAreBounded(t *testing.T) {
	db := openDB(t, Retention{})
	var recs []*event.Record
	for at := time.Date(1971, 1, 1, 0, 0, 0, 0, time.UTC); at.Year() < 2100; at = at.AddDate(0, 0, 1) {
		recs = append(recs, small(uint64(len(recs)), at))
	}
	if err := db.Append(t.Context(), recs); err != nil {
		t.Fatal(err)
	}
	parts, err := db.parts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(parts) > 530 { // the weeks of ten years
		t.Errorf("%d days are in %d parts", len(recs), len(parts))
	}
	h, err := db.Health(t.Context())
	if err != nil || h.Events != uint64(len(recs)) || h.Oldest.Year() != 1971 {
		t.Errorf("health %+v, %v", h, err)
	}
}

func TestHealth(t *testing.T) {
	db := openDB(t, Retention{})
	at := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	if err := db.Append(t.Context(), bulky(100, at)); err != nil {
		t.Fatal(err)
	}
	h, err := db.Health(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if h.Events != 100 || h.Bytes == 0 || !h.Oldest.Equal(at) || h.Free == 0 || h.Total < h.Free {
		t.Errorf("health %+v", h)
	}
}

// A full disk costs the oldest events, never the newest, and says so.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=48m"); err != nil {
		testkit.SkipIfNotSupported(t, err)
		t.Fatal(err)
	}
	t.Cleanup(func() { // after the store is closed
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	db := openDir(t, dir, Retention{MinFree: 1})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var last []*event.Record
	for d := range 40 { // 2 MB each
		last = bulky(2000, time.Now().UTC().Truncate(24*time.Hour).AddDate(0, 0, d-60))
		if err := db.Append(ctx, last); err != nil {
			t.Fatalf("day %d: %v", d, err)
		}
	}
	kept := days(t, db)
	if want := last[0].Time.Format(time.DateOnly); kept[0] != want || len(kept) < 3 || len(kept) > 30 {
		t.Errorf("days %v are left", kept)
	}
	if diff := cmp.Diff([]string{AlarmEarly}, codes(db)); diff != "" {
		t.Errorf("alarms: -want +got:\n%s", diff)
	}
	if _, err := db.Event(ctx, last[0].ID); err != nil {
		t.Errorf("acknowledged event: %v", err)
	}
}
