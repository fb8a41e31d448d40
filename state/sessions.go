package state

import (
	"context"
	"crypto/subtle"
	"database/sql"
	"errors"
	"fmt"
	"strings"
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

// Token lets a program in. Its secret is shown once, when it is made.
type Token struct {
	ID       string // the part of the secret that may be shown
	Name     string
	Role     Role
	Created  time.Time
	LastUsed time.Time // to the minute; zero if never
}

// tokenPrefix makes tokens recognisable, for people and for scanners of leaked secrets.
const tokenPrefix = "vitrine_"

// NewToken makes a token. It returns ErrExists if the name is taken.
func (db *DB) NewToken(ctx context.Context, name string, role Role, now time.Time) (secret string, t Token, err error) {
	t = Token{ID: newID(6), Name: name, Role: role, Created: now}
	secret = tokenPrefix + t.ID + "_" + newSecret()
	_, err = db.sql.ExecContext(ctx, `INSERT INTO tokens (id, hash, name, role, created) VALUES ($1, $2, $3, $4, $5)`,
		t.ID, hashSecret(secret), name, role, micros(now))
	if isDuplicate(err) {
		err = ErrExists
	}
	if err != nil {
		return "", Token{}, fmt.Errorf("make token %q: %w", name, err)
	}
	return secret, t, nil
}

// TokenOf returns the token with the secret, or ErrNotFound.
func (db *DB) TokenOf(ctx context.Context, secret string, now time.Time) (Token, error) {
	rest, ok := strings.CutPrefix(secret, tokenPrefix)
	id, _, found := strings.Cut(rest, "_")
	if !ok || !found {
		return Token{}, ErrNotFound
	}
	var (
		t    Token
		hash string
	)
	err := db.sql.QueryRowContext(ctx, `SELECT id, name, role, created, last_used, hash FROM tokens WHERE id = $1`, id).
		Scan(&t.ID, &t.Name, &t.Role, when{&t.Created}, when{&t.LastUsed}, &hash)
	if errors.Is(err, sql.ErrNoRows) || err == nil && subtle.ConstantTimeCompare([]byte(hash), []byte(hashSecret(secret))) != 1 {
		return Token{}, ErrNotFound
	}
	if err != nil {
		return Token{}, fmt.Errorf("read token: %w", err)
	}
	if now.Sub(t.LastUsed) >= touchEvery {
		if _, err := db.sql.ExecContext(ctx, `UPDATE tokens SET last_used = $1 WHERE id = $2`, micros(now), id); err != nil {
			return Token{}, fmt.Errorf("note use of token: %w", err)
		}
	}
	return t, nil
}

// Tokens returns all tokens, by name.
func (db *DB) Tokens(ctx context.Context) ([]Token, error) {
	rows, err := db.sql.QueryContext(ctx, `SELECT id, name, role, created, last_used FROM tokens ORDER BY name`)
	tokens, err := list(rows, err, func(t *Token) []any { return []any{&t.ID, &t.Name, &t.Role, when{&t.Created}, when{&t.LastUsed}} })
	if err != nil {
		return nil, fmt.Errorf("list tokens: %w", err)
	}
	return tokens, nil
}

// RevokeToken removes the token with the id or name. It returns ErrNotFound if there is none.
func (db *DB) RevokeToken(ctx context.Context, idOrName string) error {
	if err := oneRow(db.sql.ExecContext(ctx, `DELETE FROM tokens WHERE id = $1 OR name = $1`, idOrName)); err != nil {
		return fmt.Errorf("revoke token %q: %w", idOrName, err)
	}
	return nil
}
