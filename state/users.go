package state

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// Role names what an account or a token may do.
type Role string

const (
	Admin   Role = "admin"
	Analyst Role = "analyst"
	Viewer  Role = "viewer"
)

// ErrLastAdmin is returned when an operation would leave nobody who can administer.
var ErrLastAdmin = errors.New("this is the last administrator")

// User is an account.
type User struct {
	Name    string // lower case
	Role    Role
	Created time.Time
}

// normalName makes names that people could mistake for each other one.
func normalName(name string) string { return strings.ToLower(strings.TrimSpace(name)) }

// CreateUser makes an account. It returns ErrExists if the name is taken.
func (db *DB) CreateUser(ctx context.Context, u User, password string) error {
	_, err := db.sql.ExecContext(ctx, `INSERT INTO users (name, role, password, created) VALUES ($1, $2, $3, $4)`,
		normalName(u.Name), u.Role, hashPassword(password), micros(u.Created))
	if isDuplicate(err) {
		err = ErrExists
	}
	if err != nil {
		return fmt.Errorf("make account %q: %w", u.Name, err)
	}
	return nil
}

func isDuplicate(err error) bool {
	var e *sqlite.Error
	return errors.As(err, &e) && (e.Code() == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY || e.Code() == sqlite3.SQLITE_CONSTRAINT_UNIQUE)
}

// EnsureAdmin makes the account "admin" if there are no accounts at all. With an empty password it makes a random one. It
// returns the password of a new account, to be shown once, and "" if there are accounts.
func (db *DB) EnsureAdmin(ctx context.Context, password string, now time.Time) (string, error) {
	var n int
	if err := db.sql.QueryRowContext(ctx, `SELECT count(*) FROM users`).Scan(&n); err != nil {
		return "", fmt.Errorf("count accounts: %w", err)
	}
	if n > 0 {
		return "", nil
	}
	if password == "" {
		password = newSecret()[:24] // 144 bits
	}
	return password, db.CreateUser(ctx, User{Name: "admin", Role: Admin, Created: now}, password)
}

// Users returns all accounts, by name.
func (db *DB) Users(ctx context.Context) ([]User, error) {
	rows, err := db.sql.QueryContext(ctx, `SELECT name, role, created FROM users ORDER BY name`)
	users, err := list(rows, err, func(u *User) []any { return []any{&u.Name, &u.Role, when{&u.Created}} })
	if err != nil {
		return nil, fmt.Errorf("list accounts: %w", err)
	}
	return users, nil
}

// CheckPassword returns the account if the password is its own, and ErrNotFound if there is no such account or the password
// is another: both take the same time.
func (db *DB) CheckPassword(ctx context.Context, name, password string) (User, error) {
	var (
		u   User
		phc string
	)
	err := db.sql.QueryRowContext(ctx, `SELECT name, role, created, password FROM users WHERE name = $1`, normalName(name)).
		Scan(&u.Name, &u.Role, when{&u.Created}, &phc)
	if errors.Is(err, sql.ErrNoRows) {
		hashPassword(password)
		return User{}, ErrNotFound
	}
	if err != nil {
		return User{}, fmt.Errorf("read account: %w", err)
	}
	ok, err := verifyPassword(phc, password)
	if err != nil {
		return User{}, err
	}
	if !ok {
		return User{}, ErrNotFound
	}
	return u, nil
}

// SetPassword replaces the password and ends all sessions of the account but the one with the secret.
func (db *DB) SetPassword(ctx context.Context, name, password, keepSession string) error {
	hash := hashPassword(password)
	err := db.inTx(ctx, func(tx *sql.Tx) error {
		if err := oneRow(tx.ExecContext(ctx, `UPDATE users SET password = $1 WHERE name = $2`, hash, normalName(name))); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `DELETE FROM sessions WHERE user_name = $1 AND hash <> $2`, normalName(name), hashSecret(keepSession))
		return err
	})
	if err != nil {
		return fmt.Errorf("set password of %q: %w", name, err)
	}
	return nil
}

// DeleteUser deletes an account, its sessions and its tokens. It returns ErrLastAdmin for the last one with that role.
func (db *DB) DeleteUser(ctx context.Context, name string) error {
	err := db.inTx(ctx, func(tx *sql.Tx) error {
		if err := oneRow(tx.ExecContext(ctx, `DELETE FROM users WHERE name = $1`, normalName(name))); err != nil {
			return err
		}
		var admins int
		if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM users WHERE role = $1`, Admin).Scan(&admins); err != nil {
			return err
		}
		if admins == 0 {
			return ErrLastAdmin
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("delete account %q: %w", name, err)
	}
	return nil
}

// inTx runs f in a transaction that is kept only if f returns nil.
func (db *DB) inTx(ctx context.Context, f func(*sql.Tx) error) error {
	tx, err := db.sql.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := f(tx); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}
