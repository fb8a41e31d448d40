package state

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// ImportState is how far an import is.
type ImportState string

const (
	Queued    ImportState = "queued"
	Running   ImportState = "running"
	Done      ImportState = "done"
	Failed    ImportState = "failed"
	Cancelled ImportState = "cancelled"
)

// Ended reports whether nothing more will happen.
func (s ImportState) Ended() bool { return s == Done || s == Failed || s == Cancelled }

// Import is an upload of captures and what became of it.
type Import struct {
	ID, Name   string
	State      ImportState
	Actor      string
	BytesDone  int64
	BytesTotal int64
	Packets, Events, Connections,
	Decrypted uint64
	Error             string
	Started, Finished time.Time
}

const importColumns = `id, name, state, actor, bytes_done, bytes_total, packets, events, connections, decrypted, error, started, finished`

func scanImport(i *Import) []any {
	return []any{&i.ID, &i.Name, &i.State, &i.Actor, &i.BytesDone, &i.BytesTotal, &i.Packets, &i.Events, &i.Connections, &i.Decrypted, &i.Error,
		when{&i.Started}, when{&i.Finished}}
}

// SaveImport keeps an import in its present state, new or known.
func (db *DB) SaveImport(ctx context.Context, i Import) error {
	_, err := db.sql.ExecContext(ctx, `INSERT INTO imports (`+importColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
		ON CONFLICT (id) DO UPDATE SET state = excluded.state, bytes_done = excluded.bytes_done, packets = excluded.packets, events = excluded.events,
		connections = excluded.connections, decrypted = excluded.decrypted, error = excluded.error, finished = excluded.finished`,
		i.ID, i.Name, i.State, i.Actor, i.BytesDone, i.BytesTotal, i.Packets, i.Events, i.Connections, i.Decrypted, i.Error, micros(i.Started), micros(i.Finished))
	if err != nil {
		return fmt.Errorf("save import: %w", err)
	}
	return nil
}

// Import returns one import, or ErrNotFound.
func (db *DB) Import(ctx context.Context, id string) (Import, error) {
	var i Import
	err := db.sql.QueryRowContext(ctx, `SELECT `+importColumns+` FROM imports WHERE id = $1`, id).Scan(scanImport(&i)...)
	if errors.Is(err, sql.ErrNoRows) {
		return Import{}, ErrNotFound
	}
	if err != nil {
		return Import{}, fmt.Errorf("read import: %w", err)
	}
	return i, nil
}

// Imports returns the newest imports.
func (db *DB) Imports(ctx context.Context, limit int) ([]Import, error) {
	rows, err := db.sql.QueryContext(ctx, `SELECT `+importColumns+` FROM imports ORDER BY started DESC, id LIMIT $1`, limit)
	imports, err := list(rows, err, scanImport)
	if err != nil {
		return nil, fmt.Errorf("list imports: %w", err)
	}
	return imports, nil
}

// InterruptImports marks the imports that had not ended as failed: the process that worked on them is gone.
func (db *DB) InterruptImports(ctx context.Context, reason string, now time.Time) (n int64, err error) {
	res, err := db.sql.ExecContext(ctx, `UPDATE imports SET state = $1, error = $2, finished = $3 WHERE state IN ($4, $5)`,
		Failed, reason, micros(now), Queued, Running)
	if err != nil {
		return 0, fmt.Errorf("mark interrupted imports: %w", err)
	}
	return res.RowsAffected()
}
