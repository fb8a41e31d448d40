package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ClickHouse/ch-go/proto"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/store/query"
)

var allFields = fieldsBut(func(*event.Field) bool { return false })

// Append stores the records, in one insert. It returns nil only when all of them are on disk. While the database does not
// answer it tries again, until ctx ends. A record must not be given to it twice: AppendMissing is for those that may have
// been stored before.
func (db *DB) Append(ctx context.Context, recs []*event.Record) error {
	return db.append(ctx, recs, false)
}

// AppendMissing stores those of the records whose ids are not stored yet. It is otherwise like Append. The caller sees to
// it that no other call has the same records at the same time.
func (db *DB) AppendMissing(ctx context.Context, recs []*event.Record) error {
	return db.append(ctx, recs, true)
}

// Pauses between tries.
const (
	firstPause = 50 * time.Millisecond
	lastPause  = 5 * time.Second
)

func (db *DB) append(ctx context.Context, recs []*event.Record, again bool) error {
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		err := db.appendOnce(ctx, recs, again)
		if err == nil {
			db.alarms.clear(AlarmDown)
			db.alarms.clear(AlarmFull)
			db.noteInsert(recs, nil, time.Now())
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		db.noteInsert(recs, err, time.Now())
		switch {
		case isFull(err):
			if roomErr := db.makeRoom(ctx); roomErr != nil {
				db.alarms.raise(AlarmFull, "no space is left for events, and there is nothing left to drop: make space on the disk of the event store")
				return fmt.Errorf("append events: %w", errors.Join(err, roomErr))
			}
		case errors.Is(err, errUnreachable):
			db.alarms.raise(AlarmDown, "the event store does not answer; events wait on the bus: "+err.Error())
		case !isPassing(err):
			return fmt.Errorf("append events: %w", err)
		}
		again = true // what has failed may have been stored all the same
		db.counts.retried.Inc()
		db.log.Warn("events not stored, trying again", "events", len(recs), "error", err, "pause", pause)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}

// When inserts that fail become an alarm.
const (
	stuckAfter  = 30 * time.Second
	forgetAfter = 5 * time.Minute // a batch that is tried no more has gone, or found another way
)

// failing is a batch that the database has not taken: from when to when it was tried.
type failing struct{ first, last time.Time }

// noteInsert keeps the outcome of an insert, and raises an alarm when one and the same batch has failed for long. The batch is known
// by its first event, since those beside it may well be stored.
func (db *DB) noteInsert(recs []*event.Record, err error, now time.Time) {
	if len(recs) == 0 {
		return
	}
	db.inserts.Lock()
	defer db.inserts.Unlock()
	id := recs[0].ID
	if err == nil {
		delete(db.failing, id)
	} else if f, ok := db.failing[id]; ok {
		db.failing[id] = failing{f.first, now}
	} else {
		db.failing[id] = failing{now, now}
	}
	stuck := false
	for id, f := range db.failing {
		if now.Sub(f.last) > forgetAfter {
			delete(db.failing, id)
		} else if f.last.Sub(f.first) >= stuckAfter {
			stuck = true
		}
	}
	switch {
	case !stuck:
		db.alarms.clear(AlarmInserts)
	case err != nil:
		db.alarms.raise(AlarmInserts, "events have not been stored for more than "+stuckAfter.String()+" and wait on the bus: "+err.Error())
	}
}

func (db *DB) appendOnce(ctx context.Context, recs []*event.Record, again bool) error {
	if again {
		missing, err := db.missing(ctx, recs)
		if err != nil {
			return err
		}
		db.counts.known.Add(float64(len(recs) - len(missing)))
		recs = missing
	}
	if len(recs) == 0 {
		return nil
	}
	b := db.batches.Get().(*batch)
	defer db.batches.Put(b)
	b.reset()
	for _, r := range recs {
		b.add(r)
	}
	if err := db.client.insert(ctx, "events", b.rows, b.input()); err != nil {
		return err
	}
	db.counts.appended.Add(float64(len(recs)))
	return nil
}

// isFull says whether the disk is full.
func isFull(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && (e.Code == codeNotEnoughSpace || strings.Contains(e.Message, "No space left on device"))
}

// isPassing says whether the same statement may succeed later.
func isPassing(err error) bool {
	if e, ok := errors.AsType[*Error](err); ok {
		switch e.Code {
		case codeMemoryLimit, codeTooManyParts, codeTooManyQueries, codeOverloaded:
			return true
		}
	}
	return false
}

// idsAtOnce bounds the length of the question which ids are there: parameters travel in the URL, of which servers take 1 MiB.
const idsAtOnce = 1000

// missing returns the records that are not stored.
func (db *DB) missing(ctx context.Context, recs []*event.Record) ([]*event.Record, error) {
	known := map[event.ID]bool{}
	for rest := recs; len(rest) > 0; rest = rest[min(idsAtOnce, len(rest)):] {
		if err := db.findIDs(ctx, rest[:min(idsAtOnce, len(rest))], known); err != nil {
			return nil, fmt.Errorf("look for stored events: %w", err)
		}
	}
	var out []*event.Record
	for _, r := range recs {
		if !known[r.ID] {
			known[r.ID] = true
			out = append(out, r)
		}
	}
	return out, nil
}

// findIDs adds to known the ids of records that are stored. The times are there for the primary key.
func (db *DB) findIDs(ctx context.Context, recs []*event.Record, known map[event.ID]bool) error {
	ids, times := make([]string, len(recs)), make([]string, len(recs))
	for i, r := range recs {
		ids[i], times[i] = "'"+r.ID.String()+"'", "'"+timeText(r.Time)+"'"
	}
	var id proto.ColUUID
	return db.client.query(ctx, "SELECT id FROM events WHERE time IN {times:Array(DateTime64(9, 'UTC'))} AND id IN {ids:Array(UUID)}",
		[]query.Param{{Name: "times", Value: "[" + strings.Join(times, ",") + "]"}, {Name: "ids", Value: "[" + strings.Join(ids, ",") + "]"}},
		proto.Results{{Name: "id", Data: &id}}, func(rows int) error {
			for i := range rows {
				known[event.ID(id.Row(i))] = true
			}
			return nil
		})
}

// timeText is a time in the form of a parameter, as it is stored.
func timeText(t time.Time) string {
	t = storedTime(valueOf(t))
	if t.IsZero() {
		t = time.Unix(0, 0)
	}
	return t.UTC().Format("2006-01-02 15:04:05.000000000")
}
