// Package state keeps what Vitrine must not forget and nobody observed on the network: accounts, sessions, tokens, imports, the
// audit trail and settings. Typed values go in and come out; they lie in SQLite, and the SQL is such that PostgreSQL takes it
// too. It knows nothing of HTTP, nor of what a role may do.
package state

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"time"

	"github.com/pressly/goose/v3"
	_ "modernc.org/sqlite" // the database/sql driver "sqlite"
)

// Config says where the state is and how long some of it lives.
type Config struct {
	Path        string        // of the database file
	SessionIdle time.Duration // a session ends when it was not used for so long
	SessionMax  time.Duration // and at the latest so long after the sign-in
	AuditAge    time.Duration // audit entries older than this are removed
}

// DefaultConfig returns the defaults for a database file.
func DefaultConfig(path string) Config {
	return Config{Path: path, SessionIdle: 12 * time.Hour, SessionMax: 7 * 24 * time.Hour, AuditAge: 400 * 24 * time.Hour}
}

// ErrNotFound is returned for what is not there, ErrExists for what is there already.
var (
	ErrNotFound = errors.New("not found")
	ErrExists   = errors.New("exists already")
)

// DB is the state. It is safe for concurrent use.
type DB struct {
	cfg Config
	sql *sql.DB
}

//go:embed migrations/*.sql
var migrations embed.FS

// maxConns is how many connections read at a time; SQLite lets one of them write.
const maxConns = 4

// Open opens the database, makes it if it is missing, and brings its tables up to date.
func Open(ctx context.Context, cfg Config, log *slog.Logger) (*DB, error) {
	if err := makePrivate(cfg.Path); err != nil {
		return nil, err
	}
	source := url.URL{Scheme: "file", Opaque: (&url.URL{Path: cfg.Path}).EscapedPath(), RawQuery: url.Values{
		"_pragma": {"busy_timeout(10000)", "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)"},
		"_txlock": {"immediate"}, // a transaction that would have to wait for a lock in its middle would fail instead
	}.Encode()}
	conn, err := sql.Open("sqlite", source.String())
	if err != nil {
		return nil, fmt.Errorf("open state %s: %w", cfg.Path, err)
	}
	conn.SetMaxOpenConns(maxConns)
	if err := migrate(ctx, conn, log); err != nil {
		return nil, errors.Join(fmt.Errorf("open state %s: %w", cfg.Path, err), conn.Close())
	}
	return &DB{cfg, conn}, nil
}

// makePrivate makes the file so that only its owner can read it. SQLite gives the files beside it the same rights.
func makePrivate(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("make state file: %w", err)
	}
	return errors.Join(f.Chmod(0o600), f.Close())
}

func migrate(ctx context.Context, conn *sql.DB, log *slog.Logger) error {
	sub, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, conn, sub, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
	}
	done, err := p.Up(ctx)
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	for _, m := range done {
		log.Info("state migrated", "version", m.Source.Version, "took", m.Duration)
	}
	return nil
}

// Close closes the database.
func (db *DB) Close() error { return db.sql.Close() }

// Prune removes sessions, tokens and audit entries whose time is over.
func (db *DB) Prune(ctx context.Context, now time.Time) error {
	if _, err := db.sql.ExecContext(ctx, `DELETE FROM sessions WHERE last_seen < $1 OR created < $2`,
		micros(now.Add(-db.cfg.SessionIdle)), micros(now.Add(-db.cfg.SessionMax))); err != nil {
		return fmt.Errorf("remove old sessions: %w", err)
	}
	if _, err := db.sql.ExecContext(ctx, `DELETE FROM tokens WHERE expires > 0 AND expires <= $1`, micros(now)); err != nil {
		return fmt.Errorf("remove expired tokens: %w", err)
	}
	if _, err := db.sql.ExecContext(ctx, `DELETE FROM audit WHERE at < $1`, micros(now.Add(-db.cfg.AuditAge))); err != nil {
		return fmt.Errorf("remove old audit entries: %w", err)
	}
	return nil
}
