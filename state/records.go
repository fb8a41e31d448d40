package state

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// Outcome is how something that is audited ended.
type Outcome string

const (
	OK         Outcome = "ok"
	Denied     Outcome = "denied"
	FailedToDo Outcome = "failed"
)

// AuditEntry is one thing that somebody did.
type AuditEntry struct {
	Time    time.Time
	Actor   string // account, or "token:" and the token's name; empty where nobody was signed in
	Address string
	Action  string // dotted, such as content.view
	Target  string
	Summary string // of a change: how its target is now, for people
	Outcome Outcome
}

// Audit adds an entry to the audit trail.
func (db *DB) Audit(ctx context.Context, e AuditEntry) error {
	_, err := db.sql.ExecContext(ctx, `INSERT INTO audit (id, at, actor, address, action, target, summary, outcome) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
		newID(16), micros(e.Time), e.Actor, e.Address, e.Action, e.Target, e.Summary, e.Outcome)
	if err != nil {
		return fmt.Errorf("write audit entry: %w", err)
	}
	return nil
}

// AuditEntries returns the newest entries whose action begins with the prefix.
func (db *DB) AuditEntries(ctx context.Context, prefix string, limit int) ([]AuditEntry, error) {
	rows, err := db.sql.QueryContext(ctx, `SELECT at, actor, address, action, target, summary, outcome FROM audit
		WHERE substr(action, 1, $1) = $2 ORDER BY at DESC, id LIMIT $3`, len(prefix), prefix, limit)
	entries, err := list(rows, err, func(e *AuditEntry) []any {
		return []any{when{&e.Time}, &e.Actor, &e.Address, &e.Action, &e.Target, &e.Summary, &e.Outcome}
	})
	if err != nil {
		return nil, fmt.Errorf("read audit trail: %w", err)
	}
	return entries, nil
}

// Setting returns a setting, or ErrNotFound.
func (db *DB) Setting(ctx context.Context, name string) (string, error) {
	var value string
	err := db.sql.QueryRowContext(ctx, `SELECT value FROM settings WHERE name = $1`, name).Scan(&value)
	if errors.Is(err, sql.ErrNoRows) {
		return "", ErrNotFound
	}
	if err != nil {
		return "", fmt.Errorf("read setting %q: %w", name, err)
	}
	return value, nil
}

// SetSetting keeps a setting.
func (db *DB) SetSetting(ctx context.Context, name, value string) error {
	_, err := db.sql.ExecContext(ctx, `INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value`, name, value)
	if err != nil {
		return fmt.Errorf("keep setting %q: %w", name, err)
	}
	return nil
}
