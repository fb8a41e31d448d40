package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ClickHouse/ch-go/proto"

	"github.com/vitrine-ndr/vitrine/store/query"
)

// partInfo is one part of the table: a sorted piece of one partition, which is a day.
type partInfo struct {
	name, partition string
	oldest, newest  time.Time // of its events, to the second
	written         time.Time // when the part was made, by an insert or a merge
	rows, bytes     uint64
}

// parts returns the parts of the table, the oldest first.
func (db *DB) parts(ctx context.Context) ([]partInfo, error) {
	var (
		name, partition         proto.ColStr
		oldest, newest, written proto.ColDateTime
		rows, bytes             proto.ColUInt64
		out                     []partInfo
	)
	err := db.client.query(ctx, `SELECT name, partition_id, min_time, max_time, modification_time, rows, bytes_on_disk FROM system.parts
		WHERE database = currentDatabase() AND table = 'events' AND active ORDER BY partition_id, max_time, name`, nil,
		proto.Results{{Name: "name", Data: &name}, {Name: "partition_id", Data: &partition}, {Name: "min_time", Data: &oldest},
			{Name: "max_time", Data: &newest}, {Name: "modification_time", Data: &written}, {Name: "rows", Data: &rows}, {Name: "bytes_on_disk", Data: &bytes}},
		func(n int) error {
			for i := range n {
				out = append(out, partInfo{name.Row(i), partition.Row(i), oldest.Row(i).UTC(), newest.Row(i).UTC(), written.Row(i).UTC(), rows.Row(i), bytes.Row(i)})
			}
			return nil
		})
	if err != nil {
		return nil, fmt.Errorf("read parts: %w", err)
	}
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

// Retain drops events that are beyond a limit of the Retention: whole days by age, then the oldest events by disk space.
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

// dropOld drops the days whose events are all too old, and returns the parts that are left. A day stays as long after
// something was written to it: an old capture that is imported today is there for its time too.
func (db *DB) dropOld(ctx context.Context, parts []partInfo, now time.Time) ([]partInfo, error) {
	if db.cfg.Retention.MaxAge <= 0 {
		return parts, nil
	}
	limit := now.Add(-db.cfg.Retention.MaxAge).UTC().Truncate(24 * time.Hour)
	var left []partInfo
	for len(parts) > 0 {
		n := samePartition(parts)
		day := parts[:n]
		if slices.ContainsFunc(day, func(p partInfo) bool { return !p.newest.Before(limit) || !p.written.Before(limit) }) {
			left = append(left, day...)
		} else if err := db.drop(ctx, "PARTITION ID", day[0].partition, day); err != nil {
			return nil, err
		}
		parts = parts[n:]
	}
	return left, nil
}

// samePartition returns how many of the parts are in the partition of the first.
func samePartition(parts []partInfo) (n int) {
	for n < len(parts) && parts[n].partition == parts[0].partition {
		n++
	}
	return n
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

// dropOldest frees as many bytes: whole days while there are several, then the parts of the last one. Nothing of it needs
// space. The newest part always stays.
func (db *DB) dropOldest(ctx context.Context, parts []partInfo, want int64) (freed int64, err error) {
	var until time.Time
	for freed < want && len(parts) > 1 {
		what, name, n := "PARTITION ID", parts[0].partition, samePartition(parts)
		if n == len(parts) {
			what, name, n = "PART", parts[0].name, 1
		}
		if err := db.drop(ctx, what, name, parts[:n]); err != nil {
			return freed, err
		}
		for _, p := range parts[:n] {
			freed += int64(p.bytes)
			until = p.newest
		}
		parts = parts[n:]
	}
	if freed > 0 {
		db.alarms.raise(AlarmEarly, fmt.Sprintf("disk space is short: events up to %s were dropped before their time; make space, or lower the retention", until.Format(time.DateTime)))
	}
	return freed, nil
}

func (db *DB) drop(ctx context.Context, what, name string, parts []partInfo) error {
	if err := db.client.exec(ctx, "ALTER TABLE events DROP "+what+" {name:String}", query.Param{Name: "name", Value: name}); err != nil {
		return fmt.Errorf("drop old events: %w", err)
	}
	var rows uint64
	for _, p := range parts {
		rows += p.rows
	}
	db.counts.dropped.Add(float64(rows))
	db.log.Info("old events dropped", "events", rows, "until", parts[len(parts)-1].newest)
	return nil
}
