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

// Token lets a program in. Its secret is shown once, when it is made.
type Token struct {
	ID       string // the part of the secret that may be shown
	Name     string
	Role     Role
	Owner    string // account that it ends with; empty for those of the command line on this machine
	Parent   string // id of the token that it was made with and ends with; empty if made in a session
	Created  time.Time
	Expires  time.Time // zero if never
	LastUsed time.Time // to the minute; zero if never
}

// tokenPrefix makes tokens recognisable, for people and for scanners of leaked secrets.
const tokenPrefix = "vitrine_"

const tokenColumns = `id, name, role, coalesce(owner, ''), coalesce(parent, ''), created, expires, last_used`

func scanToken(t *Token) []any {
	return []any{&t.ID, &t.Name, &t.Role, &t.Owner, &t.Parent, when{&t.Created}, when{&t.Expires}, when{&t.LastUsed}}
}

// MaxTokens is how many tokens one account may have, or the operator of this machine.
const MaxTokens = 100

// ErrTooMany is returned when somebody has MaxTokens already.
var ErrTooMany = errors.New("too many")

// NewToken makes a token with the facts of t; its id is new. It returns ErrExists if the name is taken, ErrTooMany if the owner has
// no more to make.
func (db *DB) NewToken(ctx context.Context, t Token) (secret string, made Token, err error) {
	var n int
	if err := db.sql.QueryRowContext(ctx, `SELECT count(*) FROM tokens WHERE coalesce(owner, '') = $1`, t.Owner).Scan(&n); err != nil {
		return "", Token{}, fmt.Errorf("count tokens: %w", err)
	}
	if n >= MaxTokens {
		return "", Token{}, fmt.Errorf("make token %q: %w", t.Name, ErrTooMany)
	}
	return db.makeToken(ctx, t, "")
}

// RenewToken gives the token of that name a new id and secret, and makes it if it is missing. Those that were made with it stay.
func (db *DB) RenewToken(ctx context.Context, t Token) (secret string, made Token, err error) {
	return db.makeToken(ctx, t, `ON CONFLICT (name) DO UPDATE SET id = excluded.id, hash = excluded.hash, role = excluded.role, owner = excluded.owner,
		parent = excluded.parent, created = excluded.created, expires = excluded.expires, last_used = 0`)
}

func (db *DB) makeToken(ctx context.Context, t Token, ifTaken string) (string, Token, error) {
	t.ID = newID(6)
	secret := tokenPrefix + t.ID + "_" + newSecret()
	_, err := db.sql.ExecContext(ctx, `INSERT INTO tokens (id, hash, name, role, owner, parent, created, expires)
		VALUES ($1, $2, $3, $4, nullif($5, ''), nullif($6, ''), $7, $8) `+ifTaken,
		t.ID, hashSecret(secret), t.Name, t.Role, t.Owner, t.Parent, micros(t.Created), micros(t.Expires))
	if isDuplicate(err) {
		err = ErrExists
	}
	if err != nil {
		return "", Token{}, fmt.Errorf("make token %q: %w", t.Name, err)
	}
	return secret, t, nil
}

// TokenOf returns the token with the secret, or ErrNotFound if there is none or its time is over.
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
	err := db.sql.QueryRowContext(ctx, `SELECT `+tokenColumns+`, hash FROM tokens WHERE id = $1 AND (expires = 0 OR expires > $2)`, id, micros(now)).
		Scan(append(scanToken(&t), &hash)...)
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

// TokenScope says which tokens somebody deals with: all of them, or those of an account, or a token and those made with it.
type TokenScope struct {
	All   bool
	Owner string
	Token string // id
}

const inScope = `($1 = 1 OR owner = $2 OR id = $3 OR parent = $3)`

func (s TokenScope) args() []any {
	all := 0
	if s.All {
		all = 1
	}
	return []any{all, s.Owner, s.Token}
}

// Tokens returns the tokens in the scope, by name.
func (db *DB) Tokens(ctx context.Context, s TokenScope) ([]Token, error) {
	rows, err := db.sql.QueryContext(ctx, `SELECT `+tokenColumns+` FROM tokens WHERE `+inScope+` ORDER BY name`, s.args()...)
	tokens, err := list(rows, err, scanToken)
	if err != nil {
		return nil, fmt.Errorf("list tokens: %w", err)
	}
	return tokens, nil
}

// RevokeToken removes the token with the id, and those that were made with it. It returns ErrNotFound if there is none in the scope.
func (db *DB) RevokeToken(ctx context.Context, s TokenScope, id string) error {
	if err := oneRow(db.sql.ExecContext(ctx, `DELETE FROM tokens WHERE `+inScope+` AND id = $4`, append(s.args(), id)...)); err != nil {
		return fmt.Errorf("revoke token %q: %w", id, err)
	}
	return nil
}
