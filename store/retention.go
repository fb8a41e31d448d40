package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ClickHouse/ch-go/proto"

	"github.com/vitrine-ndr/vitrine/store/query"
)

// partInfo is one part of the table: a sorted piece of one partition, which is a week.
type partInfo struct {
	name           string
	oldest, newest time.Time // of its events, to the second
	written        time.Time // when the part was made, by an insert or a merge
	rows, bytes    uint64
}

// age is what parts are ordered by: the time of the newest event. Events that claim to come from the future are as old as their
// part, so that they do not outlive those of today.
func (p partInfo) age() time.Time {
	if p.newest.After(p.written) {
		return p.written
	}
	return p.newest
}

// parts returns the parts of the table, the oldest first.
func (db *DB) parts(ctx context.Context) ([]partInfo, error) {
	var (
		name                    proto.ColStr
		oldest, newest, written proto.ColDateTime
		rows, bytes             proto.ColUInt64
		out                     []partInfo
	)
	err := db.client.query(ctx, `SELECT name, min_time, max_time, modification_time, rows, bytes_on_disk FROM system.parts
		WHERE database = currentDatabase() AND table = 'events' AND active`, nil,
		proto.Results{{Name: "name", Data: &name}, {Name: "min_time", Data: &oldest},
			{Name: "max_time", Data: &newest}, {Name: "modification_time", Data: &written}, {Name: "rows", Data: &rows}, {Name: "bytes_on_disk", Data: &bytes}},
		func(n int) error {
			for i := range n {
				out = append(out, partInfo{name.Row(i), oldest.Row(i).UTC(), newest.Row(i).UTC(), written.Row(i).UTC(), rows.Row(i), bytes.Row(i)})
			}
			return nil
		})
	if err != nil {
		return nil, fmt.Errorf("read parts: %w", err)
	}
	slices.SortFunc(out, func(a, b partInfo) int {
		return cmp.Or(a.age().Compare(b.age()), a.newest.Compare(b.newest), strings.Compare(a.name, b.name))
	})
	return out, nil
}

// retainEvery is how often the limits are looked at; a full disk is seen to at once.
const retainEvery = time.Minute

// Run drops old events, until ctx ends.
func (db *DB) Run(ctx context.Context) error {
	for {
		if err := db.Retain(ctx, time.Now()); err != nil && ctx.Err() == nil {
			db.log.Warn("retention failed", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(retainEvery):
		}
	}
}

// Retain drops events that are beyond a limit of the Retention: those that are too old, then the oldest by disk space.
func (db *DB) Retain(ctx context.Context, now time.Time) error {
	db.room.Lock()
	defer db.room.Unlock()
	parts, err := db.parts(ctx)
	if err != nil {
		return err
	}
	if parts, err = db.dropOld(ctx, parts, now); err != nil {
		return err
	}
	want, err := db.excess(ctx, parts)
	if err != nil {
		return err
	}
	if want <= 0 {
		db.alarms.clear(AlarmEarly)
		return nil
	}
	_, err = db.dropOldest(ctx, parts, want)
	return err
}

// dropOld drops the parts that were written too long ago, and returns those that are left. The time of their events does not count:
// an old capture that is imported today is there for its time too, and one from the future not for ever.
func (db *DB) dropOld(ctx context.Context, parts []partInfo, now time.Time) ([]partInfo, error) {
	if db.cfg.Retention.MaxAge <= 0 {
		return parts, nil
	}
	limit := now.Add(-db.cfg.Retention.MaxAge).UTC().Truncate(24 * time.Hour)
	var left []partInfo
	for _, p := range parts {
		if !p.written.Before(limit) {
			left = append(left, p)
		} else if err := db.drop(ctx, p); err != nil {
			return nil, err
		}
	}
	return left, nil
}

// Defaults of Retention.MinFree.
const (
	minFreeShare = 20
	minFreeMost  = 10 << 30
)

// excess returns how many bytes must be freed to be within the limits.
func (db *DB) excess(ctx context.Context, parts []partInfo) (int64, error) {
	free, total, err := db.disk(ctx)
	if err != nil {
		return 0, err
	}
	minFree := db.cfg.Retention.MinFree
	if minFree == 0 {
		minFree = min(int64(total/minFreeShare), minFreeMost)
	}
	want := minFree - int64(free)
	if limit := db.cfg.Retention.MaxBytes; limit > 0 {
		var used int64
		for _, p := range parts {
			used += int64(p.bytes)
		}
		want = max(want, used-limit)
	}
	return want, nil
}

// errNothingToDrop says that the events take no space that could be freed.
var errNothingToDrop = errors.New("there are no events to drop")

// makeRoom drops the oldest events after an insert has met a full disk.
func (db *DB) makeRoom(ctx context.Context) error {
	db.room.Lock()
	defer db.room.Unlock()
	parts, err := db.parts(ctx)
	if err != nil {
		return err
	}
	want, err := db.excess(ctx, parts)
	if err != nil {
		return err
	}
	freed, err := db.dropOldest(ctx, parts, max(want, 1))
	if err == nil && freed == 0 {
		return errNothingToDrop
	}
	return err
}

// dropOldest frees as many bytes, part by part. Nothing of it needs space. The newest part always stays.
func (db *DB) dropOldest(ctx context.Context, parts []partInfo, want int64) (freed int64, err error) {
	var until time.Time
	for ; freed < want && len(parts) > 1; parts = parts[1:] {
		if err := db.drop(ctx, parts[0]); err != nil {
			return freed, err
		}
		freed += int64(parts[0].bytes)
		until = parts[0].age()
	}
	if freed > 0 {
		db.alarms.raise(AlarmEarly, fmt.Sprintf("disk space is short: events up to %s were dropped before their time; make space, or lower the retention", until.Format(time.DateTime)))
	}
	return freed, nil
}

// drop drops a part. It may have been merged into another one since it was listed: then that is found the next time.
func (db *DB) drop(ctx context.Context, p partInfo) error {
	err := db.client.exec(ctx, "ALTER TABLE events DROP PART {name:String}", query.Param{Name: "name", Value: p.name})
	if e, ok := errors.AsType[*Error](err); ok && e.Code == codeNoSuchPart {
		return nil
	}
	if err != nil {
		return fmt.Errorf("drop old events: %w", err)
	}
	db.counts.dropped.Add(float64(p.rows))
	db.log.Info("old events dropped", "events", p.rows, "until", p.newest)
	return nil
}
