package store

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ClickHouse/ch-go/proto"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/store/query"
)

// ErrNotFound says that there is no such event.
var ErrNotFound = errors.New("there is no such event")

// ErrCursor says that a cursor is not one that a Page had.
var ErrCursor = errors.New("the cursor is not valid")

// MaxLimit is the most events on one page.
const MaxLimit = 10_000

// Search asks for events.
type Search struct {
	Filter       *query.Filter // nil: all
	Since, Until time.Time     // from, inclusive, and to, exclusive; zero: no bound
	Limit        int           // of the page; 0: 100
	Cursor       string        // NextCursor of the page before, or empty
	WithBodies   bool          // read the beginnings of bodies, which are most of the data
}

// Page is some events of a Search, the newest first.
type Page struct {
	Records    []*event.Record
	NextCursor string // empty: there are no more
}

var bodylessFields = fieldsBut(func(f *event.Field) bool { return f.Type == event.TypeBytes })

// where collects the condition of a SELECT and its parameters.
type where struct {
	terms  []string
	params []query.Param
}

func (w *where) add(term string, params ...query.Param) {
	w.terms = append(w.terms, term)
	w.params = append(w.params, params...)
}

func (w *where) String() string {
	if len(w.terms) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(w.terms, " AND ")
}

// whereOf returns the condition for a stretch of time and a filter. The names of its parameters are not those of a Filter.
func whereOf(f *query.Filter, since, until time.Time) *where {
	w := new(where)
	if !since.IsZero() {
		w.add("time >= {since:DateTime64(9, 'UTC')}", query.Param{Name: "since", Value: timeText(since)})
	}
	if !until.IsZero() {
		w.add("time < {until:DateTime64(9, 'UTC')}", query.Param{Name: "until", Value: timeText(until)})
	}
	if f != nil && !f.Empty() {
		sql, params := f.SQL()
		w.add("("+sql+")", params...)
	}
	return w
}

// Search returns one page. Pages do not shift while events come in: a cursor names the last event that was seen.
func (db *DB) Search(ctx context.Context, s Search) (Page, error) {
	limit := s.Limit
	if limit <= 0 {
		limit = 100
	}
	limit = min(limit, MaxLimit)
	w := whereOf(s.Filter, s.Since, s.Until)
	if s.Cursor != "" {
		t, id, err := readCursor(s.Cursor)
		if err != nil {
			return Page{}, err
		}
		// The first condition is for the primary key, which a comparison of tuples does not use.
		w.add("time <= {last_time:DateTime64(9, 'UTC')} AND (time < {last_time:DateTime64(9, 'UTC')} OR id < {last_id:UUID})",
			query.Param{Name: "last_time", Value: timeText(t)}, query.Param{Name: "last_id", Value: id.String()})
	}
	fields := bodylessFields
	if s.WithBodies {
		fields = allFields
	}
	recs, err := db.read(ctx, fields, w, " ORDER BY time DESC, id DESC LIMIT "+strconv.Itoa(limit+1))
	if err != nil {
		return Page{}, fmt.Errorf("search events: %w", err)
	}
	p := Page{Records: recs}
	if len(recs) > limit {
		p.Records = recs[:limit]
		p.NextCursor = cursorAt(recs[limit-1])
	}
	return p, nil
}

// Event returns the event with all that is known of it, or ErrNotFound.
func (db *DB) Event(ctx context.Context, id event.ID) (*event.Record, error) {
	// Events mostly happen in the millisecond of their id, so the day around it is looked at first.
	at := id.Time()
	near := whereOf(nil, at.Add(-time.Hour), at.Add(time.Hour))
	for _, w := range []*where{near, new(where)} {
		w.add("id = {id:UUID}", query.Param{Name: "id", Value: id.String()})
		recs, err := db.read(ctx, allFields, w, " LIMIT 1")
		if err != nil {
			return nil, fmt.Errorf("read event: %w", err)
		}
		if len(recs) > 0 {
			return recs[0], nil
		}
	}
	return nil, ErrNotFound
}

// read returns the fields of the rows that meet a condition.
func (db *DB) read(ctx context.Context, fields []*event.Field, w *where, rest string) ([]*event.Record, error) {
	b := newBatch(fields)
	names := make([]string, len(b.columns))
	for i := range b.columns {
		names[i] = b.columns[i].name
	}
	var out []*event.Record
	sql := "SELECT " + strings.Join(names, ", ") + " FROM events" + w.String() + rest
	err := db.client.query(ctx, sql, w.params, b.results(), func(rows int) error {
		for i := range rows {
			out = append(out, b.record(i))
		}
		return nil
	})
	return out, err
}

// cursorAt names the event: its time and id.
func cursorAt(r *event.Record) string {
	b := binary.BigEndian.AppendUint64(nil, uint64(r.Time.UnixNano()))
	return base64.RawURLEncoding.EncodeToString(append(b, r.ID[:]...))
}

func readCursor(s string) (t time.Time, id event.ID, err error) {
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil || len(b) != 8+len(id) {
		return t, id, ErrCursor
	}
	copy(id[:], b[8:])
	return time.Unix(0, int64(binary.BigEndian.Uint64(b))).UTC(), id, nil
}

// Value is one value of a field, and how many events have it.
type Value struct {
	Value string
	Count uint64
}

// TopValues returns the most frequent values of a field that begin with a prefix, in any case, since a time. Each element
// of a list counts. Fields of type bytes have none.
func (db *DB) TopValues(ctx context.Context, field, prefix string, since time.Time, n int) ([]Value, error) {
	f, ok := event.FieldByName(field)
	if !ok {
		return nil, fmt.Errorf("there is no field %q", field)
	}
	if f.Type == event.TypeBytes {
		return nil, nil
	}
	var (
		w     = whereOf(nil, since, time.Time{})
		value proto.ColStr
		count proto.ColUInt64
		out   []Value
	)
	w.add("value != '' AND startsWith(lower(value), lower({prefix:String}))", query.Param{Name: "prefix", Value: prefix})
	sql := "SELECT " + valueText(f) + " AS value, count() AS count FROM events" + w.String() +
		" GROUP BY value ORDER BY count DESC, value LIMIT " + strconv.Itoa(min(max(n, 1), MaxLimit))
	err := db.client.query(ctx, sql, w.params, proto.Results{{Name: "value", Data: &value}, {Name: "count", Data: &count}}, func(rows int) error {
		for i := range rows {
			out = append(out, Value{value.Row(i), count.Row(i)})
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("find values of %s: %w", field, err)
	}
	return out, nil
}

// valueText returns the expression for a field's value as the search language writes it; empty where it has none.
func valueText(f *event.Field) string {
	c := f.Column()
	switch f.Type {
	case event.TypeString:
		return "CAST(" + c + " AS String)"
	case event.TypeList:
		return "arrayJoin(" + c + ")"
	case event.TypeIP:
		return "if(notEmpty(" + c + "), replaceRegexpOne(toString(" + c + "), '^::ffff:([0-9.]+)$', '\\\\1'), '')"
	case event.TypeID:
		return "replaceAll(toString(" + c + "), '-', '')"
	}
	return "toString(" + c + ")"
}

// steps are the widths of a bar that people can read.
var steps = []time.Duration{
	time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 15 * time.Second, 30 * time.Second,
	time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 15 * time.Minute, 30 * time.Minute,
	time.Hour, 2 * time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour,
	24 * time.Hour, 7 * 24 * time.Hour, 30 * 24 * time.Hour, 365 * 24 * time.Hour,
}

// MaxBuckets is the most bars of a histogram.
const MaxBuckets = 1000

// slots divides a stretch of time into steps that begin at round times.
type slots struct {
	start time.Time
	step  time.Duration
	n     int
}

func divide(since, until time.Time, most int) (slots, error) {
	if !since.Before(until) {
		return slots{}, errors.New("the period ends before it begins")
	}
	most = min(max(most, 2), MaxBuckets)
	i := slices.IndexFunc(steps, func(d time.Duration) bool { return until.Sub(since.Truncate(d)) <= time.Duration(most)*d })
	if i < 0 {
		i = len(steps) - 1
	}
	s := slots{start: since.UTC().Truncate(steps[i]), step: steps[i]}
	s.n = min(int((until.Sub(s.start)+s.step-1)/s.step), MaxBuckets)
	return s, nil
}

// number returns the expression for the number of a row's slot, and its parameters.
func (s slots) number() (string, []query.Param) {
	return "toUInt32(intDiv(toUnixTimestamp64Nano(time) - {slots_start:Int64}, {slots_step:Int64}))", []query.Param{
		{Name: "slots_start", Value: strconv.FormatInt(s.start.UnixNano(), 10)}, {Name: "slots_step", Value: strconv.FormatInt(int64(s.step), 10)}}
}

func (s slots) at(i int) time.Time { return s.start.Add(time.Duration(i) * s.step) }

// Histogram counts events over time.
type Histogram struct {
	Interval time.Duration
	Buckets  []Bucket // all of them, empty ones too
}

// Bucket is one bar of a Histogram.
type Bucket struct {
	Time      time.Time // its start
	Count     uint64
	Decrypted uint64 // wholly or in part
}

// Histogram counts the events of a search in as many buckets at the most.
func (db *DB) Histogram(ctx context.Context, filter *query.Filter, since, until time.Time, buckets int) (Histogram, error) {
	s, err := divide(since, until, buckets)
	if err != nil {
		return Histogram{}, err
	}
	h := Histogram{Interval: s.step, Buckets: make([]Bucket, s.n)}
	for i := range h.Buckets {
		h.Buckets[i].Time = s.at(i)
	}
	var (
		slot             proto.ColUInt32
		count, decrypted proto.ColUInt64
		w                = whereOf(filter, since, until)
	)
	number, params := s.number()
	sql := "SELECT " + number + " AS slot, count() AS count, countIf(decrypted IN ('yes', 'partial')) AS decrypted_count FROM events" + w.String() + " GROUP BY slot"
	err = db.client.query(ctx, sql, append(w.params, params...), proto.Results{{Name: "slot", Data: &slot}, {Name: "count", Data: &count}, {Name: "decrypted_count", Data: &decrypted}},
		func(rows int) error {
			for i := range rows {
				if n := int(slot.Row(i)); n < len(h.Buckets) {
					h.Buckets[n].Count, h.Buckets[n].Decrypted = count.Row(i), decrypted.Row(i)
				}
			}
			return nil
		})
	if err != nil {
		return Histogram{}, fmt.Errorf("count events: %w", err)
	}
	return h, nil
}
