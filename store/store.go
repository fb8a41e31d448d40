// Package store keeps events in ClickHouse: the embedded engine, which it starts and supervises, or a server. Records come
// in by the batch and are there once Append has returned; searches, counts and single records come out.
//
// All columns come from event.Fields. What a person searches for reaches the database as parameters only. The package
// knows neither the bus that events come from nor the API that asks for them.
package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/ClickHouse/ch-go/proto"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/internal/telemetry"
)

// Config says where events are kept, and for how long.
type Config struct {
	URL       string // of a ClickHouse server, as http(s)://user:password@host:port/database; empty for the embedded engine
	Embedded  Embedded
	Retention Retention
	Metrics   prometheus.Registerer // may be nil
}

// Embedded says how the engine is run.
type Embedded struct {
	Dir     string // its data folder
	Program string // vitrine-store; empty: beside this program
	Library string // libchdb.so; empty: vitrine-store looks for it
	Memory  int64  // bytes that the engine may have; 0: 1.5 GiB
	Threads int    // threads for a statement, and for merges; 0: 2
}

// Retention says when the oldest events are dropped. The first limit that is met decides.
type Retention struct {
	MaxAge   time.Duration // since events were stored; up to a week more, since they are dropped by the part; 0: no limit
	MaxBytes int64         // of disk space for events; 0: no limit
	MinFree  int64         // bytes of the disk that stay free; 0: a twentieth of the disk, 10 GiB at the most
}

// DB is the event store. It is safe for concurrent use.
type DB struct {
	cfg    Config
	log    *slog.Logger
	client *client
	engine *engine // nil if the database is a server

	batches sync.Pool // of *batch, with all fields
	room    sync.Mutex
	inserts sync.Mutex           // for failing
	failing map[event.ID]failing // batches that the database has not taken yet
	alarms  alarms
	counts  counts
}

// counts are what the store has done since it was opened.
type counts struct {
	appended prometheus.Counter // events inserted
	known    prometheus.Counter // redelivered events that were there already
	retried  prometheus.Counter // inserts that had to be tried again
	dropped  prometheus.Counter // events dropped by retention
	restarts prometheus.Counter // of the embedded engine, after it had ended by itself
}

func newCounts(reg prometheus.Registerer) counts {
	return counts{
		appended: telemetry.Counter(reg, "store_appended_events", "Events that were inserted."),
		known:    telemetry.Counter(reg, "store_known_events", "Redelivered events that were stored already."),
		retried:  telemetry.Counter(reg, "store_retried_inserts", "Inserts that had to be tried again."),
		dropped:  telemetry.Counter(reg, "store_retention_dropped_events", "Events that were dropped by retention."),
		restarts: telemetry.Counter(reg, "store_engine_restarts", "Restarts of the embedded engine after it had ended by itself."),
	}
}

// Open starts the embedded engine, or connects to the server, and brings the schema up to date. It waits for the database
// until ctx ends, which has no meaning afterwards. Close must be called.
func Open(ctx context.Context, cfg Config, log *slog.Logger) (*DB, error) {
	db := &DB{cfg: cfg, log: log.With("component", "store"), counts: newCounts(cfg.Metrics), failing: map[event.ID]failing{}}
	db.batches.New = func() any { return newBatch(allFields) }
	if err := db.connect(ctx); err != nil {
		return nil, err
	}
	if err := db.setUp(ctx); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

func (db *DB) connect(ctx context.Context) (err error) {
	if db.cfg.URL != "" {
		if db.client, err = newClient(db.cfg.URL); err != nil {
			return err
		}
		if err := db.client.ping(ctx); err != nil {
			return fmt.Errorf("reach ClickHouse: %w", err)
		}
		return nil
	}
	if db.engine, err = startEngine(ctx, db.cfg.Embedded, db.counts.restarts, db.log); err != nil {
		return fmt.Errorf("start the embedded engine: %w", err)
	}
	db.client = db.engine.client
	return nil
}

func (db *DB) setUp(ctx context.Context) error {
	if err := db.client.createDatabase(ctx); err != nil {
		return fmt.Errorf("make database: %w", err)
	}
	return db.migrate(ctx)
}

// Close stops the embedded engine, which first ends what it is doing.
func (db *DB) Close() error {
	db.client.close()
	if db.engine != nil {
		return db.engine.stop()
	}
	return nil
}

// Health is the state of the store.
type Health struct {
	Events uint64    // in it
	Bytes  uint64    // of disk space that they take
	Oldest time.Time // event; zero if there is none
	Free   uint64    // bytes of the disk
	Total  uint64    // bytes of the disk
}

// Health asks the database how it is. An error says that it does not answer, and why.
func (db *DB) Health(ctx context.Context) (Health, error) {
	var h Health
	parts, err := db.parts(ctx)
	if err != nil {
		return h, err
	}
	for _, p := range parts {
		h.Events += p.rows
		h.Bytes += p.bytes
		if h.Oldest.IsZero() || p.oldest.Before(h.Oldest) {
			h.Oldest = p.oldest
		}
	}
	h.Free, h.Total, err = db.disk(ctx)
	return h, err
}

// disk returns the space of the fullest disk that the database uses.
func (db *DB) disk(ctx context.Context) (free, total uint64, err error) {
	var f, t proto.ColUInt64
	err = db.client.query(ctx, "SELECT free_space, total_space FROM system.disks ORDER BY free_space LIMIT 1", nil,
		proto.Results{{Name: "free_space", Data: &f}, {Name: "total_space", Data: &t}}, func(int) error {
			free, total = f.Row(0), t.Row(0)
			return nil
		})
	if err != nil {
		return 0, 0, fmt.Errorf("read disk space: %w", err)
	}
	return free, total, nil
}

// Alarm is a condition that a person must know of.
type Alarm struct {
	Code    string // stable name
	Message string // what happened, why, what to do
	Since   time.Time
}

// Codes of alarms.
const (
	AlarmDown    = "store_down"      // the database does not answer
	AlarmFull    = "store_full"      // there is no space for new events, nor anything to drop
	AlarmEarly   = "store_retention" // events are dropped before their time, for want of space
	AlarmInserts = "store_inserts"   // events could not be stored for long, whatever the reason
)

// alarms are the conditions that hold now.
type alarms struct {
	mu sync.Mutex
	on []Alarm // the oldest first
}

// Alarms returns what is wrong now, the oldest first.
func (db *DB) Alarms() []Alarm {
	db.alarms.mu.Lock()
	defer db.alarms.mu.Unlock()
	return append([]Alarm(nil), db.alarms.on...)
}

func (a *alarms) raise(code, message string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := range a.on {
		if a.on[i].Code == code {
			a.on[i].Message = message
			return
		}
	}
	a.on = append(a.on, Alarm{code, message, time.Now()})
}

func (a *alarms) clear(code string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := range a.on {
		if a.on[i].Code == code {
			a.on = append(a.on[:i:i], a.on[i+1:]...)
			return
		}
	}
}
