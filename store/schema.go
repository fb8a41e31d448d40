package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ClickHouse/ch-go/proto"

	"github.com/vitrine-ndr/vitrine/event"
)

// columnType returns the type and codec of a field's column.
//
// Strings that repeat are kept in dictionaries, where a condition is checked once for each different value. What is long
// is compressed harder, but for URLs: parts of them are looked for in all events of a period, and LZ4 makes that twice as
// fast for a twelfth more space in all. Columns that are empty in most events cost next to nothing: the engine keeps them sparse.
func columnType(f *event.Field) (typ, codec string) {
	switch f.Type {
	case event.TypeString:
		switch {
		case f.Unique && strings.HasSuffix(f.Name, ".url"):
			return "String", "LZ4"
		case f.Unique:
			return "String", "ZSTD(1)"
		}
		return "LowCardinality(String)", ""
	case event.TypeBytes:
		return "String", "ZSTD(1)"
	case event.TypeList:
		return "Array(String)", "ZSTD(1)"
	case event.TypeInt:
		return fmt.Sprintf("Int%d", f.Bits), ""
	case event.TypeUint:
		return fmt.Sprintf("UInt%d", f.Bits), ""
	case event.TypeBool:
		return "Bool", ""
	case event.TypeTime:
		return "DateTime64(9, 'UTC')", "Delta, ZSTD(1)"
	case event.TypeIP:
		return "IPv6", "ZSTD(1)"
	case event.TypeID:
		return "UUID", ""
	}
	panic("store: field " + f.Name + " has type " + string(f.Type)) // a programming mistake that any test finds
}

// columnIndex returns the skip index of a field's column, or "". Text is indexed as the search language compares it, in
// lower case.
func columnIndex(f *event.Field) string {
	switch {
	case f.Type == event.TypeID && f.Column() != "id", f.Type == event.TypeIP:
		return fmt.Sprintf("INDEX %s_index %[1]s TYPE bloom_filter(0.01) GRANULARITY 4", f.Column())
	case f.Sought:
		return fmt.Sprintf("INDEX %s_index lower(%[1]s) TYPE bloom_filter(0.01) GRANULARITY 4", f.Column())
	}
	return ""
}

func columnDefinition(f *event.Field) string {
	typ, codec := columnType(f)
	if codec != "" {
		codec = " CODEC(" + codec + ")"
	}
	return "`" + f.Column() + "` " + typ + codec
}

// migrations are the changes of the schema that adding columns for new fields is not. Each is one version: they are
// never changed, only added to.
var migrations = []func() []string{
	func() []string { return []string{createEvents()} },
}

// createEvents makes the table in its newest form. Rows of the same time and id are one event that was stored twice, and
// become one. A week is a partition; what is far from our time shares one, because hostile captures have any time they like, and
// each partition costs memory. Parts stay small, since a part is what retention drops. An insert is on disk before it is
// acknowledged; what was merged is kept until the kernel has surely written what it was merged into.
func createEvents() string {
	var defs []string
	for i := range event.Fields {
		defs = append(defs, columnDefinition(&event.Fields[i]))
	}
	defs = append(defs, emptyParts+" LowCardinality(String)")
	for i := range event.Fields {
		if d := columnIndex(&event.Fields[i]); d != "" {
			defs = append(defs, d)
		}
	}
	return "CREATE TABLE events (" + strings.Join(defs, ", ") + `) ENGINE = ReplacingMergeTree
		PARTITION BY toMonday(least(greatest(toDate(time), toDate('2025-01-01')), toDate('2035-01-01'))) ORDER BY (time, id)
		SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, old_parts_lifetime = 60,
			max_bytes_to_merge_at_max_space_in_pool = 4294967296, max_compress_block_size = 262144`
}

// migrate brings the schema to the newest version, adding columns for fields that are new.
func (db *DB) migrate(ctx context.Context) error {
	if err := db.client.exec(ctx, "CREATE TABLE IF NOT EXISTS schema (version UInt32, applied DateTime DEFAULT now()) ENGINE = MergeTree ORDER BY version"); err != nil {
		return fmt.Errorf("make schema table: %w", err)
	}
	var version proto.ColUInt32
	if err := db.client.query(ctx, "SELECT max(version) AS version FROM schema", nil, proto.Results{{Name: "version", Data: &version}}, nil); err != nil {
		return fmt.Errorf("read schema version: %w", err)
	}
	at := int(version.Row(0))
	if at > len(migrations) {
		return fmt.Errorf("%w: it has version %d, this program knows %d", ErrNewerSchema, at, len(migrations))
	}
	for ; at < len(migrations); at++ {
		for _, sql := range append(migrations[at](), fmt.Sprintf("INSERT INTO schema (version) VALUES (%d)", at+1)) {
			if err := db.client.exec(ctx, sql); err != nil {
				return fmt.Errorf("migrate schema to version %d: %w", at+1, err)
			}
		}
	}
	return db.addColumns(ctx)
}

// ErrNewerSchema says that a newer program has written the database.
var ErrNewerSchema = errors.New("the database belongs to a newer program")

// addColumns adds a column for each field that has none, and checks the types of the others. Columns of fields that are no
// more are left alone.
func (db *DB) addColumns(ctx context.Context) error {
	have, err := db.columns(ctx)
	if err != nil {
		return err
	}
	var changes []string
	for i := range event.Fields {
		f := &event.Fields[i]
		typ, _ := columnType(f)
		switch old, ok := have[f.Column()]; {
		case !ok:
			changes = append(changes, "ADD COLUMN "+columnDefinition(f))
			if d := columnIndex(f); d != "" {
				changes = append(changes, "ADD "+d)
			}
		case old != typ:
			return fmt.Errorf("column %s has type %s, this program needs %s", f.Column(), old, typ)
		}
	}
	if len(changes) == 0 {
		return nil
	}
	if err := db.client.exec(ctx, "ALTER TABLE events "+strings.Join(changes, ", ")); err != nil {
		return fmt.Errorf("add columns: %w", err)
	}
	db.log.Info("columns added", "changes", len(changes))
	return nil
}

// columns returns the types of the table's columns by name.
func (db *DB) columns(ctx context.Context) (map[string]string, error) {
	var name, typ proto.ColStr
	have := map[string]string{}
	err := db.client.query(ctx, "SELECT name, type FROM system.columns WHERE database = currentDatabase() AND table = 'events'", nil,
		proto.Results{{Name: "name", Data: &name}, {Name: "type", Data: &typ}}, func(rows int) error {
			for i := range rows {
				have[name.Row(i)] = typ.Row(i)
			}
			return nil
		})
	if err != nil {
		return nil, fmt.Errorf("read columns: %w", err)
	}
	return have, nil
}

// fieldsBut returns all fields except those for which without is true.
func fieldsBut(without func(*event.Field) bool) []*event.Field {
	var out []*event.Field
	for i := range event.Fields {
		if f := &event.Fields[i]; !without(f) {
			out = append(out, f)
		}
	}
	return slices.Clip(out)
}
