package state

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// touchEvery is how exactly the last use of sessions and tokens is kept: a write for each request would cost a sync.
const touchEvery = time.Minute

// NewSession signs the account in and returns the secret of the session. Only its hash is kept.
func (db *DB) NewSession(ctx context.Context, userName string, now time.Time) (secret string, err error) {
	secret = newSecret()
	_, err = db.sql.ExecContext(ctx, `INSERT INTO sessions (hash, user_name, created, last_seen) VALUES ($1, $2, $3, $4)`,
		hashSecret(secret), normalName(userName), micros(now), micros(now))
	if err != nil {
		return "", fmt.Errorf("make session: %w", err)
	}
	return secret, nil
}

// SessionUser returns the account of a session, or ErrNotFound if there is none or its time is over.
func (db *DB) SessionUser(ctx context.Context, secret string, now time.Time) (User, error) {
	var (
		u        User
		lastSeen time.Time
		hash     = hashSecret(secret)
	)
	err := db.sql.QueryRowContext(ctx, `SELECT u.name, u.role, u.created, s.last_seen FROM sessions s JOIN users u ON u.name = s.user_name
		WHERE s.hash = $1 AND s.last_seen >= $2 AND s.created >= $3`, hash, micros(now.Add(-db.cfg.SessionIdle)), micros(now.Add(-db.cfg.SessionMax))).
		Scan(&u.Name, &u.Role, when{&u.Created}, when{&lastSeen})
	if errors.Is(err, sql.ErrNoRows) {
		return User{}, ErrNotFound
	}
	if err != nil {
		return User{}, fmt.Errorf("read session: %w", err)
	}
	if now.Sub(lastSeen) >= touchEvery {
		if _, err := db.sql.ExecContext(ctx, `UPDATE sessions SET last_seen = $1 WHERE hash = $2`, micros(now), hash); err != nil {
			return User{}, fmt.Errorf("prolong session: %w", err)
		}
	}
	return u, nil
}

// EndSession signs out. A session that is not there is no error.
func (db *DB) EndSession(ctx context.Context, secret string) error {
	if _, err := db.sql.ExecContext(ctx, `DELETE FROM sessions WHERE hash = $1`, hashSecret(secret)); err != nil {
		return fmt.Errorf("end session: %w", err)
	}
	return nil
}
