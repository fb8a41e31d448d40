package store

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/flow"
)

// small returns a record with little in it.
func small(n uint64, at time.Time) *event.Record {
	return &event.Record{ID: flow.NewID(at, 7, n), Time: at.UTC(), Kind: event.KindDNS, DNS: &event.DNS{Tx: n, Name: "example.com", Type: "A"}}
}

// count returns how many rows there are, and how many different ids.
func count(t *testing.T, db *DB) (rows, ids int) {
	t.Helper()
	seen := map[event.ID]bool{}
	for cursor := ""; ; {
		p, err := db.Search(t.Context(), Search{Limit: MaxLimit, Cursor: cursor})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range p.Records {
			rows++
			seen[r.ID] = true
		}
		if cursor = p.NextCursor; cursor == "" {
			return rows, len(seen)
		}
	}
}

func TestAppendMissingStoresOnce(t *testing.T) {
	db := openDB(t, Retention{})
	at := time.Now()
	var recs []*event.Record
	for i := range uint64(2500) { // more than one question's worth of ids
		recs = append(recs, small(i, at.Add(time.Duration(i)*time.Nanosecond)))
	}
	for _, step := range []struct {
		name string
		recs []*event.Record
		want int
	}{
		{"first time", recs[:1500], 1500},
		{"again", recs[:1500], 1500},
		{"half of it new", recs[1000:], 2500},
		{"twice in one batch", append(recs[:1:1], small(3000, at), small(3000, at)), 2501},
	} {
		if err := db.AppendMissing(t.Context(), step.recs); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		if rows, ids := count(t, db); rows != step.want || ids != step.want {
			t.Errorf("%s: %d rows with %d ids, want %d", step.name, rows, ids, step.want)
		}
	}
}

func TestMergeRemovesDuplicates(t *testing.T) {
	db := openDB(t, Retention{})
	r := small(1, time.Now())
	for range 2 {
		if err := db.Append(t.Context(), []*event.Record{r}); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.client.exec(t.Context(), "OPTIMIZE TABLE events FINAL"); err != nil {
		t.Fatal(err)
	}
	if rows, _ := count(t, db); rows != 1 {
		t.Errorf("%d rows, want 1", rows)
	}
}

// Several writers append while the engine is killed again and again. What Append has acknowledged must be there, and
// nothing twice.
func TestKilledEngineLosesNothing(t *testing.T) {
	db := openDB(t, Retention{})
	const writers, batches, size = 4, 30, 40
	var acked sync.Map
	var finished atomic.Int32
	var wg sync.WaitGroup
	for w := range uint64(writers) {
		wg.Go(func() {
			defer finished.Add(1)
			for b := range uint64(batches) {
				var recs []*event.Record
				for i := range uint64(size) {
					recs = append(recs, small(w<<32|b<<16|i, time.Now()))
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				err := db.Append(ctx, recs)
				cancel()
				if err != nil {
					t.Errorf("append: %v", err)
					return
				}
				for _, r := range recs {
					acked.Store(r.ID, true)
				}
			}
		})
	}
	kills := 0
	for rnd := rand.New(rand.NewPCG(1, 1)); finished.Load() < writers && kills < 5; kills++ {
		for db.client.ping(t.Context()) != nil {
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(time.Duration(100+rnd.IntN(300)) * time.Millisecond)
		if err := syscall.Kill(int(db.engine.pid.Load()), syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond)
	}
	wg.Wait()
	rows, ids := count(t, db)
	if want := writers * batches * size; rows != want || ids != want {
		t.Errorf("%d rows with %d ids after %d kills, want %d", rows, ids, kills, want)
	}
	acked.Range(func(id, _ any) bool {
		if _, err := db.Event(t.Context(), id.(event.ID)); err != nil {
			t.Errorf("acknowledged event %s: %v", id, err)
			return false
		}
		return ids != writers*batches*size // that all are there has been seen
	})
	t.Logf("%d kills", kills)
}

func TestAppendEndsWithItsContext(t *testing.T) {
	db := openDB(t, Retention{})
	if err := syscall.Kill(int(db.engine.pid.Load()), syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = syscall.Kill(int(db.engine.pid.Load()), syscall.SIGCONT) }()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := db.Append(ctx, []*event.Record{small(1, time.Now())}); err != context.DeadlineExceeded {
		t.Errorf("append to a stopped engine: %v", err)
	}
}

func TestAppendRefusesForGood(t *testing.T) {
	db := openDB(t, Retention{})
	if err := db.client.exec(t.Context(), "DROP TABLE events"); err != nil {
		t.Fatal(err)
	}
	err := db.Append(t.Context(), []*event.Record{small(1, time.Now())})
	if e, ok := err.(interface{ Unwrap() error }); !ok || !cmp.Equal(e.Unwrap().(*Error).Code, 60) {
		t.Errorf("append without a table: %v, want UNKNOWN_TABLE", err)
	}
}

// A batch that the database refuses again and again is reported, also while others are stored.
func TestInsertsThatFailForLongAreReported(t *testing.T) {
	db := openDB(t, Retention{})
	if err := db.client.exec(t.Context(), "RENAME TABLE events TO elsewhere"); err != nil {
		t.Fatal(err)
	}
	bad, good := []*event.Record{small(1, time.Now())}, []*event.Record{small(2, time.Now())}
	refused := func(want []string) {
		t.Helper()
		if err := db.Append(t.Context(), bad); err == nil {
			t.Fatal("an insert without a table did not fail")
		}
		if diff := cmp.Diff(want, codes(db)); diff != "" {
			t.Errorf("alarms: -want +got:\n%s", diff)
		}
	}
	stored := func(recs []*event.Record, want []string) {
		t.Helper()
		if err := db.Append(t.Context(), recs); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, codes(db)); diff != "" {
			t.Errorf("alarms: -want +got:\n%s", diff)
		}
	}
	refused(nil)
	db.failing[bad[0].ID] = failing{first: time.Now().Add(-stuckAfter), last: time.Now()}
	refused([]string{AlarmInserts})
	if err := db.client.exec(t.Context(), "RENAME TABLE elsewhere TO events"); err != nil {
		t.Fatal(err)
	}
	stored(good, []string{AlarmInserts})
	stored(bad, nil)
}

func TestFailuresOfLongAgoAreForgotten(t *testing.T) {
	db := &DB{failing: map[event.ID]failing{}}
	recs, now := []*event.Record{small(1, time.Now())}, time.Now()
	for _, after := range []time.Duration{0, stuckAfter} {
		db.noteInsert(recs, errUnreachable, now.Add(after))
	}
	if diff := cmp.Diff([]string{AlarmInserts}, codes(db)); diff != "" {
		t.Errorf("alarms: -want +got:\n%s", diff)
	}
	db.noteInsert([]*event.Record{small(2, now)}, nil, now.Add(stuckAfter+forgetAfter+time.Second))
	if len(db.failing) > 0 || codes(db) != nil {
		t.Errorf("alarms %v, %d batches are remembered", codes(db), len(db.failing))
	}
}
