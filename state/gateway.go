package state

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// RuleKind is a list of the gateway's rules. Ids are unique within it.
type RuleKind string

const (
	PolicyRule    RuleKind = "policy"
	ExceptionRule RuleKind = "exception"
)

// GatewayRule is a rule of the gateway. The state knows nothing of what is in it.
type GatewayRule struct {
	Kind RuleKind
	ID   string
	Body string
}

// GatewayRules returns the rules of a kind in their order.
func (db *DB) GatewayRules(ctx context.Context, kind RuleKind) ([]GatewayRule, error) {
	rows, err := db.sql.QueryContext(ctx, `SELECT kind, id, body FROM gateway_rules WHERE kind = $1 ORDER BY position, id`, kind)
	rules, err := list(rows, err, func(r *GatewayRule) []any { return []any{&r.Kind, &r.ID, &r.Body} })
	if err != nil {
		return nil, fmt.Errorf("read the gateway's rules: %w", err)
	}
	return rules, nil
}

// SaveGatewayRule keeps a rule: in its place if it is known, else behind the others of its kind.
func (db *DB) SaveGatewayRule(ctx context.Context, r GatewayRule) error {
	_, err := db.sql.ExecContext(ctx, `INSERT INTO gateway_rules (kind, id, position, body)
		VALUES ($1, $2, (SELECT coalesce(max(position), 0) + 1 FROM gateway_rules WHERE kind = $1), $3)
		ON CONFLICT (kind, id) DO UPDATE SET body = excluded.body`, r.Kind, r.ID, r.Body)
	if err != nil {
		return fmt.Errorf("save %s %q: %w", r.Kind, r.ID, err)
	}
	return nil
}

// DeleteGatewayRule forgets a rule. It returns ErrNotFound if there is none.
func (db *DB) DeleteGatewayRule(ctx context.Context, kind RuleKind, id string) error {
	if err := oneRow(db.sql.ExecContext(ctx, `DELETE FROM gateway_rules WHERE kind = $1 AND id = $2`, kind, id)); err != nil {
		return fmt.Errorf("delete %s %q: %w", kind, id, err)
	}
	return nil
}

// OrderGatewayRules puts the rules of a kind into the order of the ids, all at once.
func (db *DB) OrderGatewayRules(ctx context.Context, kind RuleKind, ids []string) error {
	err := db.inTx(ctx, func(tx *sql.Tx) error {
		for i, id := range ids {
			if err := oneRow(tx.ExecContext(ctx, `UPDATE gateway_rules SET position = $1 WHERE kind = $2 AND id = $3`, i+1, kind, id)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("order the gateway's rules: %w", err)
	}
	return nil
}

// GatewayAuthority is an authority that signs for the gateway. Its key is sealed by whoever saves it.
type GatewayAuthority struct {
	Name         string
	Certificates string // PEM
	SealedKey    string // PEM
	Created      time.Time
}

// GatewayAuthorities returns all of them, the oldest first.
func (db *DB) GatewayAuthorities(ctx context.Context) ([]GatewayAuthority, error) {
	rows, err := db.sql.QueryContext(ctx, `SELECT name, certificates, sealed_key, created FROM gateway_authorities ORDER BY created, name`)
	all, err := list(rows, err, func(a *GatewayAuthority) []any {
		return []any{&a.Name, &a.Certificates, &a.SealedKey, when{&a.Created}}
	})
	if err != nil {
		return nil, fmt.Errorf("read the gateway's authorities: %w", err)
	}
	return all, nil
}

// AddGatewayAuthority keeps an authority, or returns ErrExists if the name is taken.
func (db *DB) AddGatewayAuthority(ctx context.Context, a GatewayAuthority) error {
	_, err := db.sql.ExecContext(ctx, `INSERT INTO gateway_authorities (name, certificates, sealed_key, created) VALUES ($1, $2, $3, $4)`,
		a.Name, a.Certificates, a.SealedKey, micros(a.Created))
	if isDuplicate(err) {
		err = ErrExists
	}
	if err != nil {
		return fmt.Errorf("save authority %q: %w", a.Name, err)
	}
	return nil
}

// DeleteGatewayAuthority forgets an authority and its key. It returns ErrNotFound if there is none.
func (db *DB) DeleteGatewayAuthority(ctx context.Context, name string) error {
	if err := oneRow(db.sql.ExecContext(ctx, `DELETE FROM gateway_authorities WHERE name = $1`, name)); err != nil {
		return fmt.Errorf("delete authority %q: %w", name, err)
	}
	return nil
}
